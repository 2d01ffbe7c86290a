import { checkFinite, checkInteger, checkTensor, refuse, type Tensor } from "../core/index.ts";
import { Module } from "./module.ts";
import { moments, normalised } from "./normalised.ts";
import { constant, parameter } from "./parameter.ts";

/**
 * Group normalisation (arXiv:1803.08494): each sample's channels, the last axis, are divided into groups of neighbours,
 * each made standard over its channels and all positions: (B, …, C) → same.
 */
export class GroupNorm extends Module {
  weight: Tensor; // (C)
  bias: Tensor; // (C)
  readonly groups: number;
  readonly eps: number;

  constructor(groups: number, channels: number, eps = 1e-5) {
    super();
    checkInteger(groups, 1, "GroupNorm", "groups");
    checkInteger(channels, 1, "GroupNorm", "channels");
    if (channels % groups !== 0)
      throw new Error(`GroupNorm: ${groups} groups do not divide ${channels} channels`);
    checkFinite(eps, "GroupNorm", "eps", 0);
    this.weight = parameter([channels], constant(1));
    this.bias = parameter([channels], constant(0));
    this.groups = groups;
    this.eps = eps;
  }

  forward(x: Tensor): Tensor {
    return inGroups(x, this.groups, this.weight.size, this.eps, "GroupNorm").mul(this.weight).add(this.bias);
  }
}

/** Each group of channels of each sample made standard. */
export function inGroups(x: Tensor, groups: number, channels: number, eps: number, who: string): Tensor {
  checkTensor(x, who);
  if (x.shape.length < 2 || x.shape.at(-1) !== channels) refuse(who, `a batch (B, …, ${channels})`, x);
  const [B] = x.shape;
  const grouped = x.reshape([B, x.size / (B * channels), groups, channels / groups]);
  const { mean, variance } = moments(grouped, [1, 3]);
  return normalised(grouped, mean, variance, eps).reshape(x.shape);
}
