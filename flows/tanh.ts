import type { Tensor } from "../core/index.ts";
import { Bijector, type Interval, type Mapped, sumEvent } from "./bijector.ts";

/**
 * z = tanh x, from all numbers to (−1, 1):  log |det J| = Σ log(1 − tanh² x) = Σ 2 (log 2 − x − softplus(−2x))
 * The inverse, ½ log((1 + z)/(1 − z)), is infinite at ±1 and NaN beyond. Where |x| > 19 float64 rounds z to ±1.
 */
export class Tanh extends Bijector {
  override get domain(): Interval {
    return [-5, 5];
  }

  override get image(): Interval {
    return [-0.9999, 0.9999];
  }

  forward(x: Tensor): Mapped {
    const halfLogSlope = x.add(x.scale(-2).softplus()).neg().shift(Math.LN2);
    return { out: x.tanh(), logDet: sumEvent(halfLogSlope).scale(2) };
  }

  inverse(z: Tensor): Mapped {
    const [above, below] = [z.log1p(), z.neg().log1p()]; // exact near 0, where 1 ± z is 1
    return { out: above.sub(below).scale(0.5), logDet: sumEvent(above.add(below)).neg() };
  }
}
