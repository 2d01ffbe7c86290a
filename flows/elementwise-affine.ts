import type { Shape, Tensor } from "../core/index.ts";
import { constant, parameter } from "../nn/index.ts";
import { Bijector, checkEvent, forBatch, type Mapped } from "./bijector.ts";

/**
 * A scale and a shift for every entry of the event:
 *   z = x ⊙ e^{log_scale} + shift    log |det J| = Σ log_scale
 */
export class ElementwiseAffine extends Bijector {
  log_scale: Tensor; // (…event)
  shift: Tensor; // (…event)

  constructor(event: Shape) {
    super();
    this.log_scale = parameter(event, constant(0));
    this.shift = parameter(event, constant(0));
  }

  forward(x: Tensor): Mapped {
    checkEvent(x, this.shift.shape, "ElementwiseAffine");
    return {
      out: x.mul(this.log_scale.exp()).add(this.shift),
      logDet: forBatch(this.log_scale.sum(), x),
    };
  }

  inverse(z: Tensor): Mapped {
    checkEvent(z, this.shift.shape, "ElementwiseAffine");
    return {
      out: z.sub(this.shift).mul(this.log_scale.neg().exp()),
      logDet: forBatch(this.log_scale.sum().neg(), z),
    };
  }
}
