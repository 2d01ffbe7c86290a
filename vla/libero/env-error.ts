/** Bad use of an environment: who refused, what it expected, what it found. */
export class EnvError extends Error {
  readonly who: string;
  readonly expected: string;
  readonly found: string;

  constructor(who: string, expected: string, found: string) {
    super(`${who}: expected ${expected}, found ${found}`);
    this.name = "EnvError";
    this.who = who;
    this.expected = expected;
    this.found = found;
  }
}
