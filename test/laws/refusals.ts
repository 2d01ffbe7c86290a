import { expect } from "vitest";

/** Runs `call` and checks that it is refused in one line that begins with `who`, by us and not by the engine. */
export function expectRefusal(call: () => unknown, who: string): void {
  let error: unknown = "nothing was thrown";
  try {
    call();
  } catch (thrown) {
    error = thrown;
  }
  expect((error as Error).constructor, String(error)).toBe(Error); // no TypeError or RangeError
  const { message } = error as Error;
  expect(message.split("\n")).toHaveLength(1);
  expect(message.length).toBeLessThan(250);
  expect(message.startsWith(who), message).toBe(true);
}
