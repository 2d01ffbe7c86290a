import { checkFunction, checkTensor, refuse, type Tensor } from "../core/index.ts";
import { Module } from "./module.ts";

/** Anything with `forward(x)`; functions without parameters, such as activations, are written as `Lambda`. */
export interface Layer extends Module {
  forward(x: Tensor): Tensor;
}

/** A function as a layer, so that it takes a place in a `Sequential` without adding names. */
export class Lambda extends Module {
  readonly #f: (x: Tensor) => Tensor;

  constructor(f: (x: Tensor) => Tensor) {
    super();
    checkFunction(f, "Lambda", "f");
    this.#f = f;
  }

  forward(x: Tensor): Tensor {
    return this.#f(x);
  }
}

/** Applies layers in turn. Its tensors are named by position (`0.weight`, `2.bias`), as PyTorch names them. */
export class Sequential extends Module {
  [position: number]: Layer;
  readonly length: number;

  constructor(...layers: Layer[]) {
    super();
    layers.forEach((layer, i) => {
      if (!(layer instanceof Module)) refuse("Sequential", "modules (Lambda makes one of a function)", layer);
      this[i] = layer;
    });
    this.length = layers.length;
  }

  forward(x: Tensor): Tensor {
    checkTensor(x, "Sequential");
    let y = x;
    for (let i = 0; i < this.length; i++) y = this[i].forward(y);
    return y;
  }
}
