import { fc, test } from "@fast-check/vitest";
import { describe, expect, it } from "vitest";
import { Expr } from "../../core/formula/expr.ts";
import { Index, type Whole } from "../../core/formula/indices.ts";
import { compile, printed } from "../../core/formula/js.ts";
import { each, max, Operand, sum } from "../../core/formula/launch.ts";
import { launchesOf, withStatistics } from "../../core/formula/loops.ts";
import { type Shape, sizeOf } from "../../core/shape.ts";

/** A whole number or a number of a random formula, as plain data: it is built, and it is worked out with nothing but numbers. */
type WholeTree =
  | { readonly kind: "counter"; readonly which: number }
  | { readonly kind: "constant"; readonly value: number }
  | { readonly kind: "loaded"; readonly at: WholeTree }
  | { readonly kind: "add" | "sub"; readonly a: WholeTree; readonly b: WholeTree }
  | { readonly kind: "mul" | "div" | "mod"; readonly a: WholeTree; readonly by: number };
type Tree =
  | { readonly kind: "constant"; readonly value: number }
  | { readonly kind: "param" }
  | { readonly kind: "read"; readonly operand: number; readonly at: readonly WholeTree[] }
  | { readonly kind: "abs"; readonly x: Tree }
  | { readonly kind: "add" | "mul"; readonly a: Tree; readonly b: Tree }
  | { readonly kind: "less"; readonly a: Tree; readonly b: Tree; readonly yes: Tree; readonly no: Tree }
  | {
      readonly kind: "below" | "same";
      readonly i: WholeTree;
      readonly j: WholeTree;
      readonly yes: Tree;
      readonly no: Tree;
    }
  | {
      readonly kind: "within";
      readonly i: WholeTree;
      readonly length: number;
      readonly yes: Tree;
      readonly no: Tree;
    }
  | { readonly kind: "sum" | "max"; readonly length: number; readonly of: Tree };

const SHAPES: readonly Shape[] = [[7], [3, 4], [2, 1, 5], []];
/** Whole numbers: sums of products are exact whatever their order, and so are all comparisons. */
const NUMBERS = SHAPES.map((shape, i) =>
  Float64Array.from({ length: sizeOf(shape) }, (_, j) => (((i + j) * 7) % 5) - 2),
);
const IDS = Int32Array.from([3, 0, 6, 1, 1, 5]);
const PARAM = 3;

const { whole, tree } = fc.letrec<{ whole: WholeTree; tree: Tree }>((tie) => ({
  whole: fc.oneof(
    { depthSize: "small", withCrossShrink: true },
    fc.record({ kind: fc.constant("counter" as const), which: fc.nat({ max: 9 }) }),
    fc.record({ kind: fc.constant("constant" as const), value: fc.integer({ min: -3, max: 9 }) }),
    fc.record({ kind: fc.constant("loaded" as const), at: tie("whole") }),
    fc.record({ kind: fc.constantFrom("add" as const, "sub" as const), a: tie("whole"), b: tie("whole") }),
    fc.record({
      kind: fc.constantFrom("mul" as const, "div" as const, "mod" as const),
      a: tie("whole"),
      by: fc.integer({ min: 1, max: 6 }),
    }),
  ),
  tree: fc.oneof(
    { depthSize: "small", withCrossShrink: true },
    fc.record({ kind: fc.constant("constant" as const), value: fc.integer({ min: -2, max: 9 }) }),
    fc.record({ kind: fc.constant("param" as const) }),
    fc.record({
      kind: fc.constant("read" as const),
      operand: fc.nat({ max: SHAPES.length - 1 }),
      at: fc.array(tie("whole"), { minLength: 3, maxLength: 3 }),
    }),
    fc.record({ kind: fc.constant("abs" as const), x: tie("tree") }),
    fc.record({ kind: fc.constantFrom("add" as const, "mul" as const), a: tie("tree"), b: tie("tree") }),
    fc.record({
      kind: fc.constant("less" as const),
      a: tie("tree"),
      b: tie("tree"),
      yes: tie("tree"),
      no: tie("tree"),
    }),
    fc.record({
      kind: fc.constantFrom("below" as const, "same" as const),
      i: tie("whole"),
      j: tie("whole"),
      yes: tie("tree"),
      no: tie("tree"),
    }),
    fc.record({
      kind: fc.constant("within" as const),
      i: tie("whole"),
      length: fc.nat({ max: 6 }),
      yes: tie("tree"),
      no: tie("tree"),
    }),
    fc.record({
      kind: fc.constantFrom("sum" as const, "max" as const),
      length: fc.integer({ min: 1, max: 6 }),
      of: tie("tree"),
    }),
  ),
}));

const modulo = (a: number, by: number): number => a - by * Math.floor(a / by);

