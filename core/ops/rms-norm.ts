import { checkFinite } from "../check.ts";
import { Expr } from "../formula/expr.ts";
import { each, sum } from "../formula/launch.ts";
import { apply, defineOp, sample } from "../op.ts";
import { sameShape, showShape } from "../shape.ts";
import type { Tensor } from "../tensor.ts";

export const op = defineOp<number>({
  name: "rmsNorm",
  shape([x, gain, bias]) {
    const C = x.shape.at(-1) ?? 0;
    const { G } = gain.dims(`G ${C}`, "rmsNorm: gain");
    if (!sameShape(gain.shape, bias.shape) || (x.size / C) % G !== 0) {
      throw new Error(
        `rmsNorm: expected a bias like the gain ${showShape(gain.shape)} and rows that they divide, got bias ` +
          `${showShape(bias.shape)} and x ${showShape(x.shape)}`,
      );
    }
    return x.shape;
  },
  formula([x, gain, bias], _eps, param) {
    const rows = x.rows();
    const [R, C] = rows.shape;
    return each(rows.shape, (r, c) => {
      const squares = sum(C, (j) => rows.at(r, j).mul(rows.at(r, j)));
      const scale = Expr.constant(1).div(squares.div(C).add(param(0)).sqrt());
      const group = r.div(R / gain.shape[0]);
      return rows.at(r, c).mul(scale).mul(gain.at(group, c)).add(bias.at(group, c));
    });
  },
  params: (eps) => [eps],
  backward(dy, [x, gain, bias], _out, eps, wants) {
    const [G, C] = gain.shape;
    const grouped = [G, x.size / C / G, C];
    const rows = x.reshape(grouped);
    const size = rows.square().mean([-1], true).shift(eps).sqrt(); // (G, rows, 1)
    const normal = rows.div(size); // x̂
    const slope = dy.reshape(grouped);
    const g = slope.mul(gain.reshape([G, 1, C]));
    // dx = (g − x̂ mean(g ⊙ x̂)) / r
    const dx = (): Tensor => g.sub(normal.mul(g.mul(normal).mean([-1], true))).div(size);
    return [
      wants[0] ? dx().reshape(x.shape) : null,
      wants[1] ? slope.mul(normal).sum([1]) : null,
      wants[2] ? slope.sum([1]).reshape(bias.shape) : null,
    ];
  },
  samples: [
    { ...sample([3, 5], [1, 5], [1, 5]), attrs: 1e-5 },
    { ...sample([2, 3, 18], [2, 18], [2, 18]), attrs: 1e-6 },
  ],
});

/**
 * Root-mean-square normalisation over the last axis (arXiv:1910.07467), x / √(mean x² + eps) · gain + bias, with gain
 * and bias (G, C): each of their G rows serves an equal part of the rows of x, in order.
 */
export function rmsNorm(x: Tensor, gain: Tensor, bias: Tensor, eps: number): Tensor {
  checkFinite(eps, "rmsNorm", "eps", 0);
  return apply(op, [x, gain, bias], eps);
}
