import { afterEach, describe, expect, test, vi } from "vitest";
import { Interrupt } from "../../../vla/eval/interrupt.ts";

afterEach(() => {
  vi.restoreAllMocks();
});

/** A process that writes nothing and survives its exit, at a time of our choice. */
function quiet() {
  const now = vi.spyOn(performance, "now").mockReturnValue(1000);
  const exit = vi.spyOn(process, "exit").mockReturnValue(undefined as never);
  vi.spyOn(process.stderr, "write").mockReturnValue(true);
  return { now, exit };
}

describe("Interrupt", () => {
  test.each(["SIGINT", "SIGTERM"] as const)(
    "%s asks the run to end; the second one ends the process",
    (signal) => {
      const { now, exit } = quiet();
      using interrupt = new Interrupt();
      expect(interrupt.requested).toBe(false);
      process.emit(signal);
      expect(interrupt.requested).toBe(true);
      expect(exit).not.toHaveBeenCalled();
      now.mockReturnValue(2000);
      process.emit(signal);
      expect(exit).toHaveBeenCalledWith(130);
    },
  );

  test("takes a signal and its echo from a launcher for one", () => {
    const { now, exit } = quiet();
    using _ = new Interrupt();
    process.emit("SIGINT");
    now.mockReturnValue(1060);
    process.emit("SIGINT");
    expect(exit).not.toHaveBeenCalled();
  });

  test("leaves no listener behind", () => {
    const before = process.listenerCount("SIGINT");
    {
      using _ = new Interrupt();
      expect(process.listenerCount("SIGINT")).toBe(before + 1);
    }
    expect(process.listenerCount("SIGINT")).toBe(before);
  });
});
