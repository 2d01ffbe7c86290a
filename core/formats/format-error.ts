/** A file that is not what its format allows: broken, hostile, or using a feature we refuse. */
export class FormatError extends Error {
  override readonly name: string = "FormatError";
  /** File, and the place inside it. */
  readonly who: string;
  readonly expected: string;
  readonly found: string;

  constructor(who: string, expected: string, found: string) {
    super(`${who}: expected ${expected}, found ${found}`);
    this.who = who;
    this.expected = expected;
    this.found = found;
  }
}
