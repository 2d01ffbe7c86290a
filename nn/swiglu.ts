import type { Tensor } from "../core/index.ts";
import { Dropout } from "./dropout.ts";
import { Linear } from "./linear.ts";
import { Module } from "./module.ts";

/**
 * Gated feed-forward layer (arXiv:2002.05202): proj(SiLU(fc1 x) ⊙ fc2 x) over the last axis, without biases. While
 * training, dropout acts on what `proj` reads.
 */
export class SwiGlu extends Module {
  fc1: Linear;
  fc2: Linear;
  proj: Linear;
  readonly dropout: Dropout;

  constructor(features: number, hidden: number, { dropout = 0 } = {}) {
    super();
    this.fc1 = new Linear(features, hidden, { bias: false });
    this.fc2 = new Linear(features, hidden, { bias: false });
    this.proj = new Linear(hidden, features, { bias: false });
    this.dropout = new Dropout(dropout);
  }

  forward(x: Tensor): Tensor {
    const gated = this.fc1.forward(x).silu().mul(this.fc2.forward(x));
    return this.proj.forward(this.dropout.forward(gated));
  }
}
