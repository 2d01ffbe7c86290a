import { gradientsOf } from "../attention.ts";
import { checkInteger } from "../check.ts";
import type { Expr } from "../formula/expr.ts";
import type { Index } from "../formula/indices.ts";
import { each, max, type Operand, sum } from "../formula/launch.ts";
import { apply, defineOp, type Op, sample } from "../op.ts";
import { showShape } from "../shape.ts";
import type { Tensor } from "../tensor.ts";

export const op: Op<number> = defineOp<number>({
  name: "channelAttention",
  shape([x], groups) {
    const { B, N, W } = x.dims("B N W", "channelAttention");
    if (N === 0 || W % (3 * groups) !== 0)
      throw new Error(
        `channelAttention: expected tokens of queries, keys and values in ${groups} equal groups, ` +
          `got ${showShape(x.shape)}`,
      );
    return [B, N, W / 3];
  },
  formula([x], groups) {
    const { sizes, values, weights } = groupsOf(x, groups);
    const { B, N, G, c } = sizes;
    return each([B, N, G, c], (b, n, g, i) =>
      sum(c, (j) => weights.at(b, g, i, j).mul(values(b, n, g, j))),
    ).as([B, N, G * c]);
  },
  backward: (dy, [x], _out, groups) => [apply(slopeOp, [dy, x], groups)],
  samples: [
    { ...sample([2, 3, 12]), attrs: 2, range: [-2, 2] },
    { ...sample([1, 6, 24]), attrs: 2, range: [-2, 2] },
    { ...sample([2, 4, 36]), attrs: 1, range: [-2, 2] },
  ],
});

/** The gradient for the tokens from the one for the output. */
export const slopeOp: Op<number> = defineOp<number>({
  name: "channelAttentionSlope",
  shape: ([, x]) => x.shape,
  formula([dy, x], groups) {
    const { sizes, queries, keys, values, weights, scale } = groupsOf(x, groups);
    const { B, N, G, c } = sizes;
    const result = dy.as([B, N, G, c]);
    const ofWeights = each([B, G, c, c], (b, g, i, j) =>
      sum(N, (n) => result.at(b, n, g, i).mul(values(b, n, g, j))),
    );
    const ofScores = each([B, G, c, c], (b, g, i, j) => {
      const mean = sum(c, (k) => ofWeights.at(b, g, i, k).mul(weights.at(b, g, i, k)));
      return ofWeights
        .at(b, g, i, j)
        .sub(mean)
        .mul(weights.at(b, g, i, j))
        .mul(scale);
    });
    const ofTokens = (gradient: Channel): Operand => each([B, N, G, c], gradient);
    const ofQueries = ofTokens((b, n, g, i) => sum(c, (j) => ofScores.at(b, g, i, j).mul(keys(b, n, g, j))));
    const ofKeys = ofTokens((b, n, g, j) => sum(c, (i) => ofScores.at(b, g, i, j).mul(queries(b, n, g, i))));
    const ofValues = ofTokens((b, n, g, j) =>
      sum(c, (i) => weights.at(b, g, i, j).mul(result.at(b, n, g, i))),
    );
    return each([B, N, 3, G, c], (b, n, part, g, i) =>
      part.equals(
        0,
        ofQueries.at(b, n, g, i),
        part.equals(1, ofKeys.at(b, n, g, i), ofValues.at(b, n, g, i)),
      ),
    ).as(x.shape);
  },
  backward(r, ins, _out, groups, wants) {
    const slope = ([dy, x]: readonly Tensor[]): Tensor =>
      gradientsOf(([own]) => composed(own, groups), [x], dy)[0] as Tensor;
    return gradientsOf(slope, ins, r).map((part, i) => (wants[i] ? part : null));
  },
  samples: [
    { ...sample([2, 3, 4], [2, 3, 12]), attrs: 2, range: [-2, 2] },
    { ...sample([1, 6, 8], [1, 6, 24]), attrs: 2, range: [-2, 2] },
  ],
});

/** Channel i of a group of token n. */
type Channel = (b: Index, n: Index, g: Index, i: Index) => Expr;

/** The tokens by what they hold; `weights` are softmax of the scores, (B, G, c, c). */
function groupsOf(x: Operand, G: number) {
  const [B, N, W] = x.shape;
  const c = W / (3 * G);
  const parts = x.as([B, N, 3, G, c]);
  const [queries, keys, values] = [0, 1, 2].map(
    (part): Channel =>
      (b, n, g, i) =>
        parts.at(b, n, part, g, i),
  );
  const scale = 1 / Math.sqrt(N);
  const scores = each([B, G, c, c], (b, g, i, j) =>
    sum(N, (n) => queries(b, n, g, i).mul(keys(b, n, g, j))).mul(scale),
  );
  const weights = each([B, G, c, c], (b, g, i, j) => {
    const most = max(c, (k) => scores.at(b, g, i, k));
    const e = (k: Index): Expr => scores.at(b, g, i, k).sub(most).exp();
    return e(j).div(sum(c, e));
  });
  return { sizes: { B, N, G, c }, queries, keys, values, weights, scale };
}

/** The same made of other ops: the gradient's gradient is found from it. */
function composed(x: Tensor, groups: number): Tensor {
  const [B, N, W] = x.shape;
  const grouped = [B, N, groups, W / (3 * groups)];
  const [q, k, v] = x.chunk(3, 2).map((part) => part.reshape(grouped).permute([0, 2, 1, 3])); // (B, G, N, c)
  const weights = q
    .matmul(k, { transposeA: true })
    .scale(1 / Math.sqrt(N))
    .softmax(); // (B, G, c, c)
  return v
    .matmul(weights, { transposeB: true })
    .permute([0, 2, 1, 3])
    .reshape([B, N, W / 3]);
}

/**
 * Attention between channels (DaViT, arXiv:2204.03645): in each group, channels attend to channels over all N tokens,
 * softmax(N^−½ qᵀ k) for queries, keys and values side by side in the tokens x: (B, N, 3 C) → (B, N, C).
 */
export function channelAttention(x: Tensor, groups: number): Tensor {
  checkInteger(groups, 1, "channelAttention", "groups");
  return apply(op, [x], groups);
}
