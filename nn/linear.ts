import { checkInteger, checkOptions, checkTensor, refuse, type Tensor } from "../core/index.ts";
import { Module } from "./module.ts";
import { fanIn, parameter } from "./parameter.ts";
import { weightParameter } from "./sealed.ts";

/** y = x Wᵀ + b over the last axis: (…, inputs) → (…, outputs). */
export class Linear extends Module {
  weight: Tensor; // (outputs, inputs)
  declare bias?: Tensor; // (outputs)

  constructor(inputs: number, outputs: number, options: { bias?: boolean } = {}) {
    super();
    checkInteger(inputs, 1, "Linear", "inputs");
    checkInteger(outputs, 0, "Linear", "outputs");
    checkOptions(options, ["bias"], "Linear");
    const { bias = true } = options;
    if (typeof bias !== "boolean") refuse("Linear", "bias to be true or false", bias);
    this.weight = weightParameter([outputs, inputs], fanIn(inputs));
    if (bias) this.bias = parameter([outputs], fanIn(inputs));
  }

  forward(x: Tensor): Tensor {
    checkTensor(x, "Linear");
    return x.linear(this.weight, this.bias);
  }
}
