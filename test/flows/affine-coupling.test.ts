import type { Tensor } from "../../core/index.ts";
import {
  AffineCoupling,
  type Conditioner,
  JointAffineCoupling,
  keeping,
  type ScaleShiftNet,
} from "../../flows/index.ts";
import { Module } from "../../nn/index.ts";
import { bijectorLaws } from "../laws/bijector.ts";

bijectorLaws(
  "AffineCoupling",
  ({ D, conditioner }) => {
    const half = Math.floor(D / 2);
    return new AffineCoupling(conditioner(half, D - half), conditioner(half, D - half));
  },
  { D: 6, C: 4 },
);

bijectorLaws(
  "AffineCoupling that keeps one entry",
  ({ D, conditioner }) =>
    new AffineCoupling(conditioner(1, D - 1), conditioner(1, D - 1), keeping([D - 1], D)),
  { D: 5, C: 2 },
);

/** One network of twice the outputs. */
class Both extends Module implements ScaleShiftNet {
  net: Conditioner;

  constructor(net: Conditioner) {
    super();
    this.net = net;
  }

  forward(kept: Tensor, condition?: Tensor): [Tensor, Tensor] {
    const [scale, shift] = this.net.forward(kept, condition).chunk(2, 1);
    return [scale, shift];
  }
}

bijectorLaws(
  "JointAffineCoupling",
  ({ D, conditioner }) => {
    const half = Math.floor(D / 2);
    return new JointAffineCoupling(new Both(conditioner(half, 2 * (D - half))));
  },
  { D: 6, C: 4 },
);
