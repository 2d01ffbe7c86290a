/** What a tensor prints: `console.log(x)`. */
import { inspect } from "node:util";
import { fc, test } from "@fast-check/vitest";
import { describe, expect } from "vitest";
import { Plan, Scope, Tensor } from "../../core/index.ts";
import { showNumbers } from "../../core/show-numbers.ts";
import { Linear, outline } from "../../nn/index.ts";

const shape = fc.array(fc.integer({ min: 1, max: 4 }), { maxLength: 4 });
const value = fc.oneof(
  fc.double({ min: -1e4, max: 1e4, noNaN: true }),
  fc.integer({ min: -1000, max: 1000 }),
  fc.constantFrom(Number.NaN, Infinity, -Infinity, 0),
);
const filled = shape.chain((axes) => {
  const size = axes.reduce((a, b) => a * b, 1);
  return fc.record({
    axes: fc.constant(axes),
    numbers: fc.array(value, { minLength: size, maxLength: size }),
  });
});

/** The printed numbers, row-major. */
const parsed = (text: string): number[] =>
  text
    .replace(/[[\]\s]/g, " ")
    .split(",")
    .map((word) => Number(word));

/** How deep the brackets go. */
const depth = (text: string): number => text.match(/^\[*/)?.[0].length ?? 0;

describe("showNumbers", () => {
  test.prop([filled])("shows all of a few numbers, in order, to four decimals or five digits", (one) => {
    const text = showNumbers(one.numbers, one.axes);
    expect(depth(text)).toBe(one.axes.length);
    const found = parsed(text);
    expect(found).toHaveLength(one.numbers.length);
    found.forEach((got, i) => {
      const given = one.numbers[i];
      if (!Number.isFinite(given)) expect(got).toBe(given);
      else expect(Math.abs(got - given)).toBeLessThanOrEqual(Math.max(5.01e-5, 5e-5 * Math.abs(given)));
    });
  });

  test.prop([fc.array(fc.integer({ min: 0, max: 40 }), { maxLength: 4 })])(
    "shows many by three at each end of each axis",
    (axes) => {
      const size = axes.reduce((a, b) => a * b, 1);
      const text = showNumbers(new Float32Array(size).fill(1), axes);
      const seen = axes.reduce((all, length) => all * (size > 200 ? Math.min(length, 6) : length), 1);
      expect(text.match(/1/g) ?? []).toHaveLength(size === 0 ? 0 : seen);
      expect(Math.max(...text.split("\n").map((line) => line.length))).toBeLessThanOrEqual(110);
    },
  );

  test("keeps columns, and says how small or large by powers of ten", () => {
    expect(showNumbers([1.5, -2, 0.25, 3], [2, 2])).toBe("[[ 1.50, -2.00],\n [ 0.25,  3.00]]");
    expect(showNumbers([1, 2, 3], [3])).toBe("[1, 2, 3]");
    expect(showNumbers([1e-7, 1], [2])).toBe("[1.0000e-7,  1.0000e+0]".replace("  ", " "));
    expect(showNumbers([7], [])).toBe("7");
    expect(showNumbers([], [2, 0])).toBe("[]");
    const many = Array.from({ length: 900 }, (_, i) => i);
    expect(showNumbers(many, [900])).toBe("[  0,   1,   2, …, 897, 898, 899]");
    expect(showNumbers([1, 2, 3, 4], [2, 1, 2])).toBe("[[[1, 2]],\n\n [[3, 4]]]");
  });
});

describe("a tensor says what it is", () => {
  test("with its numbers, to console.log and as text", () => {
    using _ = new Scope();
    expect(inspect(Tensor.from([[1, 2]]))).toBe("Tensor float32 (1, 2) on cpu: [[1, 2]]");
    expect(`${Tensor.scalar(3, "int32")}`).toBe("Tensor int32 () on cpu: 3");
    expect(String(Tensor.zeros([2, 2], "float64"))).toBe("Tensor float64 (2, 2) on cpu\n[[0, 0],\n [0, 0]]");
  });

  test("when it has none to show: freed, captured, gone, sealed, elsewhere", () => {
    const freed = Tensor.zeros([2]);
    freed.dispose();
    expect(inspect(freed)).toBe("Tensor float32 (2), freed");
    let [inside, kept]: [string, Tensor | null] = ["", null];
    const plan = new Plan(
      (x) => {
        kept = x.mul(2);
        inside = inspect(kept);
        return kept;
      },
      [Tensor.zeros([2])],
    );
    expect(inside).toBe("Tensor float32 (2) on cpu, computed when its plan runs");
    expect(inspect(kept)).toBe("Tensor float32 (2), freed");
    const [result] = plan.run(Tensor.from([1, 2]));
    expect(inspect(result)).toBe("Tensor float32 (2) on cpu: [2, 4]");
    plan[Symbol.dispose]();
    expect(inspect(result)).toContain("Tensor float32 (2) on cpu, gone: the plan");
    expect(inspect(Tensor.sealed([4, 4], "int8"))).toBe("Tensor float32 (4, 4) on cpu, sealed as int8");
    expect(inspect(outline(() => new Linear(2, 3)).weight)).toBe(
      "Tensor float32 (3, 2) on nowhere: await read() gives the numbers",
    );
  });
});
