import { refuse } from "./check.ts";

/** Lengths of the axes, outermost first; `[]` is a scalar. */
export type Shape = readonly number[];

/** Number of elements. */
export function sizeOf(shape: Shape): number {
  let size = 1;
  for (const length of shape) size *= length;
  return size;
}

export function sameShape(a: Shape, b: Shape): boolean {
  if (a === b) return true;
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

/** "(2, 3)" */
export function showShape(shape: Shape): string {
  return `(${shape.join(", ")})`;
}

/** Throws unless every length is a non-negative integer. */
export function checkShape(shape: Shape, who: string): void {
  if (!Array.isArray(shape)) refuse(who, "a shape such as [2, 3]", shape);
  for (const length of shape) {
    if (!Number.isSafeInteger(length) || length < 0)
      throw new Error(`${who}: expected a shape of non-negative integers, got ${showShape(shape)}`);
  }
}

/** The shape two operands take together: axes are matched from the last, and length 1 stretches. */
export function broadcastShapes(a: Shape, b: Shape, who: string): Shape {
  if (sameShape(a, b)) return a;
  const rank = Math.max(a.length, b.length);
  const shape = new Array<number>(rank);
  for (let i = 0; i < rank; i++) {
    const x = i + a.length < rank ? 1 : a[a.length - rank + i];
    const y = i + b.length < rank ? 1 : b[b.length - rank + i];
    if (x !== y && x !== 1 && y !== 1) {
      throw new Error(`${who}: shapes ${showShape(a)} and ${showShape(b)} do not broadcast`);
    }
    shape[i] = x === 1 ? y : x;
  }
  return shape;
}

/** Row-major strides in elements. */
export function stridesOf(shape: Shape): number[] {
  const strides = new Array<number>(shape.length);
  for (let axis = shape.length - 1, stride = 1; axis >= 0; axis--) {
    strides[axis] = stride;
    stride *= shape[axis];
  }
  return strides;
}

/** Strides that walk a block of shape `from` as if it had shape `to`: 0 along stretched axes. */
export function broadcastStrides(from: Shape, to: Shape): number[] {
  const missing = to.length - from.length;
  const strides = new Array<number>(to.length);
  for (let axis = to.length - 1, stride = 1; axis >= 0; axis--) {
    const length = axis < missing ? 1 : from[axis - missing];
    strides[axis] = axis < missing || (length === 1 && to[axis] !== 1) ? 0 : stride;
    stride *= length;
  }
  return strides;
}

/** Turns an axis counted from the end (−1 is the last) into one counted from the start. */
export function resolveAxis(axis: number, rank: number, who: string): number {
  if (!Number.isInteger(axis)) refuse(who, "an axis", axis);
  const resolved = axis < 0 ? axis + rank : axis;
  if (resolved < 0 || resolved >= rank) {
    throw new Error(`${who}: axis ${axis} does not exist in a tensor of rank ${rank}`);
  }
  return resolved;
}

/** Visits the rows (last axis) of a block of `shape`, with where each input's row starts. */
export function eachRow(
  shape: Shape,
  strides: readonly (readonly number[])[],
  visit: (at: number, count: number, starts: readonly number[]) => void,
): void {
  const outer = shape.slice(0, -1);
  const count = shape.at(-1) ?? 1;
  const index = outer.map(() => 0);
  const starts = strides.map(() => 0);
  const rows = sizeOf(outer);
  for (let r = 0; r < rows; r++) {
    visit(r * count, count, starts);
    for (let axis = outer.length - 1; axis >= 0; axis--) {
      const wraps = ++index[axis] === outer[axis];
      strides.forEach((s, i) => {
        starts[i] += wraps ? -s[axis] * (outer[axis] - 1) : s[axis];
      });
      if (!wraps) break;
      index[axis] = 0;
    }
  }
}
