import { attentionWasm } from "../kernels/wasm/attention.ts";
import { apply, defineOp } from "../op.ts";
import { showShape } from "../shape.ts";
import { Tensor } from "../tensor.ts";

export interface AttentionOptions {
  readonly heads: number;
  /** Width of all heads together, E. */
  readonly width: number;
  /** Where queries start in a row of `from`, and keys and values in one of `to`. */
  readonly queries: number;
  readonly keys: number;
  readonly values: number;
  /** Query t sees keys 0 to t only. */
  readonly causal?: boolean;
}

const op = defineOp<AttentionOptions>({
  name: "attention",
  shape([from, to], { heads, width: E, queries, keys, values }) {
    const { B, T, W } = from.dims("B T W", "attention");
    const { B: same, S, V } = to.dims("B S V", "attention");
    const inside = queries + E <= W && keys + E <= V && values + E <= V;
    if (B !== same || S === 0 || E % heads !== 0 || !inside) {
      throw new Error(
        `attention: expected one batch, and queries from ${queries}, keys from ${keys}, values from ${values} on, ` +
          `${heads} heads in ${E} numbers each, got ${showShape(from.shape)} and ${showShape(to.shape)}`,
      );
    }
    return [B, T, E];
  },
  kernels: {
    js(out, [from, to], { heads, width: E, queries, keys, values, causal }) {
      const [B, T, W] = from.shape;
      const [, S, V] = to.shape;
      const d = E / heads;
      const weights = new Float64Array(S);
      for (let b = 0; b < B; b++)
        for (let h = 0; h < heads; h++)
          for (let t = 0; t < T; t++) {
            const count = causal ? Math.min(t + 1, S) : S;
            const q = (b * T + t) * W + queries + h * d;
            let most = -Infinity;
            for (let j = 0; j < count; j++) {
              const k = (b * S + j) * V + keys + h * d;
              let dot = 0;
              for (let i = 0; i < d; i++) dot += from.data[q + i] * to.data[k + i];
              weights[j] = dot;
              most = Math.max(most, dot);
            }
            let total = 0;
            for (let j = 0; j < count; j++) total += weights[j] = Math.exp(weights[j] - most);
            for (let i = 0; i < d; i++) {
              let sum = 0;
              for (let j = 0; j < count; j++)
                sum += weights[j] * to.data[(b * S + j) * V + values + h * d + i];
              out.data[(b * T + t) * E + h * d + i] = sum / total;
            }
          }
    },
    wasm: (out, [from, to], options) =>
      attentionWasm({ ...options, out, from, to, causal: options.causal ?? false }),
  },
  backward(dy, [from, to], _out, { heads, width: E, queries, keys, values, causal }, wants) {
    const [B, T] = dy.shape;
    const S = to.shape[1];
    const split = (x: Tensor, start: number, length: number): Tensor =>
      x
        .slice(2, start, start + E)
        .reshape([B, length, heads, E / heads])
        .permute([0, 2, 1, 3]); // (B, heads, length, d)
    const join = (x: Tensor, source: Tensor, start: number): Tensor =>
      x
        .permute([0, 2, 1, 3])
        .reshape([B, source.shape[1], E])
        .pad(2, start, source.shape[2] - start - E);
    const [q, k, v] = [split(from, queries, T), split(to, keys, S), split(to, values, S)];
    const logits = q.matmul(k, { transposeB: true });
    const weights = (causal ? logits.add(causalMask(T, S, dy.dtype)) : logits).softmax(); // (B, heads, T, S)
    const slope = split(dy, 0, T);
    const dWeights = slope.matmul(v, { transposeB: true });
    const dLogits = dWeights.sub(dWeights.mul(weights).sum([-1], true)).mul(weights);
    return [
      wants[0] ? join(dLogits.matmul(k), from, queries) : null,
      wants[1]
        ? join(dLogits.matmul(q, { transposeA: true }), to, keys).add(
            join(weights.matmul(slope, { transposeA: true }), to, values),
          )
        : null,
    ];
  },
  samples: [
    {
      ins: [
        [2, 3, 8],
        [2, 5, 16],
      ],
      attrs: { heads: 2, width: 8, queries: 0, keys: 8, values: 0 },
      range: [-2, 2],
    },
    {
      ins: [
        [1, 6, 9],
        [1, 6, 9],
      ],
      attrs: { heads: 1, width: 3, queries: 0, keys: 3, values: 6, causal: true },
    },
    {
      ins: [
        [1, 6, 24],
        [1, 6, 24],
      ],
      attrs: { heads: 1, width: 8, queries: 16, keys: 8, values: 0, causal: true },
    },
  ],
});

/** −∞ where key j comes after query t, else 0: (T, S). */
function causalMask(T: number, S: number, dtype: Tensor["dtype"]): Tensor {
  const mask = Tensor.zeros([T, S], dtype);
  for (let t = 0; t < T; t++)
    mask.data.fill(Number.NEGATIVE_INFINITY, t * S + Math.min(t + 1, S), (t + 1) * S);
  return mask;
}

/**
 * Attention, softmax(q kᵀ) v for every head (eq. 1 of arXiv:1706.03762, the scale being part of the queries), in one pass
 * from the rows that projections leave: from (B, T, ≥ E), to (B, S, ≥ E) → (B, T, E). Both may be one tensor.
 */
export const attention = (from: Tensor, to: Tensor, options: AttentionOptions): Tensor =>
  apply(op, [from, to], options);
