/** Random formulas for the tests of what compiles them. */
import { fc } from "@fast-check/vitest";
import { Expr } from "../../core/formula/expr.ts";
import { Index } from "../../core/formula/indices.ts";
import { each, max, Operand, sum } from "../../core/formula/launch.ts";
import { type Shape, sizeOf } from "../../core/shape.ts";

/**
 * A whole number or a number of a random formula, as plain data: it is built, and it is worked out with nothing but
 * numbers.
 */
export type WholeTree =
  | { readonly kind: "counter"; readonly which: number }
  | { readonly kind: "constant"; readonly value: number }
  | { readonly kind: "loaded"; readonly at: WholeTree }
  | { readonly kind: "add" | "sub"; readonly a: WholeTree; readonly b: WholeTree }
  | { readonly kind: "mul" | "div" | "mod"; readonly a: WholeTree; readonly by: number };
export type Tree =
  | { readonly kind: "constant"; readonly value: number }
  | { readonly kind: "param" }
  | { readonly kind: "read"; readonly operand: number; readonly at: readonly WholeTree[] }
  | { readonly kind: "abs" | "half"; readonly x: Tree }
  | { readonly kind: "whole"; readonly of: WholeTree }
  | { readonly kind: "add" | "mul"; readonly a: Tree; readonly b: Tree }
  | {
      readonly kind: "less" | "equal";
      readonly a: Tree;
      readonly b: Tree;
      readonly yes: Tree;
      readonly no: Tree;
    }
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

export const SHAPES: readonly Shape[] = [[7], [3, 4], [2, 1, 5], []];
/** Whole numbers: sums of products are exact whatever their order, and so are all comparisons. */
export const NUMBERS = SHAPES.map((shape, i) =>
  Float64Array.from({ length: sizeOf(shape) }, (_, j) => (((i + j) * 7) % 5) - 2),
);
export const IDS = Int32Array.from([3, 0, 6, 1, 1, 5]);
export const PARAM = 3;

export const { whole, tree } = fc.letrec<{ whole: WholeTree; tree: Tree }>((tie) => ({
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
    fc.record({ kind: fc.constantFrom("abs" as const, "half" as const), x: tie("tree") }),
    fc.record({ kind: fc.constant("whole" as const), of: tie("whole") }),
    fc.record({ kind: fc.constantFrom("add" as const, "mul" as const), a: tie("tree"), b: tie("tree") }),
    fc.record({
      kind: fc.constantFrom("less" as const, "equal" as const),
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

export function builtWhole(t: WholeTree, counters: readonly Index[]): Index {
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

export function workedOutWhole(t: WholeTree, counters: readonly number[]): number {
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

export function built(t: Tree, counters: readonly Index[]): Expr {
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
    case "half":
      return go(t.x).mul(0.5).floor();
    case "whole":
      return index(t.of).value();
    case "add":
    case "mul":
      return go(t.a)[t.kind](go(t.b));
    case "less":
      return go(t.a).lessThan(go(t.b), go(t.yes), go(t.no));
    case "equal":
      return go(t.a).equals(go(t.b), go(t.yes), go(t.no));
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

export function workedOut(t: Tree, counters: readonly number[]): number {
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
    case "half":
      return Math.floor(go(t.x) / 2);
    case "whole":
      return index(t.of);
    case "add":
      return go(t.a) + go(t.b);
    case "mul":
      return go(t.a) * go(t.b);
    case "less":
      return go(t.a) < go(t.b) ? go(t.yes) : go(t.no);
    case "equal":
      return go(t.a) === go(t.b) ? go(t.yes) : go(t.no);
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
export function elements(shape: Shape, element: (...at: number[]) => number): number[] {
  if (shape.length === 0) return [element()];
  return Array.from({ length: shape[0] }, (_, i) =>
    elements(shape.slice(1), (...rest) => element(i, ...rest)),
  ).flat();
}

/** Lengths of the axes of a result. */
export const axes = fc.array(fc.integer({ min: 1, max: 6 }), { maxLength: 3 });

/**
 * A formula that reads an earlier launch of six elements: what is built, and the numbers of both launches worked out.
 */
export function twoLaunches(
  shape: Shape,
  first: Tree,
  second: Tree,
): { readonly values: readonly number[]; readonly expected: readonly number[]; readonly result: Operand } {
  const values = elements([6], (i) => workedOut(first, [i]));
  const own = (j: number, at: readonly number[]): number => values[j] + workedOut(second, at);
  const expected = elements(shape, (...at) => own(modulo(at.at(-1) ?? 0, 6), at)).map((x) => x + 0);
  const earlier = each([6], (i) => built(first, [i]));
  const result = each(shape, (...at) => earlier.at(at.at(-1) ?? 0).add(built(second, at)));
  return { values, expected, result };
}
