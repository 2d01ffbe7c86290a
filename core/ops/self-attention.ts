import { grad } from "../autograd.ts";
import { checkInteger, checkOptions, checkPositive } from "../check.ts";
import { selfAttentionFits } from "../cpu/kernels/self-attention.ts";
import { apply, defineOp, type Op, sample, withGradients } from "../op.ts";
import type { Random } from "../random.ts";
import { showShape } from "../shape.ts";
import { Tensor } from "../tensor.ts";

interface Heads {
  readonly heads: number;
  /** Of the scores; positive. */
  readonly scale: number;
}

export interface SelfAttentionOptions extends Heads {
  /** Drops attention weights: probability, and where the masks come from. */
  readonly dropout?: { readonly p: number; readonly random: Random };
}

/** T filled up to whole vectors: the length of a mask's rows. */
const filled = (T: number): number => Math.ceil(T / 4) * 4;

// Inputs: packed (B, T, 3 E), whose rows are queries, keys, values; and maybe a mask (B, heads, T, filled T).
export const op: Op<Heads> = defineOp<Heads>({
  name: "selfAttention",
  shape([packed, mask], { heads }) {
    const { B, T, W } = packed.dims("B T W", "selfAttention");
    mask?.dims(`${B} ${heads} ${T} ${filled(T)}`, "selfAttention: mask");
    return [B, T, W / 3];
  },
  kernels: {
    js(out, [packed, mask], { heads, scale }) {
      const [X, Y, M] = [packed.data, out.data, mask?.data];
      eachHead(packed, heads, scale, (weights, { v, o, row, d, T, W }) => {
        for (let t = 0; t < T; t++)
          for (let i = 0; i < d; i++) {
            let sum = 0;
            for (let j = 0; j < T; j++)
              sum += weights[t * T + j] * (M ? M[(row + t) * filled(T) + j] : 1) * X[v + j * W + i];
            Y[o + (t * W) / 3 + i] = sum;
          }
      });
    },
  },
  backward: (dy, [packed, mask], _out, attrs, wants) => [
    wants[0] ? apply(slopeOp, mask ? [dy, packed, mask] : [dy, packed], attrs) : null,
    mask && wants[1] ? derivative((inputs) => composed(inputs, attrs), [packed, mask], dy)[1] : null,
  ],
  samples: [
    { ...sample([2, 3, 24]), attrs: { heads: 2, scale: 0.7 } },
    { ...sample([1, 5, 12], [1, 1, 5, 8]), attrs: { heads: 1, scale: 0.5 } },
    { ...sample([1, 4, 9]), attrs: { heads: 1, scale: 0.6 } },
    { ...sample([1, 18, 12]), attrs: { heads: 1, scale: 0.6 } },
  ],
});

/** The gradient for `packed`: inputs are the one for the output, then those of the op. */
export const slopeOp: Op<Heads> = defineOp<Heads>({
  name: "selfAttentionSlope",
  shape: ([, packed]) => packed.shape,
  kernels: {
    js(out, [dy, packed, mask], { heads, scale }) {
      const [X, D, G, M] = [packed.data, dy.data, out.data.fill(0), mask?.data];
      eachHead(packed, heads, scale, (weights, { q, k, v, o, row, d, T, W }) => {
        for (let t = 0; t < T; t++) {
          const slopes = new Float64Array(T); // for the weights, then for the scores
          let total = 0;
          for (let j = 0; j < T; j++) {
            const factor = M ? M[(row + t) * filled(T) + j] : 1;
            for (let i = 0; i < d; i++) {
              const dOut = D[o + (t * W) / 3 + i];
              slopes[j] += factor * dOut * X[v + j * W + i];
              G[v + j * W + i] += factor * weights[t * T + j] * dOut;
            }
            total += slopes[j] * weights[t * T + j];
          }
          for (let j = 0; j < T; j++) {
            const slope = (slopes[j] - total) * weights[t * T + j] * scale;
            for (let i = 0; i < d; i++) {
              G[q + t * W + i] += slope * X[k + j * W + i];
              G[k + j * W + i] += slope * X[q + t * W + i];
            }
          }
        }
      });
    },
  },
  backward(r, ins, _out, attrs, wants) {
    const slope = ([dy, ...inputs]: readonly Tensor[]): Tensor =>
      derivative((own) => composed(own, attrs), inputs, dy)[0] as Tensor;
    return derivative(slope, ins, r).map((part, i) => (wants[i] ? part : null));
  },
  samples: [
    { ...sample([2, 3, 8], [2, 3, 24]), attrs: { heads: 2, scale: 0.7 } },
    { ...sample([1, 5, 4], [1, 5, 12], [1, 1, 5, 8]), attrs: { heads: 1, scale: 0.5 } },
    { ...sample([1, 18, 4], [1, 18, 12]), attrs: { heads: 1, scale: 0.6 } },
  ],
});

