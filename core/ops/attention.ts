import { type Attention, composed, gradientsOf } from "../attention.ts";
import { checkInteger, checkOptions, checkPositive, refuse } from "../check.ts";
import { onDevice } from "../device.ts";
import { Expr } from "../formula/expr.ts";
import type { Index } from "../formula/indices.ts";
import { each, max, type Operand, sum } from "../formula/launch.ts";
import { apply, defineOp, type Op, sample } from "../op.ts";
import type { Random } from "../random.ts";
import { broadcastShapes, sameShape, showShape } from "../shape.ts";
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
  formula(ins, attrs, param) {
    const { sizes, weights, values, kept } = headsOf(ins, attrs, param(0));
    const { B, T, S, heads, d } = sizes;
    return each([B, T, heads, d], (b, t, h, i) =>
      sum(S, (j) => kept(weights.at(b, h, t, j), b, h, t, j).mul(values(b, h, j, i))),
    ).as([B, T, attrs.width]);
  },
  params: ({ scale }) => [scale],
  structure: ({ scale: _, ...rest }) => rest,
  backward: (dy, ins, _out, attrs, wants) =>
    ins.map((_, wanted) => {
      if (!wants[wanted]) return null;
      if (wanted !== attrs.bias && wanted !== attrs.mask)
        return apply(slopeOp, [dy, ...ins], { ...attrs, wanted });
      return gradientsOf((own) => composed(own, attrs), ins, dy)[wanted];
    }),
  samples: [
    { ...sample([2, 3, 12]), attrs: sideBySide({ heads: 2, width: 4, scale: 0.7 }) },
    { ...sample([1, 5, 6]), attrs: sideBySide({ heads: 1, width: 2, scale: 0.6, causal: true }) },
    {
      ...sample([2, 2, 4], [2, 3, 9], [2, 1, 1, 3], [2, 2, 2, 3]),
      attrs: {
        ...sideBySide({ heads: 2, width: 4, scale: 1, bias: 2, mask: 3 }),
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
      attrs: { ...sideBySide({ heads: 1, width: 3, scale: 1, causal: true }), parts: apart(1, 3, 0) },
    },
    {
      ...sample([1, 2, 8], [1, 1, 4], [1, 1, 8]),
      attrs: { ...sideBySide({ heads: 1, width: 4, scale: 1 }), parts: apart(4, 0, 4) },
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
  formula([dy, ...ins], { wanted, ...attrs }, param) {
    const scale = param(0);
    const { sizes, weights, queries, keys, values, kept } = headsOf(ins, attrs, scale);
    const { B, T, S, heads, d } = sizes;
    const ofResult = dy.as([B, T, heads, d]);
    const ofWeights = each([B, heads, T, S], (b, h, t, j) => {
      const slope = sum(d, (i) => ofResult.at(b, t, h, i).mul(values(b, h, j, i)));
      return kept(slope, b, h, t, j);
    });
    const ofScores = each([B, heads, T, S], (b, h, t, j) => {
      const mean = sum(S, (k) => ofWeights.at(b, h, t, k).mul(weights.at(b, h, t, k)));
      return ofWeights
        .at(b, h, t, j)
        .sub(mean)
        .mul(weights.at(b, h, t, j))
        .mul(scale);
    });
    const gradients = {
      queries: (b: Index, t: Index, h: Index, i: Index) =>
        sum(S, (j) => ofScores.at(b, h, t, j).mul(keys(b, h, j, i))),
      keys: (b: Index, j: Index, h: Index, i: Index) =>
        sum(T, (t) => ofScores.at(b, h, t, j).mul(queries(b, h, t, i))),
      values: (b: Index, j: Index, h: Index, i: Index) =>
        sum(T, (t) => kept(weights.at(b, h, t, j), b, h, t, j).mul(ofResult.at(b, t, h, i))),
    };
    // Queries, keys and values may lie side by side in the rows of the input, or be the same numbers. Each gradient is
    // a launch: as part of the element below, all would be summed up at each column.
    const [, length, W] = ins[wanted].shape;
    const own = [gradients.queries, gradients.keys, gradients.values].flatMap((gradient, part) => {
      const { input, at } = attrs.parts[part];
      const rows = (): Operand => each([B, length, heads, d], gradient).as([B, length, attrs.width]);
      return input === wanted ? [{ at, rows: rows() }] : [];
    });
    return each([B, length, W], (b, row, column) =>
      own.reduce<Expr>((all, { at, rows }) => {
        const place = column.sub(at);
        return all.add(place.within(attrs.width, rows.at(b, row, place), 0));
      }, Expr.constant(0)),
    );
  },
  params: ({ scale }) => [scale],
  structure: ({ scale: _, ...rest }) => rest,
  backward(r, ins, _out, { wanted, ...attrs }, wants) {
    const slope = ([dy, ...own]: readonly Tensor[]): Tensor =>
      gradientsOf((inputs) => composed(inputs, attrs), own, dy)[wanted] as Tensor;
    return gradientsOf(slope, ins, r).map((part, i) => (wants[i] ? part : null));
  },
  samples: [
    {
      ...sample([1, 3, 4], [1, 3, 13]),
      attrs: { ...sideBySide({ heads: 1, width: 4, scale: 0.6, causal: true }), wanted: 0 },
    },
    ...[0, 1, 2].map((wanted) => ({
      ...sample([1, 2, 4], [1, 2, 4], [1, 3, 4], [1, 3, 5], [2, 3], [1, 2, 2, 3]),
      attrs: {
        ...sideBySide({ heads: 2, width: 4, scale: 0.5, bias: 3, mask: 4 }),
        parts: apart(0, 0, 1),
        wanted,
      },
    })),
  ],
});

/** For samples: queries, keys and values side by side in the rows of one input. */
function sideBySide(given: Pick<Attention, "heads" | "width" | "scale"> & Partial<Attention>): Attention {
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
    const starts = parts.map(({ at }) => at).join(", ");
    throw new Error(
      `attention: expected ${heads} equal heads in ${E} numbers from ${starts} on, and a key at least, got ` +
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

/** Number i of a row of a head of a sample. */
type HeadNumber = (b: Index, h: Index, row: Index, i: Index) => Expr;

/** The inputs by what they mean; `weights` are softmax of the scores, (B, heads, T, S), and `kept` applies the mask. */
function headsOf(
  ins: readonly Operand[],
  { heads, width, causal, parts, bias, mask }: Attention,
  scale: Expr,
) {
  const d = width / heads;
  const [B, T] = ins[parts[0].input].shape;
  const S = ins[parts[1].input].shape[1];
  const [queries, keys, values] = parts.map(
    ({ input, at }): HeadNumber =>
      (b, h, row, i) =>
        ins[input].at(b, row, h.mul(d).add(i).add(at)),
  );
  const scores = each([B, heads, T, S], (b, h, t, j) => {
    const product = sum(d, (i) => queries(b, h, t, i).mul(keys(b, h, j, i))).mul(scale);
    const score = bias === null ? product : product.add(ins[bias].stretched(b, h, t, j));
    return causal ? t.lessThan(j, Number.NEGATIVE_INFINITY, score) : score;
  });
  const weights = each([B, heads, T, S], (b, h, t, j) => {
    const most = max(S, (k) => scores.at(b, h, t, k));
    const e = (k: Index): Expr => scores.at(b, h, t, k).sub(most).exp();
    return e(j).div(sum(S, e));
  });
  const kept = (x: Expr, ...place: readonly [b: Index, h: Index, t: Index, j: Index]): Expr =>
    mask === null ? x : x.mul(ins[mask].at(...place));
  return { sizes: { B, T, S, heads, d }, weights, queries, keys, values, kept };
}

/**
 * Attention (eq. 1 of arXiv:1706.03762), softmax(scale q kᵀ + bias) v for every head, on rows as projections leave
 * them: queries (B, T, ≥ E), keys and values (B, S, ≥ E) → (B, T, E). They may be one tensor, as in
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

const OPTIONS = ["heads", "width", "scale", "queriesAt", "keysAt", "valuesAt", "causal", "bias", "dropout"];
