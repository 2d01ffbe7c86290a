import { checkFunction, refuse, type Shape, sameShape, showShape, Tensor } from "../core/index.ts";
import type { Module } from "../nn/index.ts";
import type { Bijector, Mapped } from "./bijector.ts";
import type { Split } from "./split.ts";

/** A network that sees the kept part and the condition and gives numbers for the changed part. */
export interface Conditioner extends Module {
  forward(kept: Tensor, condition?: Tensor): Tensor;
  /** Whether a condition can change the numbers; see `Bijector.conditional`. */
  readonly conditional?: boolean;
}

/** A bijector that keeps one part of its input and changes the other. */
export interface Coupling extends Bijector {
  readonly split: Split;
}

/**
 * A coupling layer (arXiv:1410.8516, section 3.2): z₁ = x₁, z₂ = f(x₂; x₁). Its Jacobian is block triangular, so the
 * log-determinant is that of `f` alone, and the inverse is the same layer with f⁻¹, because z₁ is x₁.
 * Throws when the parts that the split gives do not join to the shape of x.
 */
export function couple(coupling: Coupling, x: Tensor, f: (changed: Tensor, kept: Tensor) => Mapped): Mapped {
  const { split } = coupling;
  const [kept, changed] = split.apart(x);
  const mapped = f(changed, kept);
  const out = split.join(kept, mapped.out);
  if (!sameShape(out.shape, x.shape) || changed.shape[0] !== x.shape[0]) {
    throw new Error(
      `${coupling.constructor.name}: expected a split of ${showShape(x.shape)} into parts of each sample that join ` +
        `to the same, got ${showShape(kept.shape)} and ${showShape(changed.shape)}, joined ${showShape(out.shape)}`,
    );
  }
  return { out, logDet: mapped.logDet };
}

/**
 * What a layer's network gave. It must have just this shape: fewer numbers would be stretched, the density be wrong.
 */
export function outputsOf(layer: Bijector, net: string, outputs: unknown, shape: Shape): Tensor {
  if (outputs instanceof Tensor && sameShape(outputs.shape, shape)) return outputs;
  return refuse(layer.constructor.name, `${showShape(shape)} from ${net}, for the changed part`, outputs);
}

/** Throws unless the coupling's networks and split are what they should be: scripts run without a check of types. */
export function checkParts(coupling: Coupling, nets: Readonly<Record<string, unknown>>): void {
  const who = coupling.constructor.name;
  const { split } = coupling as { split: Partial<Split> | null };
  for (const [name, net] of Object.entries(nets))
    checkFunction((net as Partial<Conditioner> | null | undefined)?.forward, who, `${name}.forward`);
  if (typeof split?.apart !== "function" || typeof split.join !== "function")
    refuse(who, "a split, { apart, join }, as the last argument", split);
}
