import { layerNormWasm } from "../kernels/wasm/layer-norm.ts";
import { apply, defineOp } from "../op.ts";
import { showShape } from "../shape.ts";
import type { Tensor } from "../tensor.ts";

const op = defineOp<number>({
  name: "layerNorm",
  shape([x, gain, bias]) {
    const C = x.shape.at(-1);
    if (gain.size !== C || bias.size !== C) {
      throw new Error(
        `layerNorm: expected gain and bias of ${C} numbers, got ${showShape(gain.shape)} and ${showShape(bias.shape)}`,
      );
    }
    return x.shape;
  },
  kernels: {
    js(out, [x, gain, bias], eps) {
      const C = gain.size;
      const [X, Y, g, b] = [x.data, out.data, gain.data, bias.data];
      for (let row = 0; row < x.size; row += C) {
        let sum = 0;
        for (let i = 0; i < C; i++) sum += X[row + i];
        const mean = sum / C;
        let squares = 0;
        for (let i = 0; i < C; i++) squares += (X[row + i] - mean) ** 2;
        const scale = 1 / Math.sqrt(squares / C + eps);
        for (let i = 0; i < C; i++) Y[row + i] = (X[row + i] - mean) * scale * g[i] + b[i];
      }
    },
    wasm: (out, [x, gain, bias], eps) => layerNormWasm({ out, x, gain, bias, eps }),
  },
  backward(dy, [x, gain, bias], _out, eps, wants) {
    const centred = x.sub(x.mean([-1], true));
    const deviation = centred.square().mean([-1], true).shift(eps).sqrt(); // (…, 1)
    const normal = centred.div(deviation); // x̂
    const g = dy.mul(gain);
    // dx = (g − mean(g) − x̂ mean(g ⊙ x̂)) / σ
    const dx = (): Tensor =>
      g
        .sub(g.mean([-1], true))
        .sub(normal.mul(g.mul(normal).mean([-1], true)))
        .div(deviation);
    return [
      wants[0] ? dx() : null,
      wants[1] ? dy.mul(normal).sumTo(gain.shape) : null,
      wants[2] ? dy.sumTo(bias.shape) : null,
    ];
  },
  samples: [
    { ins: [[3, 5], [5], [5]], attrs: 1e-5 },
    { ins: [[2, 2, 4], [4], [4]], attrs: 1e-5 },
  ],
});

/**
 * Layer normalisation over the last axis (arXiv:1607.06450): (x − mean) / √(variance + eps) · gain + bias,
 * with the biased variance.
 */
export const layerNorm = (x: Tensor, gain: Tensor, bias: Tensor, eps: number): Tensor =>
  apply(op, [x, gain, bias], eps);
