import { checkInteger, checkOptions, refuse } from "../check.ts";
import { apply, defineOp, sample } from "../op.ts";
import { showShape } from "../shape.ts";
import { Tensor } from "../tensor.ts";

export interface AttentionOptions {
  readonly heads: number;
  /** Width of all heads together, E. */
  readonly width: number;
  /** Where in the rows of each input its E numbers start; 0 unless given. */
  readonly queriesAt?: number;
  readonly keysAt?: number;
  readonly valuesAt?: number;
  /** Query t sees keys 0 to t only. */
  readonly causal?: boolean;
}

interface Attrs {
  readonly heads: number;
  readonly width: number;
  readonly at: readonly [queries: number, keys: number, values: number];
  readonly causal: boolean;
}

export const op = defineOp<Attrs>({
  name: "attention",
  shape([queries, keys, values], { heads, width: E, at }) {
    const { B, T } = queries.dims("B T W", "attention: queries");
    const { S } = keys.dims(`${B} S W`, "attention: keys");
    values.dims(`${B} ${S} W`, "attention: values");
    const inside = [queries, keys, values].every((x, i) => at[i] + E <= x.shape[2]);
    if (S === 0 || E % heads !== 0 || !inside) {
      throw new Error(
        `attention: expected ${heads} equal heads in ${E} numbers from ${at.join(", ")} on, and a key at least, got ` +
          [queries, keys, values].map((x) => showShape(x.shape)).join(", "),
      );
    }
    return [B, T, E];
  },
  kernels: {
    js(out, [queries, keys, values], { heads, width: E, at, causal }) {
      const [B, T] = queries.shape;
      const S = keys.shape[1];
      const d = E / heads;
      const weights = new Float64Array(S);
      for (let b = 0; b < B; b++)
        for (let h = 0; h < heads; h++)
          for (let t = 0; t < T; t++) {
            const count = causal ? Math.min(t + 1, S) : S;
            const place = (x: Tensor, row: number, i: number): number =>
              (b * x.shape[1] + row) * x.shape[2] + at[i] + h * d;
            const q = place(queries, t, 0);
            let most = -Infinity;
            for (let j = 0; j < count; j++) {
              const k = place(keys, j, 1);
              let dot = 0;
              for (let i = 0; i < d; i++) dot += queries.data[q + i] * keys.data[k + i];
              weights[j] = dot;
              most = Math.max(most, dot);
            }
            let total = 0;
            for (let j = 0; j < count; j++) total += weights[j] = Math.exp(weights[j] - most);
            for (let i = 0; i < d; i++) {
              let sum = 0;
              for (let j = 0; j < count; j++) sum += weights[j] * values.data[place(values, j, 2) + i];
              out.data[(b * T + t) * E + h * d + i] = sum / total;
            }
          }
    },
  },
  backward(dy, ins, _out, { heads, width: E, at, causal }, wants) {
    const [B, T] = dy.shape;
    const S = ins[1].shape[1];
    const split = (x: Tensor, start: number): Tensor =>
      x
        .slice(2, start, start + E)
        .reshape([B, x.shape[1], heads, E / heads])
        .permute([0, 2, 1, 3]); // (B, heads, length, d)
    const join = (x: Tensor, i: number): Tensor =>
      x
        .permute([0, 2, 1, 3])
        .reshape([B, ins[i].shape[1], E])
        .pad(2, at[i], ins[i].shape[2] - at[i] - E);
    const [q, k, v] = ins.map((x, i) => split(x, at[i]));
    const logits = q.matmul(k, { transposeB: true });
    const weights = (causal ? logits.add(causalMask(T, S, dy.dtype)) : logits).softmax(); // (B, heads, T, S)
    const slope = split(dy, 0);
    const dWeights = slope.matmul(v, { transposeB: true });
    const dLogits = dWeights.sub(dWeights.mul(weights).sum([-1], true)).mul(weights);
    return [
      wants[0] ? join(dLogits.matmul(k), 0) : null,
      wants[1] ? join(dLogits.matmul(q, { transposeA: true }), 1) : null,
      wants[2] ? join(weights.matmul(slope, { transposeA: true }), 2) : null,
    ];
  },
  samples: [
    {
      ...sample([2, 3, 8], [2, 5, 16], [2, 5, 8]),
      attrs: { heads: 2, width: 8, at: [0, 8, 0], causal: false },
      range: [-2, 2],
    },
    {
      ...sample([1, 6, 4], [1, 6, 6], [1, 6, 3]),
      attrs: { heads: 1, width: 3, at: [1, 3, 0], causal: true },
    },
    {
      ...sample([1, 6, 24], [1, 6, 8], [1, 6, 16]),
      attrs: { heads: 1, width: 8, at: [16, 0, 8], causal: true },
    },
  ],
});

/** −∞ where key j comes after query t, else 0: (T, S). */
function causalMask(T: number, S: number, dtype: Tensor["dtype"]): Tensor {
  const mask = new Float32Array(T * S);
  for (let t = 0; t < T; t++) mask.fill(Number.NEGATIVE_INFINITY, t * S + Math.min(t + 1, S), (t + 1) * S);
  return Tensor.from(mask, [T, S], dtype);
}

/**
 * Attention, softmax(q kᵀ) v for every head (eq. 1 of arXiv:1706.03762, the scale being part of the queries), in one pass
 * from the rows that projections leave: queries (B, T, ≥ E), keys and values (B, S, ≥ E) → (B, T, E). They may be one
 * tensor.
 */
export function attention(queries: Tensor, keys: Tensor, values: Tensor, options: AttentionOptions): Tensor {
  checkOptions(options, OPTIONS, "attention");
  const { heads, width, queriesAt = 0, keysAt = 0, valuesAt = 0, causal = false } = options;
  const at = [queriesAt, keysAt, valuesAt] as const;
  checkInteger(heads, 1, "attention", "heads");
  checkInteger(width, 1, "attention", "width");
  for (const start of at) checkInteger(start, 0, "attention", "starts");
  if (typeof causal !== "boolean") refuse("attention", "causal to be true or false", causal);
  return apply(op, [queries, keys, values], { heads, width, at, causal });
}

const OPTIONS = ["heads", "width", "queriesAt", "keysAt", "valuesAt", "causal"];
