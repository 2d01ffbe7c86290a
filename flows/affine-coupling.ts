import { refuse, type Shape, type Tensor } from "../core/index.ts";
import type { Module } from "../nn/index.ts";
import { Bijector, type Mapped, sumEvent, takesCondition } from "./bijector.ts";
import { type Conditioner, type Coupling, checkParts, couple, outputsOf } from "./coupling.ts";
import { halves, type Split } from "./split.ts";

/** A layer whose log-scales are squashed into (−1, 1): near the ends they no longer follow their network. */
export interface Squashed extends Bijector {
  /** s at an input of `forward` or of `inverse`. */
  logScale(x: Tensor, condition?: Tensor): Tensor;
}

/**
 * The affine coupling layer of RealNVP (arXiv:1605.08803, eq. 7 and 8), its log-scale squashed by tanh so that one
 * layer scales no entry by more than e:
 *   z₁ = x₁    z₂ = x₂ ⊙ eˢ + t    log |det J| = Σ s    with s = tanh(scale_net(x₁, c)), t = shift_net(x₁, c)
 * Each network gives a number for each changed entry, in the shape of the changed part.
 */
export class AffineCoupling extends Bijector implements Coupling, Squashed {
  scale_net: Conditioner;
  shift_net: Conditioner;
  readonly split: Split;

  constructor(scale: Conditioner, shift: Conditioner, split: Split = halves()) {
    super();
    this.scale_net = scale;
    this.shift_net = shift;
    this.split = split;
    checkParts(this, { scale_net: scale, shift_net: shift });
  }

  override get conditional(): boolean {
    return takesCondition(this.scale_net) || takesCondition(this.shift_net);
  }

  forward(x: Tensor, condition?: Tensor): Mapped {
    return couple(this, x, (x2, x1) => stretch(x2, this.#s(x1, x2, condition), this.#t(x1, x2, condition)));
  }

  inverse(z: Tensor, condition?: Tensor): Mapped {
    return couple(this, z, (z2, z1) => unstretch(z2, this.#s(z1, z2, condition), this.#t(z1, z2, condition)));
  }

  logScale(x: Tensor, condition?: Tensor): Tensor {
    return this.#s(...this.split.apart(x), condition);
  }

  #s(kept: Tensor, changed: Tensor, condition?: Tensor): Tensor {
    return outputsOf(this, "scale_net", this.scale_net.forward(kept, condition), changed.shape).tanh();
  }

  #t(kept: Tensor, changed: Tensor, condition?: Tensor): Tensor {
    return outputsOf(this, "shift_net", this.shift_net.forward(kept, condition), changed.shape);
  }
}

/** A network that gives both numbers per entry of the changed part: the log-scale before tanh, and the shift. */
export interface ScaleShiftNet extends Module {
  forward(kept: Tensor, condition?: Tensor): readonly [scale: Tensor, shift: Tensor];
  /** Whether a condition can change the numbers; see `Bijector.conditional`. */
  readonly conditional?: boolean;
}

/** The same layer with one network for scale and shift. */
export class JointAffineCoupling extends Bijector implements Coupling, Squashed {
  net: ScaleShiftNet;
  readonly split: Split;

  constructor(net: ScaleShiftNet, split: Split = halves()) {
    super();
    this.net = net;
    this.split = split;
    checkParts(this, { net });
  }

  override get conditional(): boolean {
    return takesCondition(this.net);
  }

  forward(x: Tensor, condition?: Tensor): Mapped {
    return couple(this, x, (x2, x1) => stretch(x2, ...this.#scaleShift(x1, x2, condition)));
  }

  inverse(z: Tensor, condition?: Tensor): Mapped {
    return couple(this, z, (z2, z1) => unstretch(z2, ...this.#scaleShift(z1, z2, condition)));
  }

  logScale(x: Tensor, condition?: Tensor): Tensor {
    return this.#scaleShift(...this.split.apart(x), condition)[0];
  }

  #scaleShift(kept: Tensor, changed: Tensor, condition?: Tensor): [s: Tensor, t: Tensor] {
    return scaleShift(this, this.net.forward(kept, condition), changed.shape);
  }
}

/** s = tanh(scale) and t of what a layer's network gave, which must be two tensors of that shape. */
export function scaleShift(layer: Bijector, outputs: unknown, shape: Shape): [s: Tensor, t: Tensor] {
  if (!Array.isArray(outputs) || outputs.length !== 2)
    return refuse(layer.constructor.name, "[scale, shift] from net", outputs);
  const [scale, shift] = outputs.map((one) => outputsOf(layer, "net", one, shape));
  return [scale.tanh(), shift];
}

/** z = x ⊙ eˢ + t    log |det J| = Σ s */
export const stretch = (x: Tensor, s: Tensor, t: Tensor): Mapped => ({
  out: x.mul(s.exp()).add(t),
  logDet: sumEvent(s),
});

/** x = (z − t) ⊙ e⁻ˢ    log |det J| = −Σ s */
const unstretch = (z: Tensor, s: Tensor, t: Tensor): Mapped => ({
  out: z.sub(t).mul(s.neg().exp()),
  logDet: sumEvent(s).neg(),
});
