import {
  checkInteger,
  checkOptions,
  checkTensor,
  checkWindow,
  refuse,
  type Tensor,
  type Window,
} from "../core/index.ts";
import { Module } from "./module.ts";
import { fanIn, parameter } from "./parameter.ts";
import { storedAs, weightParameter } from "./sealed.ts";

/** Axes of a weight in the order of the numbers of a patch. */
const PATCHES = [0, 2, 3, 1];

export interface ConvOptions extends Window {
  /**
   * Inputs and outputs are divided into so many groups of neighbours, and each output sees the inputs of its own; 1
   * unless given.
   */
  readonly groups?: number;
  /** Whether each output has a number of its own that is added; true unless given. */
  readonly bias?: boolean;
}

/** 2-D convolution of maps with channels last: (B, H, W, inputs) → (B, rows, columns, outputs). */
export class Conv2d extends Module {
  weight: Tensor; // (outputs, inputs/groups, kernel, kernel), as checkpoints store it, unless it is sealed
  declare bias?: Tensor; // (outputs)
  readonly inputs: number;
  readonly kernel: number;
  readonly stride: number;
  readonly padding: number;
  readonly groups: number;

  constructor(inputs: number, outputs: number, options: ConvOptions) {
    super();
    checkInteger(inputs, 1, "Conv2d", "inputs");
    checkInteger(outputs, 1, "Conv2d", "outputs");
    checkOptions(options, ["kernel", "stride", "padding", "groups", "bias"], "Conv2d");
    const { groups = 1, bias = true, ...window } = options;
    checkBias(bias, "Conv2d");
    checkInteger(groups, 1, "Conv2d", "groups");
    checkWindow(window, "Conv2d");
    if (inputs % groups !== 0 || outputs % groups !== 0)
      throw new Error(`Conv2d: ${groups} groups do not divide ${inputs} inputs and ${outputs} outputs`);
    const fan = (inputs / groups) * window.kernel ** 2;
    const shape = [outputs, inputs / groups, window.kernel, window.kernel];
    this.weight = groups === 1 ? weightParameter(shape, fanIn(fan), PATCHES) : parameter(shape, fanIn(fan));
    if (bias) this.bias = parameter([outputs], fanIn(fan));
    this.inputs = inputs;
    this.kernel = window.kernel;
    this.stride = window.stride;
    this.padding = window.padding;
    this.groups = groups;
  }

  forward(x: Tensor): Tensor {
    checkTensor(x, "Conv2d");
    const { inputs, kernel, stride, padding, weight } = this;
    x.dims(`B H W ${inputs}`, "Conv2d");
    const patches = x.unfold({ kernel, stride, padding }); // (B, rows, columns, kernel · kernel · inputs)
    if (this.groups > 1) return this.#inGroups(patches);
    const rows = storedAs(weight)
      ? weight
      : weight.permute(PATCHES).reshape([weight.shape[0], kernel * kernel * inputs]);
    return patches.linear(rows, this.bias);
  }

  /** A product for each group: its channels of the patches with its rows of the weight. */
  #inGroups(patches: Tensor): Tensor {
    const { groups: G, kernel, bias } = this;
    const [C, O] = [this.inputs / G, this.weight.shape[0] / G];
    const [B, rows, columns] = patches.shape;
    const pixels = B * rows * columns;
    const seen = patches
      .reshape([pixels, kernel * kernel, G, C])
      .permute([2, 0, 1, 3])
      .reshape([G, pixels, kernel * kernel * C]);
    const weight = this.weight.permute(PATCHES).reshape([G, O, kernel * kernel * C]);
    const products = seen.matmul(weight, { transposeB: true }); // (G, pixels, O)
    const out = products.permute([1, 0, 2]).reshape([B, rows, columns, G * O]);
    return bias ? out.add(bias) : out;
  }
}

export interface ConvTransposeOptions extends Window {
  /**
   * Rows and columns that the output has more at its lower right, fewer than the stride. A convolution maps several
   * sizes to one: this says to which of them to go back. 0 unless given.
   */
  readonly outputPadding?: number;
  /** Whether each output has a number of its own that is added; true unless given. */
  readonly bias?: boolean;
}

/**
 * Transposed 2-D convolution, the gradient of a convolution with the same window: every pixel of the input adds its
 * window to the output. (B, H, W, inputs) → (B, rows, columns, outputs), rows = (H − 1) stride − 2 padding + kernel +
 * outputPadding.
 */
export class ConvTranspose2d extends Module {
  weight: Tensor; // (inputs, outputs, kernel, kernel), as checkpoints store it
  declare bias?: Tensor; // (outputs)
  readonly window: Window;
  readonly outputPadding: number;

  constructor(inputs: number, outputs: number, options: ConvTransposeOptions) {
    super();
    checkInteger(inputs, 1, "ConvTranspose2d", "inputs");
    checkInteger(outputs, 1, "ConvTranspose2d", "outputs");
    checkOptions(options, ["kernel", "stride", "padding", "outputPadding", "bias"], "ConvTranspose2d");
    const { outputPadding = 0, bias = true, ...window } = options;
    checkBias(bias, "ConvTranspose2d");
    checkWindow(window, "ConvTranspose2d");
    checkInteger(outputPadding, 0, "ConvTranspose2d", "outputPadding", window.stride - 1);
    const { kernel } = window;
    const fan = outputs * kernel ** 2; // as PyTorch counts it: of the convolution that it is the gradient of
    this.weight = parameter([inputs, outputs, kernel, kernel], fanIn(fan));
    if (bias) this.bias = parameter([outputs], fanIn(fan));
    this.window = window;
    this.outputPadding = outputPadding;
  }

  forward(x: Tensor): Tensor {
    checkTensor(x, "ConvTranspose2d");
    const [inputs, outputs, kernel] = this.weight.shape;
    const { H, W } = x.dims(`B H W ${inputs}`, "ConvTranspose2d");
    const { stride, padding } = this.window;
    const along = (length: number): number =>
      (length - 1) * stride - 2 * padding + kernel + this.outputPadding;
    if (along(H) < 1 || along(W) < 1) refuse("ConvTranspose2d", "a map of which padding leaves something", x);
    const rows = this.weight.permute([2, 3, 1, 0]).reshape([kernel * kernel * outputs, inputs]);
    const patches = x.linear(rows); // (B, H, W, kernel · kernel · outputs)
    const out = patches.fold({ ...this.window, height: along(H), width: along(W) });
    return this.bias ? out.add(this.bias) : out;
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

function checkBias(bias: unknown, who: string): void {
  if (typeof bias !== "boolean") refuse(who, "bias to be true or false", bias);
}
