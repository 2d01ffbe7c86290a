import type { Tensor } from "../core/index.ts";
import type { Module } from "../nn/index.ts";
import type { Mapped } from "./bijector.ts";
import type { Split } from "./split.ts";

/** A network that sees the kept part and the condition and gives numbers for the changed part. */
export interface Conditioner extends Module {
  forward(kept: Tensor, condition?: Tensor): Tensor;
}

/**
 * A coupling layer (arXiv:1410.8516, section 3.2): z₁ = x₁, z₂ = f(x₂; x₁). Its Jacobian is block triangular, so the
 * log-determinant is that of `f` alone, and the inverse is the same layer with f⁻¹, because z₁ is x₁.
 */
export function couple(x: Tensor, split: Split, f: (changed: Tensor, kept: Tensor) => Mapped): Mapped {
  const [kept, changed] = split.apart(x);
  const { out, logDet } = f(changed, kept);
  return { out: split.join(kept, out), logDet };
}
