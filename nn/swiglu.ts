import { checkInteger, checkOptions, checkTensor, type Tensor } from "../core/index.ts";
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

  constructor(features: number, hidden: number, options: { dropout?: number } = {}) {
    super();
    checkInteger(features, 1, "SwiGlu", "features");
    checkInteger(hidden, 1, "SwiGlu", "hidden");
    checkOptions(options, ["dropout"], "SwiGlu");
    this.fc1 = new Linear(features, hidden, { bias: false });
    this.fc2 = new Linear(features, hidden, { bias: false });
    this.proj = new Linear(hidden, features, { bias: false });
    this.dropout = new Dropout(options.dropout ?? 0);
  }

  forward(x: Tensor): Tensor {
    checkTensor(x, "SwiGlu");
    const gated = this.fc1.forward(x).silu().mul(this.fc2.forward(x));
    return this.proj.forward(this.dropout.forward(gated));
  }
}
