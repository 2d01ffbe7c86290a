import { printable } from "./printable.ts";

/** A file that is not what its format allows: broken, hostile, or using a feature we refuse. */
export class FormatError extends Error {
  override readonly name: string = "FormatError";
  /** File, and the place inside it. */
  readonly who: string;
  readonly expected: string;
  readonly found: string;

  /** All three are made fit for a message: what comes out of a file may be of any length and obey no rules. */
  constructor(who: string, expected: string, found: string) {
    const texts = [who, expected, found].map((text) => printable(text));
    super(`${texts[0]}: expected ${texts[1]}, found ${texts[2]}`);
    [this.who, this.expected, this.found] = texts;
  }
}
