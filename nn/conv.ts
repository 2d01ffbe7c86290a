import { checkInteger, checkTensor, checkWindow, type Tensor, type Window } from "../core/index.ts";
import { Module } from "./module.ts";
import { fanIn, parameter } from "./parameter.ts";
import { storedAs, weightParameter } from "./sealed.ts";

/** Axes of a weight in the order of the numbers of a patch. */
const PATCHES = [0, 2, 3, 1];

/** 2-D convolution of maps with channels last: (B, H, W, inputs) → (B, rows, columns, outputs). */
export class Conv2d extends Module {
  weight: Tensor; // (outputs, inputs, kernel, kernel), as checkpoints store it, unless it is sealed
  bias: Tensor;
  readonly inputs: number;
  readonly kernel: number;
  readonly stride: number;
  readonly padding: number;

  constructor(inputs: number, outputs: number, window: Window) {
    super();
    checkInteger(inputs, 1, "Conv2d", "inputs");
    checkInteger(outputs, 1, "Conv2d", "outputs");
    checkWindow(window, "Conv2d");
    const fan = inputs * window.kernel ** 2;
    this.weight = weightParameter([outputs, inputs, window.kernel, window.kernel], fanIn(fan), PATCHES);
    this.bias = parameter([outputs], fanIn(fan));
    this.inputs = inputs;
    this.kernel = window.kernel;
    this.stride = window.stride;
    this.padding = window.padding;
  }

  forward(x: Tensor): Tensor {
    checkTensor(x, "Conv2d");
    const { inputs, kernel, stride, padding, weight } = this;
    x.dims(`B H W ${inputs}`, "Conv2d");
    const patches = x.unfold({ kernel, stride, padding }); // (B, rows, columns, kernel · kernel · inputs)
    const rows = storedAs(weight)
      ? weight
      : weight.permute(PATCHES).reshape([this.bias.size, kernel * kernel * inputs]);
    return patches.linear(rows, this.bias);
  }
}

/** 3×3 convolution of each channel by itself, stride 1, padding 1: (B, H, W, C) → same. */
export class DepthwiseConv2d extends Module {
  weight: Tensor; // (C, 1, 3, 3), as checkpoints store it
  bias: Tensor;

  constructor(channels: number) {
    super();
    checkInteger(channels, 1, "DepthwiseConv2d", "channels");
    this.weight = parameter([channels, 1, 3, 3], fanIn(9));
    this.bias = parameter([channels], fanIn(9));
  }

  forward(x: Tensor): Tensor {
    checkTensor(x, "DepthwiseConv2d");
    const taps = this.weight.permute([2, 3, 1, 0]).reshape([3, 3, this.bias.size]);
    return x.depthwiseConv(taps).add(this.bias);
  }
}
