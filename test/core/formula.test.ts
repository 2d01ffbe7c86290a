import { fc, test } from "@fast-check/vitest";
import { describe, expect, it } from "vitest";
import type { Expr } from "../../core/formula/expr.ts";
import { Index, type Whole } from "../../core/formula/indices.ts";
import { compile, printed } from "../../core/formula/js.ts";
import { each, max, Operand, sum } from "../../core/formula/launch.ts";
import { launchesOf, withStatistics } from "../../core/formula/loops.ts";
import {
  axes,
  built,
  builtWhole,
  elements,
  IDS,
  NUMBERS,
  PARAM,
  tree,
  twoLaunches,
  whole,
  workedOut,
  workedOutWhole,
} from "./formula-trees.ts";

function run(result: Operand, dtype: "float64" | "int32" = "float64"): number[] {
  const out = dtype === "int32" ? new Int32Array(result.size) : new Float64Array(result.size);
  compile(result, [dtype], "formula")(out, [...NUMBERS, IDS], [PARAM]);
  return [...out].map((x) => x + 0); // no −0
}

/** Exact in double precision. */
const small = (numbers: readonly number[]): boolean => numbers.every((x) => Math.abs(x) < 2 ** 50);

describe("any formula", () => {
  test.prop([axes, tree], { numRuns: 200 })(
    "is what it says, wherever its parts are computed",
    (shape, t) => {
      const expected = elements(shape, (...at) => workedOut(t, at)).map((x) => x + 0);
      fc.pre(small(expected));
      const result = each(shape, (...at) => built(t, at));
      expect(run(result)).toEqual(expected);
      expect(run(withStatistics(result))).toEqual(expected);
    },
  );

  test.prop([axes, tree, tree], { numRuns: 200 })(
    "may read what an earlier launch made",
    (shape, first, second) => {
      const { values, expected, result } = twoLaunches(shape, first, second);
      fc.pre(small([...values, ...expected]));
      expect(run(result)).toEqual(expected);
      expect(run(withStatistics(result))).toEqual(expected);
    },
  );

  test.prop([whole, axes])("its whole numbers are right, and so are their bounds", (t, shape) => {
    each(shape, (...counters) => {
      const index = builtWhole(t, counters);
      const values = elements(shape, (...at) => workedOutWhole(t, at));
      expect(index.low).toBeLessThanOrEqual(Math.min(...values));
      expect(index.high).toBeGreaterThanOrEqual(Math.max(...values));
      return 0;
    });
  });
});

/** Loops in a printed kernel. */
const loops = (text: string): number => text.split("for (").length - 1;

describe("softmax", () => {
  const softmax = (x: Operand): Operand => {
    const N = x.shape.at(-1) as number;
    const rows = x.as([x.size / N, N]);
    return each([x.size / N, N], (r, c) => {
      const most = (): Expr => max(N, (j) => rows.at(r, j)); // said anew each time
      const e = (j: Whole): Expr => rows.at(r, j).sub(most()).exp();
      return e(c).div(sum(N, e));
    });
  };

  it("finds a row's largest number and sum once, in a loop each", () => {
    const [text] = printed(softmax(Operand.input(0, [2, 3, 4])));
    expect(loops(text)).toBe(4); // rows, largest, sum, elements
  });

  it("takes the same code for every shape", () => {
    expect(printed(softmax(Operand.input(0, [2, 3, 4])))).toEqual(printed(softmax(Operand.input(0, [9, 7]))));
  });

  it("makes launches of its statistics where elements are computed one by one", () => {
    const result = withStatistics(softmax(Operand.input(0, [3, 4])));
    expect(launchesOf(result).map(({ size }) => size)).toEqual([3, 3, 12]);
  });
});

describe("loops", () => {
  const x = Operand.input(1, [3, 4]);

  it("are one for blocks that are walked alike", () => {
    const [text] = printed(each([3, 4], (r, c) => x.at(r, c).add(1)));
    expect(loops(text)).toBe(1);
  });

  it("are shared by reductions that do not need each other's results", () => {
    const [text] = printed(
      each([3], (r) => sum(4, (j) => x.at(r, j)).div(sum(4, (j) => x.at(r, j).mul(x.at(r, j))))),
    );
    expect(loops(text)).toBe(4); // four rows at a time, then the others, each with one sum loop
  });

  it("refuse integers that do not fit", () => {
    expect(() =>
      run(
        each([2], (i) => x.at(0, i).add(0.5)),
        "int32",
      ),
    ).toThrow("formula: expected integers that fit int32");
  });
});

describe("a place that is none", () => {
  const x = Operand.input(0, [3, 4]);
  it("is refused", () => {
    expect(() => x.at(0)).toThrow("Operand.at: expected a place for each axis of (3, 4), got 1");
    expect(() => x.as([5])).toThrow("Operand.as: (3, 4) does not fit (5)");
    expect(() => Index.constant(0.5)).toThrow("Index: expected an integer, got 0.5");
    expect(() => Index.constant(1).div(0)).toThrow("Index.div: expected a positive integer, got 0");
    expect(() => Index.constant(1).mul(0.5)).toThrow("Index.mul: expected an integer, got 0.5");
  });
});
