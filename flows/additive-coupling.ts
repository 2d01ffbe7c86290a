import { Tensor } from "../core/index.ts";
import { Bijector, type Mapped, takesCondition } from "./bijector.ts";
import { type Conditioner, type Coupling, checkParts, couple, outputsOf } from "./coupling.ts";
import { halves, type Split } from "./split.ts";

/**
 * The additive coupling layer of NICE (arXiv:1410.8516, section 3.2), which preserves volume:
 *   z₁ = x₁    z₂ = x₂ + t    log |det J| = 0    with t = shift_net(x₁, c)
 * The network gives a number for each changed entry, in the shape of the changed part.
 */
export class AdditiveCoupling extends Bijector implements Coupling {
  shift_net: Conditioner;
  readonly split: Split;

  constructor(shift: Conditioner, split: Split = halves()) {
    super();
    this.shift_net = shift;
    this.split = split;
    checkParts(this, { shift_net: shift });
  }

  override get conditional(): boolean {
    return takesCondition(this.shift_net);
  }

  forward(x: Tensor, condition?: Tensor): Mapped {
    const still = Tensor.zeros([x.shape[0]], x.dtype);
    return couple(this, x, (x2, x1) => ({ out: x2.add(this.#shift(x1, x2, condition)), logDet: still }));
  }

  inverse(z: Tensor, condition?: Tensor): Mapped {
    const still = Tensor.zeros([z.shape[0]], z.dtype);
    return couple(this, z, (z2, z1) => ({ out: z2.sub(this.#shift(z1, z2, condition)), logDet: still }));
  }

  #shift(kept: Tensor, changed: Tensor, condition?: Tensor): Tensor {
    return outputsOf(this, "shift_net", this.shift_net.forward(kept, condition), changed.shape);
  }
}
