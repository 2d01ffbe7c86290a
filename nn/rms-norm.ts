import { checkFinite, checkInteger, checkTensor, type Tensor } from "../core/index.ts";
import { Module } from "./module.ts";
import { constant, parameter } from "./parameter.ts";

/** Root-mean-square normalisation over the last axis (arXiv:1910.07467): x / √(mean x² + eps) · weight. */
export class RMSNorm extends Module {
  weight: Tensor;
  readonly eps: number;

  constructor(features: number, eps = 1e-6) {
    super();
    checkInteger(features, 1, "RMSNorm", "features");
    checkFinite(eps, "RMSNorm", "eps", 0);
    this.weight = parameter([features], constant(1));
    this.eps = eps;
  }

  forward(x: Tensor): Tensor {
    checkTensor(x, "RMSNorm");
    // The op `rmsNorm` of inference wants a bias too, and multiplies by 1/√…: trained models would get other last bits.
    const size = x.square().mean([-1], true).shift(this.eps).sqrt(); // (…, 1)
    return x.div(size).mul(this.weight);
  }
}
