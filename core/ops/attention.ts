import { type Attention, composed, derivative } from "../attention.ts";
import { checkInteger, checkOptions, checkPositive, refuse } from "../check.ts";
import { type Block, onDevice } from "../device.ts";
import type { TensorData } from "../dtype.ts";
import { apply, defineOp, type Op, sample } from "../op.ts";
import type { Random } from "../random.ts";
import { broadcastShapes, broadcastStrides, sameShape, showShape } from "../shape.ts";
import { checkTensor, Tensor } from "../tensor.ts";

export interface AttentionOptions {
  readonly heads: number;
  /** Width of all heads together, E; that of the queries' rows unless given. */
  readonly width?: number;
  /** Of the scores; 1/√(width of a head) unless given. */
  readonly scale?: number;
  /** Where in the rows of each input its E numbers start; 0 unless given. */
  readonly queriesAt?: number;
  readonly keysAt?: number;
  readonly valuesAt?: number;
  /** Query t sees keys 0 to t only. */
  readonly causal?: boolean;
  /** Added to the scores; broadcasts to (B, heads, T, S). */
  readonly bias?: Tensor;
  /** Drops attention weights: probability, and where the masks come from. */
  readonly dropout?: { readonly p: number; readonly random: Random };
}

export const op: Op<Attention> = defineOp<Attention>({
  name: "attention",
  shape(ins, attrs) {
    const { B, T } = sizes(ins, attrs);
    return [B, T, attrs.width];
  },
  kernels: {
    js(out, ins, attrs) {
      const [Y, M] = [out.data, attrs.mask === null ? null : ins[attrs.mask].data];
      eachHead(ins, attrs, ({ weights, values: v, row, from, T, S, d }) => {
        for (let t = 0; t < T; t++)
          for (let i = 0; i < d; i++) {
            let sum = 0;
            for (let j = 0; j < S; j++)
              sum += weights[t * S + j] * (M ? M[(row + t) * S + j] : 1) * v.data[v.from + j * v.step + i];
            Y[from + t * attrs.width + i] = sum;
          }
      });
    },
  },
  backward: (dy, ins, _out, attrs, wants) =>
    ins.map((_, wanted) => {
      if (!wants[wanted]) return null;
      if (wanted !== attrs.bias && wanted !== attrs.mask)
        return apply(slopeOp, [dy, ...ins], { ...attrs, wanted });
      return derivative((own) => composed(own, attrs), ins, dy)[wanted];
    }),
  samples: [
    { ...sample([2, 3, 12]), attrs: packed({ heads: 2, width: 4, scale: 0.7 }) },
    { ...sample([1, 5, 6]), attrs: packed({ heads: 1, width: 2, scale: 0.6, causal: true }) },
    {
      ...sample([2, 2, 4], [2, 3, 9], [2, 1, 1, 3], [2, 2, 2, 3]),
      attrs: {
        ...packed({ heads: 2, width: 4, scale: 1, bias: 2, mask: 3 }),
        parts: [
          { input: 0, at: 0 },
          { input: 1, at: 5 },
          { input: 1, at: 0 },
        ],
      },
      range: [-2, 2],
    },
    {
      ...sample([1, 3, 4], [1, 4, 6], [1, 4, 3]),
      attrs: { ...packed({ heads: 1, width: 3, scale: 1, causal: true }), parts: apart(1, 3, 0) },
    },
    {
      ...sample([1, 2, 8], [1, 1, 4], [1, 1, 8]),
      attrs: { ...packed({ heads: 1, width: 4, scale: 1 }), parts: apart(4, 0, 4) },
    },
  ],
});

/** The gradient for one of the inputs that hold queries, keys or values. */
interface Slope extends Attention {
  readonly wanted: number;
}

