/**
 * The language of formulas: what one element of an op's result is.
 *
 *     const softmax = ([x]) => {
 *       const N = x.shape.at(-1) ?? 1;
 *       const rows = x.as([x.size / N, N]);
 *       return each(rows.shape, (r, c) => {
 *         const most = max(N, (j) => rows.at(r, j));
 *         const e = (j) => rows.at(r, j).sub(most).exp();
 *         return e(c).div(sum(N, e));
 *       });
 *     };
 *
 * Nothing says in what order numbers are computed, or which are kept: loops.ts finds that out.
 */
import { type Shape, showShape, sizeOf } from "../shape.ts";
import {
  Expr,
  lift,
  partsOf,
  type ReductionName,
  rebuild,
  type Scalar,
  type Source,
  substitute,
} from "./expr.ts";
import { Index, Variable, type Whole, whole } from "./indices.ts";

/** One pass over the elements of a result. */
export interface Launch {
  /** The counters of the elements, row-major: the last one runs fastest. */
  readonly axes: readonly Variable[];
  /** The element that they stand for. */
  readonly element: Expr;
}

/** Numbers that a formula reads: an input of the op under a shape, or the result of an earlier launch. */
export class Operand {
  readonly source: Source;
  readonly shape: Shape;

  constructor(source: Source, shape: Shape) {
    this.source = source;
    this.shape = shape;
  }

  /** Input i of an op. */
  static input(i: number, shape: Shape): Operand {
    return new Operand({ name: `x${i}`, input: i, launch: null }, shape);
  }

  /** Number of elements. */
  get size(): number {
    return sizeOf(this.shape);
  }

  /** The element at these places, one for each axis. Places outside may be read where the result is not used. */
  at(...places: readonly Whole[]): Expr {
    return new Expr({ kind: "read", source: this.source, at: this.#flat(places) });
  }

  /** The same for an int32 operand: a whole number, such as the number of a row to read. */
  index(...places: readonly Whole[]): Index {
    return Index.atom({ kind: "loaded", source: this.source, at: this.#flat(places) });
  }

  /**
   * The element that is repeated to these places of a larger shape: axes are matched from the last, length 1 stretches.
   */
  stretched(...places: readonly Whole[]): Expr {
    const own = places.slice(places.length - this.shape.length);
    return this.at(...own.map((place, axis) => (this.shape[axis] === 1 ? 0 : place)));
  }

  /** The same elements, row-major, under another shape. */
  as(shape: Shape): Operand {
    if (sizeOf(shape) !== this.size)
      throw new Error(`Operand.as: ${showShape(this.shape)} does not fit ${showShape(shape)}`);
    return new Operand(this.source, shape);
  }

  /** The same elements as a matrix, whose rows are the last axis; a scalar is one row of one number. */
  rows(): Operand {
    return this.as([sizeOf(this.shape.slice(0, -1)), this.shape.at(-1) ?? 1]);
  }

  /** The same elements under three axes: those before an axis as one, the axis, and those after it as one. */
  along(axis: number): Operand {
    return this.as([sizeOf(this.shape.slice(0, axis)), this.shape[axis], sizeOf(this.shape.slice(axis + 1))]);
  }

  #flat(places: readonly Whole[]): Index {
    if (places.length !== this.shape.length) {
      throw new Error(
        `Operand.at: expected a place for each axis of ${showShape(this.shape)}, got ${places.length}`,
      );
    }
    return flatten(places, this.shape);
  }
}

/** Which element of a block of that shape, row-major, stands at these places. */
export function flatten(places: readonly Whole[], shape: Shape): Index {
  let flat = Index.constant(0);
  places.forEach((place, axis) => {
    flat = flat.mul(shape[axis]).add(whole(place));
  });
  return flat;
}

const counter = { launches: 0 };

/** The result whose element at each place of `shape` is what `element` says. Later launches may read it. */
export function each(shape: Shape, element: (...places: Index[]) => Scalar): Operand {
  const axes = shape.map((length, axis) => named(`a${axis}`, length));
  const launch = { axes, element: lift(element(...axes.map(counterOf))) };
  return new Operand({ name: `launch${counter.launches++}`, input: null, launch }, shape);
}

/** The result of an elementwise formula of operands that are repeated to `shape`. */
export const elementsOf = (formula: Expr, operands: readonly Operand[], shape: Shape): Operand =>
  each(shape, (...at) =>
    substitute(
      formula,
      operands.map((x) => x.stretched(...at)),
    ),
  );

/** Σ over j = 0 … length − 1; 0 if there are none. */
export const sum = (length: number, of: (j: Index) => Scalar): Expr => reduce("sum", length, of);

/** The largest over j = 0 … length − 1; −∞ if there are none, NaN if one is NaN. */
export const max = (length: number, of: (j: Index) => Scalar): Expr => reduce("max", length, of);

function reduce(name: ReductionName, length: number, of: (j: Index) => Scalar): Expr {
  // Written down twice, in whatever place, a reduction shall be the same expression: so its counter is named after
  // how many lie inside of it (Axelsson and Claessen, "Using circular programs for higher-order syntax", ICFP 2013).
  const stranger = new Variable(`new${counter.launches++}`, length);
  const body = lift(of(counterOf(stranger)));
  const variable = named(`j${heightOf(body)}`, length);
  const counters = new Map([[stranger, counterOf(variable)]]);
  return new Expr({ kind: "reduce", name, variable, of: replaceCounters(body, counters) });
}

/** A counter as a whole number. */
export const counterOf = (variable: Variable): Index => Index.atom({ kind: "variable", variable });

const variables = new Map<string, Variable>();

/** The counter of that name and length: the same object each time. */
function named(prefix: string, length: number): Variable {
  const name = `${prefix}:${length}`;
  let variable = variables.get(name);
  if (!variable) variables.set(name, (variable = new Variable(name, length)));
  return variable;
}

const heights = new WeakMap<Expr, number>();

/** How many reductions lie inside one another. */
function heightOf(e: Expr): number {
  let height = heights.get(e);
  if (height === undefined) {
    height = Math.max(0, ...partsOf(e.node).map(heightOf)) + (e.node.kind === "reduce" ? 1 : 0);
    heights.set(e, height);
  }
  return height;
}

/** The expression with other whole numbers in place of counters. */
export function replaceCounters(formula: Expr, counters: ReadonlyMap<Variable, Index>): Expr {
  const replace = (at: Index): Index => at.replace(counters);
  return rebuild(formula, (e) => {
    const { node } = e;
    if (node.kind === "read") return new Expr({ ...node, at: replace(node.at) });
    if (node.kind === "whole") return new Expr({ ...node, index: replace(node.index) });
    if (node.kind !== "choose") return e;
    const a = replace(node.a);
    const b = replace(node.b);
    return node.test === "less" ? a.lessThan(b, node.yes, node.no) : a.equals(b, node.yes, node.no);
  });
}
