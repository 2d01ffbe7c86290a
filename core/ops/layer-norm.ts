import { checkFinite } from "../check.ts";
import { apply, defineOp, type Op } from "../op.ts";
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
  kernels: {
    js(out, [x, gain, bias], eps) {
      const C = gain.size;
      const [X, Y, g, b] = [x.data, out.data, gain.data, bias.data];
      eachNormalised(x, eps, (row, mean, scale) => {
        for (let i = 0; i < C; i++) Y[row + i] = (X[row + i] - mean) * scale * g[i] + b[i];
      });
    },
  },
  backward(dy, [x, gain, bias], _out, eps, wants) {
    const sums = wants[1] || wants[2] ? apply(sumsOp, [dy, x], eps) : null; // (2, C)
    return [
      wants[0] ? apply(slopeOp, [dy, x, gain], eps) : null,
      sums && wants[1] ? sums.slice(0, 0, 1).reshape(gain.shape) : null,
      sums && wants[2] ? sums.slice(0, 1, 2).reshape(bias.shape) : null,
    ];
  },
  samples: [
    { ins: [[3, 5], [5], [5]], attrs: 1e-5 },
    { ins: [[2, 2, 4], [4], [4]], attrs: 1e-5 },
  ],
});

/** Calls `visit` for each row of x with the row's start, its mean and 1 / √(variance + eps). */
function eachNormalised(
  x: Tensor,
  eps: number,
  visit: (row: number, mean: number, scale: number) => void,
): void {
  const C = x.shape[x.shape.length - 1];
  const X = x.data;
  for (let row = 0; row < x.size; row += C) {
    let sum = 0;
    for (let i = 0; i < C; i++) sum += X[row + i];
    const mean = sum / C;
    let squares = 0;
    for (let i = 0; i < C; i++) squares += (X[row + i] - mean) ** 2;
    visit(row, mean, 1 / Math.sqrt(squares / C + eps));
  }
}

/** The parts that derivatives are made of: x̂, the scale s (…, 1), and P v = v − mean v − x̂ mean(v ⊙ x̂), so that ∂x̂ = s P ∂x. */
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
  kernels: {
    js(out, [dy, x, gain], eps) {
      const C = gain.size;
      const [X, D, G, Y] = [x.data, dy.data, gain.data, out.data];
      eachNormalised(x, eps, (row, mean, scale) => {
        let sum = 0;
        let product = 0;
        for (let i = 0; i < C; i++) {
          const g = D[row + i] * G[i];
          sum += g;
          product += g * (X[row + i] - mean) * scale;
        }
        for (let i = 0; i < C; i++) {
          const normal = (X[row + i] - mean) * scale;
          Y[row + i] = (D[row + i] * G[i] - sum / C - (normal * product) / C) * scale;
        }
      });
    },
  },
  backward(r, [dy, x, gain], _out, eps, wants) {
    const { normal, deviation, rowMean, project } = parts(x, eps);
    const pulled = project(r).div(deviation); // s P r, since P is symmetric
    // For x, with g = dy ⊙ gain: −s² (P(r mean(g x̂) + g mean(r x̂)) + x̂ (mean(r g) − mean r mean g − mean(r x̂) mean(g x̂)))
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
    { ins: [[3, 5], [3, 5], [5]], attrs: 1e-2 },
    { ins: [[2, 2, 4], [2, 2, 4], [4]], attrs: 1e-2 },
  ],
});

/** The gradients for gain and bias as the rows of one matrix (2, C): Σ dy ⊙ x̂ and Σ dy. */
export const sumsOp: Op<number> = defineOp<number>({
  name: "layerNormSums",
  shape: ([, x]) => [2, x.shape[x.shape.length - 1]],
  kernels: {
    js(out, [dy, x], eps) {
      const C = out.shape[1];
      const [X, D] = [x.data, dy.data];
      const sums = new Float64Array(2 * C);
      eachNormalised(x, eps, (row, mean, scale) => {
        for (let i = 0; i < C; i++) {
          sums[i] += D[row + i] * (X[row + i] - mean) * scale;
          sums[C + i] += D[row + i];
        }
      });
      out.data.set(sums);
    },
  },
  backward(r, [dy, x], _out, eps, wants) {
    const C = r.shape[1];
    const [gain, bias] = [r.slice(0, 0, 1).reshape([C]), r.slice(0, 1, 2).reshape([C])];
    return [
      wants[0] ? parts(x, eps).normal.mul(gain).add(bias) : null,
      wants[1] ? apply(slopeOp, [dy, x, gain], eps) : null,
    ];
  },
  samples: [
    {
      ins: [
        [3, 5],
        [3, 5],
      ],
      attrs: 1e-2,
    },
    {
      ins: [
        [2, 3, 4],
        [2, 3, 4],
      ],
      attrs: 1e-2,
    },
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