/** Inputs: the gradient for the output, then the inputs of the op. */
export const slopeOp: Op<Slope> = defineOp<Slope>({
  name: "attentionSlope",
  shape: (ins, { wanted }) => ins[1 + wanted].shape,
  kernels: {
    js(out, [dy, ...ins], { wanted, ...attrs }) {
      const [D, M] = [dy.data, attrs.mask === null ? null : ins[attrs.mask].data];
      const G = new Float64Array(out.size);
      const [toQueries, toKeys, toValues] = attrs.parts.map(({ input }) => input === wanted);
      eachHead(ins, attrs, ({ weights, queries: q, keys: k, values: v, row, from, T, S, d }) => {
        for (let t = 0; t < T; t++) {
          const slopes = new Float64Array(S); // for the weights, then for the scores
          let total = 0;
          for (let j = 0; j < S; j++) {
            const factor = M ? M[(row + t) * S + j] : 1;
            for (let i = 0; i < d; i++) {
              const dOut = D[from + t * attrs.width + i];
              slopes[j] += factor * dOut * v.data[v.from + j * v.step + i];
              if (toValues) G[v.from + j * v.step + i] += factor * weights[t * S + j] * dOut;
            }
            total += slopes[j] * weights[t * S + j];
          }
          for (let j = 0; j < S; j++) {
            const slope = (slopes[j] - total) * weights[t * S + j] * attrs.scale;
            const [atQuery, atKey] = [q.from + t * q.step, k.from + j * k.step];
            for (let i = 0; i < d; i++) {
              if (toQueries) G[atQuery + i] += slope * k.data[atKey + i];
              if (toKeys) G[atKey + i] += slope * q.data[atQuery + i];
            }
          }
        }
      });
      out.data.set(G);
    },
  },
  backward(r, ins, _out, { wanted, ...attrs }, wants) {
    const slope = ([dy, ...own]: readonly Tensor[]): Tensor =>
      derivative((inputs) => composed(inputs, attrs), own, dy)[wanted] as Tensor;
    return derivative(slope, ins, r).map((part, i) => (wants[i] ? part : null));
  },
  samples: [
    {
      ...sample([1, 3, 4], [1, 3, 13]),
      attrs: { ...packed({ heads: 1, width: 4, scale: 0.6, causal: true }), wanted: 0 },
    },
    ...[0, 1, 2].map((wanted) => ({
      ...sample([1, 2, 4], [1, 2, 4], [1, 3, 4], [1, 3, 5], [2, 3], [1, 2, 2, 3]),
      attrs: {
        ...packed({ heads: 2, width: 4, scale: 0.5, bias: 3, mask: 4 }),
        parts: apart(0, 0, 1),
        wanted,
      },
    })),
  ],
});

/** For samples: queries, keys and values side by side in the rows of one input. */
function packed(given: Pick<Attention, "heads" | "width" | "scale"> & Partial<Attention>): Attention {
  const parts = [0, 1, 2].map((i) => ({ input: 0, at: i * given.width })) as unknown as Attention["parts"];
  return { causal: false, bias: null, mask: null, parts, ...given };
}

/** For samples: an input for each of queries, keys and values, and where in its rows they start. */
function apart(...at: [queries: number, keys: number, values: number]): Attention["parts"] {
  return at.map((start, input) => ({ input, at: start })) as unknown as Attention["parts"];
}

interface Sizes {
  readonly B: number;
  readonly T: number;
  readonly S: number;
}

/** How many samples, queries and keys there are. Throws for inputs that do not fit. */
function sizes(ins: readonly Tensor[], { heads, width: E, parts, bias, mask }: Attention): Sizes {
  const rows = parts.map(({ input }) => ins[input]);
  const [queries, keys, values] = rows;
  const { B, T } = queries.dims("B T W", "attention: queries");
  const { S } = keys.dims(`${B} S W`, "attention: keys");
  values.dims(`${B} ${S} W`, "attention: values");
  const inside = rows.every((x, i) => parts[i].at + E <= x.shape[2]);
  if (S === 0 || E % heads !== 0 || !inside) {
    throw new Error(
      `attention: expected ${heads} equal heads in ${E} numbers from ${parts.map(({ at }) => at).join(", ")} on, and a key at least, got ` +
        rows.map((x) => showShape(x.shape)).join(", "),
    );
  }
  const scores = [B, heads, T, S];
  if (bias !== null && !sameShape(broadcastShapes(ins[bias].shape, scores, "attention: bias"), scores))
    throw new Error(
      `attention: expected a bias that broadcasts to ${showShape(scores)}, got ${showShape(ins[bias].shape)}`,
    );
  if (mask !== null) ins[mask].dims(`${B} ${heads} ${T} ${S}`, "attention: mask");
  return { B, T, S };
}

/** Number i of row t of a head is data[from + t · step + i]. */
interface Rows {
  readonly data: TensorData;
  readonly from: number;
  readonly step: number;
}

