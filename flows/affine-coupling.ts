import type { Tensor } from "../core/index.ts";
import type { Module } from "../nn/index.ts";
import { Bijector, type Mapped, sumEvent } from "./bijector.ts";
import { type Conditioner, couple } from "./coupling.ts";
import { halves, type Split } from "./split.ts";

/** A layer whose log-scales are squashed into (−1, 1): near the ends they no longer follow their network. */
export interface Squashed extends Bijector {
  /** s at an input of `forward` or of `inverse`. */
  logScale(x: Tensor, condition?: Tensor): Tensor;
}

/**
 * The affine coupling layer of RealNVP (arXiv:1605.08803, eq. 7 and 8), its log-scale squashed by tanh so that one layer
 * scales no entry by more than e:
 *   z₁ = x₁    z₂ = x₂ ⊙ eˢ + t    log |det J| = Σ s    with s = tanh(scale_net(x₁, c)), t = shift_net(x₁, c)
 */
export class AffineCoupling extends Bijector implements Squashed {
  scale_net: Conditioner;
  shift_net: Conditioner;
  readonly split: Split;

  constructor(scale: Conditioner, shift: Conditioner, split: Split = halves()) {
    super();
    this.scale_net = scale;
    this.shift_net = shift;
    this.split = split;
  }

  forward(x: Tensor, condition?: Tensor): Mapped {
    return couple(x, this.split, (x2, x1) => stretch(x2, ...this.#scaleShift(x1, condition)));
  }

  inverse(z: Tensor, condition?: Tensor): Mapped {
    return couple(z, this.split, (z2, z1) => unstretch(z2, ...this.#scaleShift(z1, condition)));
  }

  logScale(x: Tensor, condition?: Tensor): Tensor {
    return this.scale_net.forward(this.split.apart(x)[0], condition).tanh();
  }

  #scaleShift(kept: Tensor, condition?: Tensor): [s: Tensor, t: Tensor] {
    return [this.scale_net.forward(kept, condition).tanh(), this.shift_net.forward(kept, condition)];
  }
}

/** A network that gives both numbers per entry of the changed part: the log-scale before tanh, and the shift. */
export interface ScaleShiftNet extends Module {
  forward(kept: Tensor, condition?: Tensor): readonly [scale: Tensor, shift: Tensor];
}

/** The same layer with one network for scale and shift. */
export class JointAffineCoupling extends Bijector implements Squashed {
  net: ScaleShiftNet;
  readonly split: Split;

  constructor(net: ScaleShiftNet, split: Split = halves()) {
    super();
    this.net = net;
    this.split = split;
  }

  forward(x: Tensor, condition?: Tensor): Mapped {
    return couple(x, this.split, (x2, x1) => stretch(x2, ...this.#scaleShift(x1, condition)));
  }

  inverse(z: Tensor, condition?: Tensor): Mapped {
    return couple(z, this.split, (z2, z1) => unstretch(z2, ...this.#scaleShift(z1, condition)));
  }

  logScale(x: Tensor, condition?: Tensor): Tensor {
    return this.#scaleShift(this.split.apart(x)[0], condition)[0];
  }

  #scaleShift(kept: Tensor, condition?: Tensor): [s: Tensor, t: Tensor] {
    const [scale, shift] = this.net.forward(kept, condition);
    return [scale.tanh(), shift];
  }
}

/** z = x ⊙ eˢ + t    log |det J| = Σ s */
const stretch = (x: Tensor, s: Tensor, t: Tensor): Mapped => ({
  out: x.mul(s.exp()).add(t),
  logDet: sumEvent(s),
});

/** x = (z − t) ⊙ e⁻ˢ    log |det J| = −Σ s */
const unstretch = (z: Tensor, s: Tensor, t: Tensor): Mapped => ({
  out: z.sub(t).mul(s.neg().exp()),
  logDet: sumEvent(s).neg(),
});
