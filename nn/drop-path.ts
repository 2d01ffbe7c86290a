import { Tensor } from "../core/index.ts";
import { Dropout } from "./dropout.ts";
import { Module } from "./module.ts";

/** Stochastic depth (arXiv:1603.09382): while training, drops a residual branch for whole samples, x (B, …) → same. */
export class DropPath extends Module {
  readonly samples: Dropout;

  constructor(p: number) {
    super();
    this.samples = new Dropout(p);
  }

  forward(x: Tensor): Tensor {
    if (!this.training || this.samples.p === 0) return x;
    const keep = Tensor.ones([x.shape[0], ...x.shape.slice(1).map(() => 1)], x.dtype);
    return x.mul(this.samples.forward(keep));
  }
}
