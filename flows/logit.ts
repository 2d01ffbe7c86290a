import type { Tensor } from "../core/index.ts";
import { Bijector, type Interval, type Mapped, sumEvent } from "./bijector.ts";

/**
 * z = log(x/(1 − x)), from (0, 1) to all numbers:  log |det J| = −Σ (log x + log(1 − x))
 * The inverse is the logistic function:  log |det J| = −Σ (softplus(z) + softplus(−z))
 * Infinite at 0 and 1, NaN outside.
 */
export class Logit extends Bijector {
  override get domain(): Interval {
    return [1e-5, 1 - 1e-5];
  }

  override get image(): Interval {
    return [-11, 11];
  }

  forward(x: Tensor): Mapped {
    const [logX, logRest] = [x.log(), x.neg().log1p()];
    return { out: logX.sub(logRest), logDet: sumEvent(logX.add(logRest)).neg() };
  }

  inverse(z: Tensor): Mapped {
    return { out: z.sigmoid(), logDet: sumEvent(z.softplus().add(z.neg().softplus())).neg() };
  }
}
