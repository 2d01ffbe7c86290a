import { checkFinite, checkInteger, checkTensor, type Tensor } from "../core/index.ts";
import { Module } from "./module.ts";
import { constant, parameter } from "./parameter.ts";

/** Layer normalisation over the last axis (arXiv:1607.06450): (…, features) → same. */
export class LayerNorm extends Module {
  weight: Tensor;
  bias: Tensor;
  readonly eps: number;

  constructor(features: number, eps = 1e-5) {
    super();
    checkInteger(features, 1, "LayerNorm", "features");
    checkFinite(eps, "LayerNorm", "eps", 0);
    this.weight = parameter([features], constant(1));
    this.bias = parameter([features], constant(0));
    this.eps = eps;
  }

  forward(x: Tensor): Tensor {
    checkTensor(x, "LayerNorm");
    return x.layerNorm(this.weight, this.bias, this.eps);
  }
}
