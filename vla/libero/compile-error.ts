import { FormatError } from "../../core/index.ts";

/** How MuJoCo says where it was: "Element name 'lid', id 3, line 57", or "Line number=57" where it is no XML. */
const WHERE = /Element (?:name )?'[^']*'(?:, id \d+)?, line (\d+)|Line number=(\d+)/;

/**
 * What MuJoCo's compiler said, in one line. It speaks of a line of the composed MJCF, which nobody has seen.
 *
 * @param places for each line of the MJCF the file and element it comes from; see `Scene.places`
 */
export function compileError(error: unknown, places: readonly string[] = []): FormatError {
  const message = error instanceof Error ? error.message : String(error);
  const [, element, parser] = WHERE.exec(message) ?? [];
  const line = Number(element ?? parser);
  const said = message
    .replace(WHERE, "")
    .replace(/^MuJoCo Error: Loading error: /, "")
    .replace(/\s+/g, " ")
    .trim();
  return new FormatError(places[line - 1] ?? "compileModel", "a model that MuJoCo compiles", said);
}