/** Where the numbers of one head of one sample start, and how far its rows are apart (W; W/3 in the output). */
interface Place {
  readonly q: number;
  readonly k: number;
  readonly v: number;
  readonly o: number;
  /** First row of the mask. */
  readonly row: number;
  readonly d: number;
  readonly T: number;
  readonly W: number;
}

/** Calls `visit` with the attention weights (T, T) of every head of every sample, in double precision. */
function eachHead(
  packed: Tensor,
  heads: number,
  scale: number,
  visit: (weights: Float64Array, place: Place) => void,
): void {
  const [B, T, W] = packed.shape;
  const [E, d] = [W / 3, W / 3 / heads];
  const X = packed.data;
  const weights = new Float64Array(T * T);
  for (let b = 0; b < B; b++)
    for (let h = 0; h < heads; h++) {
      const q = b * T * W + h * d;
      for (let t = 0; t < T; t++) {
        let most = -Infinity;
        for (let j = 0; j < T; j++) {
          let dot = 0;
          for (let i = 0; i < d; i++) dot += X[q + t * W + i] * X[q + E + j * W + i];
          weights[t * T + j] = dot * scale;
          most = Math.max(most, dot * scale);
        }
        let total = 0;
        for (let j = 0; j < T; j++) total += weights[t * T + j] = Math.exp(weights[t * T + j] - most);
        for (let j = 0; j < T; j++) weights[t * T + j] /= total;
      }
      visit(weights, { q, k: q + E, v: q + 2 * E, o: b * T * E + h * d, row: (b * heads + h) * T, d, T, W });
    }
}

/** The same in other ops: what the gradient's gradient is found from, and what runs where no kernel fits. */
function composed([packed, mask]: readonly Tensor[], { heads, scale }: Heads): Tensor {
  const [B, T, W] = packed.shape;
  const d = W / 3 / heads;
  const [q, k, v] = packed
    .reshape([B, T, 3, heads, d])
    .permute([2, 0, 3, 1, 4])
    .chunk(3, 0)
    .map((part) => part.reshape([B, heads, T, d]));
  const weights = q.matmul(k, { transposeB: true }).scale(scale).softmax(); // (B, heads, T, T)
  const masked = mask ? weights.mul(mask.slice(3, 0, T)) : weights;
  return masked
    .matmul(v)
    .permute([0, 2, 1, 3])
    .reshape([B, T, W / 3]);
}

/** vᵀ ∂f/∂ins, with a history that leads on to what `ins` came from. */
function derivative(
  f: (ins: readonly Tensor[]) => Tensor,
  ins: readonly Tensor[],
  v: Tensor,
): (Tensor | null)[] {
  return withGradients(() => {
    const own = ins.map((x) => x.reshape(x.shape).tracked()); // differentiated as if nothing came before them
    return grad(f(own), own, { dy: v, createGraph: true });
  });
}

/**
 * Self-attention (eq. 1 of arXiv:1706.03762) on packed rows [q | k | v], as one projection leaves them, E = heads · d numbers
 * each: softmax(scale q kᵀ) v for every head, (B, T, 3 E) → (B, T, E). One pass for sequences short enough for the kernel.
 */
export function selfAttention(packed: Tensor, options: SelfAttentionOptions): Tensor {
  checkOptions(options, ["heads", "scale", "dropout"], "selfAttention");
  const { dropout, ...attrs } = options;
  const { heads, scale } = attrs;
  checkInteger(heads, 1, "selfAttention", "heads");
  checkPositive(scale, "selfAttention", "scale");
  const { B, T, W } = packed.dims("B T W", "selfAttention");
  if (W % (3 * heads) !== 0) {
    throw new Error(`selfAttention: expected rows of 3 times ${heads} heads, got ${showShape(packed.shape)}`);
  }
  const ins = [packed];
  if (dropout) {
    const ones = Tensor.ones([B, heads, T, filled(T)], packed.dtype);
    ins.push(ones.dropout(dropout.p, dropout.random));
  }
  const fits = selfAttentionFits(T, W / 3 / heads);
  return fits ? apply(op, ins, attrs) : composed(ins, attrs);
}
