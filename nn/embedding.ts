import type { Tensor } from "../core/index.ts";
import { Module } from "./module.ts";
import { gaussian, parameter } from "./parameter.ts";

/** A table of vectors looked up by number: int32 (…) → (…, features). The row `padding`, if any, gets no gradient. */
export class Embedding extends Module {
  weight: Tensor; // (rows, features)
  readonly padding?: number;

  constructor(rows: number, features: number, { padding }: { padding?: number } = {}) {
    super();
    this.padding = padding;
    this.weight = parameter([rows, features], gaussian(1));
  }

  forward(ids: Tensor): Tensor {
    return this.weight.gatherRows(ids, this.padding);
  }
}
