import { checkInteger, checkTensor, type Tensor } from "../core/index.ts";
import { Linear } from "./linear.ts";
import { Module } from "./module.ts";

/**
 * Linear – GELU – Linear over the last axis: (…, features) → (…, features), as transformers and vision towers use it.
 */
export class Mlp extends Module {
  fc1: Linear;
  fc2: Linear;

  constructor(features: number, hidden: number) {
    super();
    checkInteger(features, 1, "Mlp", "features");
    checkInteger(hidden, 1, "Mlp", "hidden");
    this.fc1 = new Linear(features, hidden);
    this.fc2 = new Linear(hidden, features);
  }

  forward(x: Tensor): Tensor {
    checkTensor(x, "Mlp");
    return this.fc2.forward(this.fc1.forward(x).gelu());
  }
}
