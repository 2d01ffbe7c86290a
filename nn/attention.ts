import { checkInteger, checkOptions, checkTensor, Tensor } from "../core/index.ts";
import { Dropout } from "./dropout.ts";
import { Linear } from "./linear.ts";
import { Module } from "./module.ts";
import { constant, parameter, xavier } from "./parameter.ts";

/**
 * Multi-head attention in PyTorch's packed layout: the rows of `in_proj_weight` are queries, then keys, then values.
 */
export class MultiheadAttention extends Module {
  in_proj_weight: Tensor; // (3 E, E)
  in_proj_bias: Tensor; // (3 E)
  out_proj: Linear;
  readonly heads: number;
  readonly dropout: Dropout;

  constructor(features: number, heads: number, options: { dropout?: number } = {}) {
    super();
    checkInteger(features, 1, "MultiheadAttention", "features");
    checkInteger(heads, 1, "MultiheadAttention", "heads");
    checkOptions(options, ["dropout"], "MultiheadAttention");
    if (features % heads !== 0) {
      throw new Error(`MultiheadAttention: ${heads} heads do not divide ${features} features`);
    }
    this.in_proj_weight = parameter([3 * features, features], xavier(features, 3 * features));
    this.in_proj_bias = parameter([3 * features], constant(0));
    this.out_proj = new Linear(features, features);
    this.out_proj.bias = parameter([features], constant(0));
    this.heads = heads;
    this.dropout = new Dropout(options.dropout ?? 0);
  }

  /** x (B, T, E) attends to memory (B, S, E) → (B, T, E) */
  forward(x: Tensor, memory: Tensor = x): Tensor {
    checkTensor(x, "MultiheadAttention");
    checkTensor(memory, "MultiheadAttention", "memory to be a tensor");
    const { B, T, E } = x.dims("B T E", "MultiheadAttention");
    memory.dims(`${B} S ${E}`, "MultiheadAttention: memory");
    const options = { heads: this.heads, width: E, dropout: this.dropout.active ?? undefined };
    if (memory === x) {
      const packed = x.linear(this.in_proj_weight, this.in_proj_bias); // (B, T, 3 E)
      return this.out_proj.forward(
        packed.attention(packed, packed, { ...options, keysAt: E, valuesAt: 2 * E }),
      );
    }
    if (memory.shape[1] === 1) return this.#toOneKey(T, memory);
    const queries = x.linear(...this.#rows(0, E)); // (B, T, E)
    const packed = memory.linear(...this.#rows(E, 3 * E)); // (B, S, 2 E)
    return this.out_proj.forward(queries.attention(packed, packed, { ...options, valuesAt: E }));
  }

  /**
   * Softmax over one key is 1, whatever the query: the result is that key's value, and neither queries nor keys are
   * computed. Their gradients are zero, as they would be.
   */
  #toOneKey(queries: number, memory: Tensor): Tensor {
    const { B, E } = memory.dims("B 1 E", "MultiheadAttention");
    const value = memory.linear(...this.#rows(2 * E, 3 * E)); // (B, 1, E)
    if (!this.dropout.active) return this.out_proj.forward(value).broadcastTo([B, queries, E]);
    const weights = this.dropout.forward(Tensor.ones([B, queries, this.heads, 1], memory.dtype));
    const seen = weights.mul(value.reshape([B, 1, this.heads, E / this.heads])); // (B, T, H, D)
    return this.out_proj.forward(seen.reshape([B, queries, E]));
  }

  /** Those rows of weight and bias. */
  #rows(start: number, end: number): [weight: Tensor, bias: Tensor] {
    return [this.in_proj_weight.slice(0, start, end), this.in_proj_bias.slice(0, start, end)];
  }
}