function builtWhole(t: WholeTree, counters: readonly Index[]): Index {
  switch (t.kind) {
    case "counter":
      return counters.length === 0 ? Index.constant(0) : counters[t.which % counters.length];
    case "constant":
      return Index.constant(t.value);
    case "loaded":
      return Operand.input(SHAPES.length, [IDS.length]).index(builtWhole(t.at, counters).mod(IDS.length));
    case "add":
    case "sub":
      return builtWhole(t.a, counters)[t.kind](builtWhole(t.b, counters));
    default:
      return builtWhole(t.a, counters)[t.kind](t.by);
  }
}

function workedOutWhole(t: WholeTree, counters: readonly number[]): number {
  switch (t.kind) {
    case "counter":
      return counters.length === 0 ? 0 : counters[t.which % counters.length];
    case "constant":
      return t.value;
    case "loaded":
      return IDS[modulo(workedOutWhole(t.at, counters), IDS.length)];
    case "add":
      return workedOutWhole(t.a, counters) + workedOutWhole(t.b, counters);
    case "sub":
      return workedOutWhole(t.a, counters) - workedOutWhole(t.b, counters);
    case "mul":
      return workedOutWhole(t.a, counters) * t.by;
    case "div":
      return Math.floor(workedOutWhole(t.a, counters) / t.by);
    case "mod":
      return modulo(workedOutWhole(t.a, counters), t.by);
  }
}

function built(t: Tree, counters: readonly Index[]): Expr {
  const go = (part: Tree): Expr => built(part, counters);
  const index = (part: WholeTree): Index => builtWhole(part, counters);
  switch (t.kind) {
    case "constant":
      return new Expr({ kind: "const", value: t.value });
    case "param":
      return Expr.param(0);
    case "read": {
      const shape = SHAPES[t.operand];
      return Operand.input(t.operand, shape).at(
        ...shape.map((length, axis) => index(t.at[axis]).mod(length)),
      );
    }
    case "abs":
      return go(t.x).abs();
    case "add":
    case "mul":
      return go(t.a)[t.kind](go(t.b));
    case "less":
      return go(t.a).lessThan(go(t.b), go(t.yes), go(t.no));
    case "below":
      return index(t.i).lessThan(index(t.j), go(t.yes), go(t.no));
    case "same":
      return index(t.i).equals(index(t.j), go(t.yes), go(t.no));
    case "within":
      return index(t.i).within(t.length, go(t.yes), go(t.no));
    default:
      return { sum, max }[t.kind](t.length, (j) => built(t.of, [...counters, j]));
  }
}

function workedOut(t: Tree, counters: readonly number[]): number {
  const go = (part: Tree): number => workedOut(part, counters);
  const index = (part: WholeTree): number => workedOutWhole(part, counters);
  switch (t.kind) {
    case "constant":
      return t.value;
    case "param":
      return PARAM;
    case "read": {
      const at = SHAPES[t.operand].reduce(
        (flat, length, axis) => flat * length + modulo(index(t.at[axis]), length),
        0,
      );
      return NUMBERS[t.operand][at];
    }
    case "abs":
      return Math.abs(go(t.x));
    case "add":
      return go(t.a) + go(t.b);
    case "mul":
      return go(t.a) * go(t.b);
    case "less":
      return go(t.a) < go(t.b) ? go(t.yes) : go(t.no);
    case "below":
      return index(t.i) < index(t.j) ? go(t.yes) : go(t.no);
    case "same":
      return index(t.i) === index(t.j) ? go(t.yes) : go(t.no);
    case "within":
      return index(t.i) >= 0 && index(t.i) < t.length ? go(t.yes) : go(t.no);
    default: {
      const terms = Array.from({ length: t.length }, (_, j) => workedOut(t.of, [...counters, j]));
      return t.kind === "sum" ? terms.reduce((a, b) => a + b, 0) : Math.max(...terms);
    }
  }
}

/** Every element under these axes, worked out one by one. */
function elements(shape: Shape, element: (...at: number[]) => number): number[] {
  if (shape.length === 0) return [element()];
  return Array.from({ length: shape[0] }, (_, i) =>
    elements(shape.slice(1), (...rest) => element(i, ...rest)),
  ).flat();
}

function run(result: Operand, dtype: "float64" | "int32" = "float64"): number[] {
  const out = dtype === "int32" ? new Int32Array(result.size) : new Float64Array(result.size);
  compile(result, [dtype], "formula")(out, [...NUMBERS, IDS], [PARAM]);
  return [...out].map((x) => x + 0); // no −0
}

const axes = fc.array(fc.integer({ min: 1, max: 6 }), { maxLength: 3 });
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
      const values = elements([6], (i) => workedOut(first, [i]));
      const own = (j: number, at: readonly number[]): number => values[j] + workedOut(second, at);
      const expected = elements(shape, (...at) => own(modulo(at.at(-1) ?? 0, 6), at)).map((x) => x + 0);
      fc.pre(small([...values, ...expected]));
      const earlier = each([6], (i) => built(first, [i]));
      const result = each(shape, (...at) => earlier.at(at.at(-1) ?? 0).add(built(second, at)));
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
