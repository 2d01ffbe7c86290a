import { FormatError } from "../../core/index.ts";

/** Names become parts of paths and of MuJoCo's names: no separators, no blanks, nothing hidden. */
const NAME = /^[\p{L}\p{N}_][\p{L}\p{N}_.-]{0,199}$/u;

/**
 * A name out of a file, as it is.
 *
 * @param who the file, and the place inside it.
 * @throws FormatError unless it has 1 to 200 letters, digits, "_", "-" or ".", and begins with none of the last two.
 */
export function checkName(name: string, who: string): string {
  if (NAME.test(name)) return name;
  throw new FormatError(who, 'a name of at most 200 letters, digits, "_", "-" and "."', `"${name}"`);
}
