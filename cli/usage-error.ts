/** The caller's mistake, told in one line; scripts leave with exit code 2. */
export class UsageError extends Error {
  override readonly name: string = "UsageError";
}
