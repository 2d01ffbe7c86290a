import { Tensor } from "../core/index.ts";
import { Bijector, type Mapped } from "./bijector.ts";
import { type Conditioner, couple } from "./coupling.ts";
import { halves, type Split } from "./split.ts";

/**
 * The additive coupling layer of NICE (arXiv:1410.8516, section 3.2), which preserves volume:
 *   z₁ = x₁    z₂ = x₂ + t    log |det J| = 0    with t = shift_net(x₁, c)
 */
export class AdditiveCoupling extends Bijector {
  shift_net: Conditioner;
  readonly split: Split;

  constructor(shift: Conditioner, split: Split = halves()) {
    super();
    this.shift_net = shift;
    this.split = split;
  }

  forward(x: Tensor, condition?: Tensor): Mapped {
    const still = Tensor.zeros([x.shape[0]], x.dtype);
    return couple(x, this.split, (x2, x1) => ({
      out: x2.add(this.shift_net.forward(x1, condition)),
      logDet: still,
    }));
  }

  inverse(z: Tensor, condition?: Tensor): Mapped {
    const still = Tensor.zeros([z.shape[0]], z.dtype);
    return couple(z, this.split, (z2, z1) => ({
      out: z2.sub(this.shift_net.forward(z1, condition)),
      logDet: still,
    }));
  }
}
