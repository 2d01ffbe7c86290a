import { checkFinite } from "../check.ts";
import { Expr } from "../formula/expr.ts";
import type { Index } from "../formula/indices.ts";
import { each, type Operand, sum } from "../formula/launch.ts";
import { apply, defineOp, type Op, sample } from "../op.ts";
import { showShape } from "../shape.ts";
import type { Tensor } from "../tensor.ts";

export const op = defineOp<number>({
  name: "layerNorm",
  shape([x, gain, bias]) {
    const C = x.shape.at(-1);
    if (C === undefined || gain.size !== C || bias.size !== C) {
      throw new Error(
        `layerNorm: expected rows with a gain and a bias for each number, got ${showShape(x.shape)}, ` +
          `${showShape(gain.shape)} and ${showShape(bias.shape)}`,
      );
    }
    return x.shape;
  },
  formula([x, gain, bias], _eps, param) {
    const rows = x.rows();
    const [g, b] = [gain, bias].map((row) => row.as([gain.size]));
    return each(rows.shape, (r, c) => {
      const { normal } = normalised(rows, r, param(0));
      return normal(c).mul(g.at(c)).add(b.at(c));
    });
  },
  params: (eps) => [eps],
  backward(dy, [x, gain, bias], _out, eps, wants) {
    const sums = wants[1] || wants[2] ? apply(sumsOp, [dy, x], eps) : null; // (2, C)
    return [
      wants[0] ? apply(slopeOp, [dy, x, gain], eps) : null,
      sums && wants[1] ? sums.slice(0, 0, 1).reshape(gain.shape) : null,
      sums && wants[2] ? sums.slice(0, 1, 2).reshape(bias.shape) : null,
    ];
  },
  samples: [
    { ...sample([3, 5], [5], [5]), attrs: 1e-5 },
    { ...sample([2, 2, 4], [4], [4]), attrs: 1e-5 },
  ],
});

/** Of row r of a matrix: its mean, 1 / √(variance + eps), and its numbers normalised. */
function normalised(rows: Operand, r: Index, eps: Expr) {
  const [, C] = rows.shape;
  const mean = sum(C, (j) => rows.at(r, j)).div(C);
  const centred = (j: Index): Expr => rows.at(r, j).sub(mean);
  const variance = sum(C, (j) => centred(j).mul(centred(j))).div(C);
  const scale = Expr.constant(1).div(variance.add(eps).sqrt());
  return { mean, scale, normal: (j: Index): Expr => centred(j).mul(scale) };
}

/**
 * The parts that derivatives are made of: x̂, the deviation 1/s (…, 1), and P v = v − mean v − x̂ mean(v ⊙ x̂). With
 * them ∂x̂ = s P ∂x.
 */
function parts(x: Tensor, eps: number) {
  const rowMean = (v: Tensor): Tensor => v.mean([-1], true);
  const centred = x.sub(rowMean(x));
  const deviation = rowMean(centred.square()).shift(eps).sqrt();
  const normal = centred.div(deviation);
  const project = (v: Tensor): Tensor => v.sub(rowMean(v)).sub(normal.mul(rowMean(v.mul(normal))));
  return { normal, deviation, rowMean, project };
}

/** The gradient for x: dx = s P(dy ⊙ gain). */
export const slopeOp: Op<number> = defineOp<number>({
  name: "layerNormSlope",
  shape: ([dy]) => dy.shape,
  formula([dy, x, gain], _eps, param) {
    const [rows, slopes, g] = [x.rows(), dy.rows(), gain.as([gain.size])];
    const [, C] = rows.shape;
    return each(rows.shape, (r, c) => {
      const { normal, scale } = normalised(rows, r, param(0));
      const slope = (j: Index) => slopes.at(r, j).mul(g.at(j));
      const mean = sum(C, slope).div(C);
      const product = sum(C, (j) => slope(j).mul(normal(j))).div(C);
      return slope(c).sub(mean).sub(normal(c).mul(product)).mul(scale);
    });
  },
  params: (eps) => [eps],
  backward(r, [dy, x, gain], _out, eps, wants) {
    const { normal, deviation, rowMean, project } = parts(x, eps);
    const pulled = project(r).div(deviation); // s P r, since P is symmetric
    // For x, with g = dy ⊙ gain: −s² (P(r mean(g x̂) + g mean(r x̂)) + x̂ (mean(r g) − mean r mean g − mean(r x̂)
    // mean(g x̂)))
    const dx = (): Tensor => {
      const g = dy.mul(gain);
      const [gn, rn] = [rowMean(g.mul(normal)), rowMean(r.mul(normal))];
      const rest = rowMean(r.mul(g))
        .sub(rowMean(r).mul(rowMean(g)))
        .sub(rn.mul(gn));
      return project(r.mul(gn).add(g.mul(rn)))
        .add(normal.mul(rest))
        .div(deviation.square())
        .neg();
    };
    return [
      wants[0] ? pulled.mul(gain) : null,
      wants[1] ? dx() : null,
      wants[2] ? pulled.mul(dy).sumTo(gain.shape) : null,
    ];
  },
  samples: [
    { ...sample([3, 5], [3, 5], [5]), attrs: 1e-2 },
    { ...sample([2, 2, 4], [2, 2, 4], [4]), attrs: 1e-2 },
  ],
});

/** The gradients for gain and bias as the rows of one matrix (2, C): Σ dy ⊙ x̂ and Σ dy. */
export const sumsOp: Op<number> = defineOp<number>({
  name: "layerNormSums",
  shape: ([, x]) => [2, x.shape[x.shape.length - 1]],
  formula([dy, x], _eps, param) {
    const [rows, slopes] = [x.rows(), dy.rows()];
    const [R, C] = rows.shape;
    const means = each([R], (r) => normalised(rows, r, param(0)).mean);
    const scales = each([R], (r) => normalised(rows, r, param(0)).scale);
    return each([2, C], (which, c) =>
      sum(R, (r) => {
        const normal = rows.at(r, c).sub(means.at(r)).mul(scales.at(r));
        const slope = slopes.at(r, c);
        return which.equals(0, slope.mul(normal), slope);
      }),
    );
  },
  params: (eps) => [eps],
  backward(r, [dy, x], _out, eps, wants) {
    const C = r.shape[1];
    const [gain, bias] = [r.slice(0, 0, 1).reshape([C]), r.slice(0, 1, 2).reshape([C])];
    return [
      wants[0] ? parts(x, eps).normal.mul(gain).add(bias) : null,
      wants[1] ? apply(slopeOp, [dy, x, gain], eps) : null,
    ];
  },
  samples: [
    { ...sample([3, 5], [3, 5]), attrs: 1e-2 },
    { ...sample([2, 3, 4], [2, 3, 4]), attrs: 1e-2 },
  ],
});

/**
 * Layer normalisation over the last axis (arXiv:1607.06450): (x − mean) / √(variance + eps) · gain + bias,
 * with the biased variance.
 */
export function layerNorm(x: Tensor, gain: Tensor, bias: Tensor, eps: number): Tensor {
  checkFinite(eps, "layerNorm", "eps", 0);
  return apply(op, [x, gain, bias], eps);
}
