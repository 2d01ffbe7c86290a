import { concat, type Tensor } from "../core/index.ts";
import type { Module } from "../nn/index.ts";
import type { Mapped } from "./bijector.ts";

/** How a coupling layer divides its input into the part it keeps and the part it changes. */
export interface Split {
  apart(x: Tensor): readonly [kept: Tensor, changed: Tensor];
  join(kept: Tensor, changed: Tensor): Tensor;
}

/** Keeps the first ⌊N/2⌋ entries along an axis and changes the rest. */
export function halves(axis = 1): Split {
  return {
    apart(x) {
      const N = x.shape[axis];
      const half = Math.floor(N / 2);
      return [x.slice(axis, 0, half), x.slice(axis, half, N)];
    },
    join: (kept, changed) => concat([kept, changed], axis),
  };
}

/** A network that sees the kept part and the condition and gives one number per entry of the changed part. */
export interface Conditioner extends Module {
  forward(kept: Tensor, condition?: Tensor): Tensor;
}

/**
 * A coupling layer (arXiv:1410.8516, eq. 8): z₁ = x₁, z₂ = f(x₂; x₁). Its Jacobian is block triangular, so the
 * log-determinant is that of `f` alone, and the inverse is the same layer with f⁻¹, because z₁ is x₁.
 */
export function couple(x: Tensor, split: Split, f: (changed: Tensor, kept: Tensor) => Mapped): Mapped {
  const [kept, changed] = split.apart(x);
  const { out, logDet } = f(changed, kept);
  return { out: split.join(kept, out), logDet };
}
