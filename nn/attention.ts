import { checkFinite, checkInteger, checkOptions, checkTensor, showShape, Tensor } from "../core/index.ts";
import { Dropout } from "./dropout.ts";
import { Linear } from "./linear.ts";
import { Module } from "./module.ts";
import { constant, parameter, xavier } from "./parameter.ts";

/**
 * softmax(q kᵀ scale + bias) v for every head, eq. 1 of arXiv:1706.03762:
 * q (B, H, T, D), k and v (B, H, S, D), bias broadcast to (B, H, T, S) → (B, H, T, D).
 */
export function attend(
  q: Tensor,
  k: Tensor,
  v: Tensor,
  scale: number,
  options: { bias?: Tensor; dropout?: Dropout } = {},
): Tensor {
  for (const x of [q, k, v]) checkTensor(x, "attend");
  checkFinite(scale, "attend", "scale");
  checkOptions(options, ["bias", "dropout"], "attend");
  const { bias, dropout } = options;
  const logits = q.matmul(k, { transposeB: true }).scale(scale); // (B, H, T, S)
  const weights = (bias ? logits.add(bias) : logits).softmax();
  return (dropout ? dropout.forward(weights) : weights).matmul(v);
}

/** (B, T, H · D) → (B, H, T, D) */
export function splitHeads(x: Tensor, heads: number): Tensor {
  checkTensor(x, "splitHeads");
  checkInteger(heads, 1, "splitHeads", "heads");
  const { B, T, C } = x.dims("B T C", "splitHeads");
  if (C % heads !== 0)
    throw new Error(`splitHeads: expected rows of ${heads} equal heads, got ${showShape(x.shape)}`);
  return x.reshape([B, T, heads, C / heads]).permute([0, 2, 1, 3]);
}

/** (B, H, T, D) → (B, T, H · D) */
export function joinHeads(x: Tensor): Tensor {
  checkTensor(x, "joinHeads");
  const { B, H, T, D } = x.dims("B H T D", "joinHeads");
  return x.permute([0, 2, 1, 3]).reshape([B, T, H * D]);
}

/** Multi-head attention in PyTorch's packed layout: the rows of `in_proj_weight` are queries, then keys, then values. */
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
    const scale = Math.sqrt(this.heads / E);
    if (memory === x) {
      const packed = x.linear(this.in_proj_weight, this.in_proj_bias); // (B, T, 3 E)
      const dropout = this.dropout.active ?? undefined;
      return this.out_proj.forward(packed.selfAttention({ heads: this.heads, scale, dropout }));
    }
    if (memory.shape[1] === 1) return this.#toOneKey(T, memory);
    const q = splitHeads(x.linear(...this.#rows(0, E)), this.heads); // (B, H, T, D)
    const k = splitHeads(memory.linear(...this.#rows(1, E)), this.heads); // (B, H, S, D)
    const v = splitHeads(memory.linear(...this.#rows(2, E)), this.heads);
    return this.out_proj.forward(joinHeads(attend(q, k, v, scale, { dropout: this.dropout })));
  }

  /**
   * Softmax over one key is 1, whatever the query: the result is that key's value, and neither queries nor keys are
   * computed. Their gradients are zero, as they would be.
   */
  #toOneKey(queries: number, memory: Tensor): Tensor {
    const { B, E } = memory.dims("B 1 E", "MultiheadAttention");
    const value = memory.linear(...this.#rows(2, E)); // (B, 1, E)
    if (!this.dropout.active) return this.out_proj.forward(value).broadcastTo([B, queries, E]);
    const weights = this.dropout.forward(Tensor.ones([B, queries, this.heads, 1], memory.dtype));
    const seen = weights.mul(value.reshape([B, 1, this.heads, E / this.heads])); // (B, T, H, D)
    return this.out_proj.forward(seen.reshape([B, queries, E]));
  }

  /** Weight and bias of the queries (0), keys (1) or values (2). */
  #rows(part: number, E: number): [weight: Tensor, bias: Tensor] {
    return [
      this.in_proj_weight.slice(0, part * E, (part + 1) * E),
      this.in_proj_bias.slice(0, part * E, (part + 1) * E),
    ];
  }
}
