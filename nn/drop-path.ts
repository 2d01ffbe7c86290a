import { checkShare, checkTensor, Tensor } from "../core/index.ts";
import { Dropout } from "./dropout.ts";
import { Module } from "./module.ts";

/** Stochastic depth (arXiv:1603.09382): while training, drops a residual branch for whole samples, x (B, …) → same. */
export class DropPath extends Module {
  readonly samples: Dropout;

  constructor(p: number) {
    super();
    checkShare(p, "DropPath", "a probability");
    this.samples = new Dropout(p);
  }

  forward(x: Tensor): Tensor {
    checkTensor(x, "DropPath");
    if (x.shape.length === 0) throw new Error("DropPath: expected a batch of samples, got a scalar");
    if (!this.training || this.samples.p === 0) return x;
    const keep = Tensor.ones([x.shape[0], ...x.shape.slice(1).map(() => 1)], x.dtype);
    return x.mul(this.samples.forward(keep));
  }
}