interface Head extends Omit<Sizes, "B"> {
  /** Softmax of the scores, (T, S). */
  readonly weights: Float64Array;
  readonly queries: Rows;
  readonly keys: Rows;
  readonly values: Rows;
  /** The head's first row in the mask; its first number in the output. */
  readonly row: number;
  readonly from: number;
  readonly d: number;
}

/** Calls `visit` for every head of every sample, with its weights in double precision. */
function eachHead(ins: readonly Block[], attrs: Attention, visit: (head: Head) => void): void {
  const { heads, width: E, scale, causal, parts, bias } = attrs;
  const [B, T] = ins[parts[0].input].shape;
  const S = ins[parts[1].input].shape[1];
  const d = E / heads;
  const weights = new Float64Array(T * S);
  const added = bias === null ? null : ins[bias].data;
  const strides = bias === null ? [0, 0, 0, 0] : broadcastStrides(ins[bias].shape, [B, heads, T, S]);
  for (let b = 0; b < B; b++)
    for (let h = 0; h < heads; h++) {
      const [queries, keys, values] = parts.map(({ input, at }): Rows => {
        const [, length, step] = ins[input].shape;
        return { data: ins[input].data, from: b * length * step + at + h * d, step };
      });
      for (let t = 0; t < T; t++) {
        const seen = causal ? Math.min(t + 1, S) : S;
        const row = weights.subarray(t * S, (t + 1) * S).fill(0);
        let most = -Infinity;
        for (let j = 0; j < seen; j++) {
          let dot = 0;
          for (let i = 0; i < d; i++)
            dot +=
              queries.data[queries.from + t * queries.step + i] * keys.data[keys.from + j * keys.step + i];
          row[j] = dot * scale;
          if (added) row[j] += added[b * strides[0] + h * strides[1] + t * strides[2] + j * strides[3]];
          most = Math.max(most, row[j]);
        }
        let total = 0;
        for (let j = 0; j < seen; j++) total += row[j] = Math.exp(row[j] - most);
        for (let j = 0; j < seen; j++) row[j] /= total;
      }
      const places = { row: (b * heads + h) * T, from: b * T * E + h * d };
      visit({ weights, queries, keys, values, ...places, T, S, d });
    }
}

/**
 * Attention (eq. 1 of arXiv:1706.03762), softmax(scale q kᵀ + bias) v for every head, on rows as projections leave them:
 * queries (B, T, ≥ E), keys and values (B, S, ≥ E) → (B, T, E). They may be one tensor, as in
 * `x.attention(x, x, { heads, width: E, keysAt: E, valuesAt: 2 * E })`.
 */
export function attention(queries: Tensor, keys: Tensor, values: Tensor, options: AttentionOptions): Tensor {
  checkTensor(keys, "attention", "keys to be a tensor");
  checkTensor(values, "attention", "values to be a tensor");
  checkOptions(options, OPTIONS, "attention");
  const { heads, width = queries.shape.at(-1) as number, causal = false, bias, dropout } = options;
  checkInteger(heads, 1, "attention", "heads");
  checkInteger(width, 1, "attention", "width");
  const { scale = Math.sqrt(heads / width), queriesAt = 0, keysAt = 0, valuesAt = 0 } = options;
  checkPositive(scale, "attention", "scale");
  for (const start of [queriesAt, keysAt, valuesAt]) checkInteger(start, 0, "attention", "starts");
  if (typeof causal !== "boolean") refuse("attention", "causal to be true or false", causal);

  const ins = [...new Set([queries, keys, values])];
  const part = (x: Tensor, at: number) => ({ input: ins.indexOf(x), at });
  const parts = [part(queries, queriesAt), part(keys, keysAt), part(values, valuesAt)] as const;
  if (bias) checkTensor(bias, "attention", "bias to be a tensor");
  const attrs = { heads, width, scale, causal, parts, bias: bias ? ins.push(bias) - 1 : null, mask: null };
  if (!dropout) return apply(op, ins, attrs);
  const { B, T, S } = sizes(ins, attrs);
  const ones = onDevice(queries.device, () => Tensor.ones([B, heads, T, S], queries.dtype));
  const mask = ones.dropout(dropout.p, dropout.random);
  return apply(op, [...ins, mask], { ...attrs, mask: ins.length });
}

const OPTIONS = [
  ...["heads", "width", "scale", "queriesAt", "keysAt", "valuesAt"],
  ...["causal", "bias", "dropout"],
];
