import { grad } from "./autograd.ts";
import { onDevice } from "./device.ts";
import { withGradients } from "./op.ts";
import { Tensor } from "./tensor.ts";

/**
 * What the op `attention` is told, and attention made of other ops: the gradient's gradient is found from it, and it
 * runs where no kernel of its own fits.
 */

/** Where queries, keys or values lie: in the rows of which input, from which number on. */
export interface Part {
  readonly input: number;
  readonly at: number;
}

export interface Attention {
  readonly heads: number;
  /** Width of all heads together, E. */
  readonly width: number;
  /** Of the scores; positive. */
  readonly scale: number;
  /** Query t sees keys 0 to t only. */
  readonly causal: boolean;
  /** One input may hold several. */
  readonly parts: readonly [queries: Part, keys: Part, values: Part];
  /** Which input is added to the scores: it broadcasts to (B, heads, T, S). */
  readonly bias: number | null;
  /** Which input holds factors of the weights: (B, heads, T, S). */
  readonly mask: number | null;
}

/** (softmax(scale q kᵀ + bias) ⊙ mask) v for every head, (B, T, E). */
export function composed(ins: readonly Tensor[], attrs: Attention): Tensor {
  const { heads, width: E, scale, causal, parts, bias, mask } = attrs;
  const [q, k, v] = parts.map(({ input, at }) => {
    const x = ins[input]; // (B, length, W)
    const own = x.shape[2] === E ? x : x.slice(2, at, at + E);
    return own.reshape([x.shape[0], x.shape[1], heads, E / heads]).permute([0, 2, 1, 3]);
  });
  const [B, , T, d] = q.shape;
  let scores = q.matmul(k, { transposeB: true }).scale(scale); // (B, heads, T, S)
  if (bias !== null) scores = scores.add(ins[bias]);
  if (causal) scores = scores.add(causalMask(T, k.shape[2], q));
  const weights = scores.softmax();
  const seen = (mask === null ? weights : weights.mul(ins[mask])).matmul(v); // (B, heads, T, d)
  return seen.permute([0, 2, 1, 3]).reshape([B, T, heads * d]);
}

/** −∞ where key j comes after query t, else 0: (T, S), on the device of `like` and of its type. */
function causalMask(T: number, S: number, like: Tensor): Tensor {
  const numbers = new Float64Array(T * S);
  for (let t = 0; t < T; t++) numbers.fill(Number.NEGATIVE_INFINITY, t * S + Math.min(t + 1, S), (t + 1) * S);
  return onDevice(like.device, () => Tensor.from(numbers, [T, S], like.dtype));
}

/** vᵀ ∂f/∂ins, with a history that leads on to what `ins` came from. */
export function gradientsOf(
  f: (ins: readonly Tensor[]) => Tensor,
  ins: readonly Tensor[],
  v: Tensor,
): (Tensor | null)[] {
  return withGradients(() => {
    const own = ins.map((x) => x.reshape(x.shape).tracked()); // differentiated as if nothing came before them
    return grad(f(own), own, { dy: v, createGraph: true });
  });
}
