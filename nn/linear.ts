import type { Tensor } from "../core/index.ts";
import { Module } from "./module.ts";
import { fanIn, parameter } from "./parameter.ts";

/** y = x Wᵀ + b over the last axis: (…, inputs) → (…, outputs). */
export class Linear extends Module {
  weight: Tensor; // (outputs, inputs)
  declare bias?: Tensor; // (outputs)

  constructor(inputs: number, outputs: number, { bias = true } = {}) {
    super();
    this.weight = parameter([outputs, inputs], fanIn(inputs));
    if (bias) this.bias = parameter([outputs], fanIn(inputs));
  }

  forward(x: Tensor): Tensor {
    return x.linear(this.weight, this.bias);
  }
}
