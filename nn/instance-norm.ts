import { checkFinite, checkInteger, checkOptions, refuse, type Tensor } from "../core/index.ts";
import { inGroups } from "./group-norm.ts";
import { Module } from "./module.ts";
import { constant, parameter } from "./parameter.ts";

/**
 * Instance normalisation (arXiv:1607.08022): each channel of each sample made standard over its positions, (B, …, C) →
 * same. As in PyTorch it learns a scale and a shift only where it is `affine`.
 */
export class InstanceNorm extends Module {
  declare weight?: Tensor; // (C)
  declare bias?: Tensor; // (C)
  readonly channels: number;
  readonly eps: number;

  constructor(channels: number, options: { readonly eps?: number; readonly affine?: boolean } = {}) {
    super();
    checkInteger(channels, 1, "InstanceNorm", "channels");
    checkOptions(options, ["eps", "affine"], "InstanceNorm");
    const { eps = 1e-5, affine = false } = options;
    checkFinite(eps, "InstanceNorm", "eps", 0);
    if (typeof affine !== "boolean") refuse("InstanceNorm", "affine to be true or false", affine);
    if (affine) {
      this.weight = parameter([channels], constant(1));
      this.bias = parameter([channels], constant(0));
    }
    this.channels = channels;
    this.eps = eps;
  }

  forward(x: Tensor): Tensor {
    const standard = inGroups(x, this.channels, this.channels, this.eps, "InstanceNorm");
    return this.weight && this.bias ? standard.mul(this.weight).add(this.bias) : standard;
  }
}
