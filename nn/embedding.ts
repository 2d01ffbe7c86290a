import { checkInteger, checkOptions, checkTensor, type Tensor } from "../core/index.ts";
import { Module } from "./module.ts";
import { gaussian, parameter } from "./parameter.ts";
import { weightParameter } from "./sealed.ts";

/**
 * A table of vectors looked up by number: int32 (…) → (…, features). The row `padding`, if any, gets no gradient. A
 * `large` one is sealed where modules are built for inference (`forInference`).
 */
export class Embedding extends Module {
  weight: Tensor; // (rows, features)
  readonly padding?: number;

  constructor(rows: number, features: number, options: { padding?: number; large?: boolean } = {}) {
    super();
    checkInteger(rows, 1, "Embedding", "rows");
    checkInteger(features, 1, "Embedding", "features");
    checkOptions(options, ["padding", "large"], "Embedding");
    const { padding, large = false } = options;
    if (padding !== undefined) checkInteger(padding, 0, "Embedding", "padding", rows - 1);
    this.padding = padding;
    this.weight = (large ? weightParameter : parameter)([rows, features], gaussian(1));
  }

  forward(ids: Tensor): Tensor {
    checkTensor(ids, "Embedding");
    return this.weight.gatherRows(ids, this.padding);
  }
}
