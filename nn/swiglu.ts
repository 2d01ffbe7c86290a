import type { Tensor } from "../core/index.ts";
import { Linear } from "./linear.ts";
import { Module } from "./module.ts";

/** Gated feed-forward layer (arXiv:2002.05202): proj(SiLU(fc1 x) ⊙ fc2 x) over the last axis, without biases. */
export class SwiGlu extends Module {
  fc1: Linear;
  fc2: Linear;
  proj: Linear;

  constructor(features: number, hidden: number) {
    super();
    this.fc1 = new Linear(features, hidden, { bias: false });
    this.fc2 = new Linear(features, hidden, { bias: false });
    this.proj = new Linear(hidden, features, { bias: false });
  }

  forward(x: Tensor): Tensor {
    return this.proj.forward(this.fc1.forward(x).silu().mul(this.fc2.forward(x)));
  }
}
