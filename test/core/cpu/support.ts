import fc from "fast-check";
import { memory } from "../../../core/cpu/heap.ts";
import { withoutFma } from "../../../core/cpu/kernels/engine.ts";
import { addressOf } from "../../../core/cpu/storage.ts";
import type { Shape } from "../../../core/shape.ts";
import { Tensor } from "../../../core/tensor.ts";

/** Lengths that hit full vectors, full tiles and every kind of rest. */
export const length: fc.Arbitrary<number> = fc.integer({ min: 1, max: 40 });

/** A tensor of repeatable numbers between −1 and 1. */
export function numbers(shape: Shape, seed: number): Tensor {
  const out = Tensor.empty(shape);
  let state = (seed * 2654435761 + 12345) >>> 0;
  for (let i = 0; i < out.size; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    out.data[i] = state / 2 ** 31 - 1;
  }
  return out;
}

/** The tensor's bits, for comparisons bit by bit that know −0 and NaN. */
export const bits = (x: Tensor): number[] => [...new Int32Array(memory.buffer, addressOf(x), x.size)];

/** Largest |x − expected| in a tensor; Infinity when one is NaN and the other is not. */
export function largestError(x: Tensor, expected: ArrayLike<number>): number {
  let largest = 0;
  for (let i = 0; i < x.size; i++) {
    const error = Object.is(x.data[i], expected[i]) ? 0 : Math.abs(x.data[i] - expected[i]);
    if (!(error <= largest)) largest = Number.isNaN(error) ? Number.POSITIVE_INFINITY : error;
  }
  return largest;
}

/** Both ways an engine may multiply and add. */
export const flavours: readonly { readonly name: string; run<T>(body: () => T): T }[] = [
  { name: "with the engine's multiply-add", run: (body) => body() },
  { name: "with multiply and add in two steps", run: withoutFma },
];
