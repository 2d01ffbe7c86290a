import { depthwiseConvWasm } from "../kernels/wasm/depthwise-conv.ts";
import { apply, defineOp } from "../op.ts";
import type { Tensor } from "../tensor.ts";
import { concat } from "./concat.ts";

const op = defineOp({
  name: "depthwiseConv",
  shape([x, weight]) {
    const { C } = x.dims("B H W C", "depthwiseConv");
    weight.dims(`3 3 ${C}`, "depthwiseConv: weight");
    return x.shape;
  },
  kernels: {
    js(out, [x, weight]) {
      const [B, H, W, C] = x.shape;
      const sum = new Float64Array(C);
      const [X, taps] = [x.data, weight.data];
      for (let b = 0; b < B; b++)
        for (let row = 0; row < H; row++)
          for (let column = 0; column < W; column++) {
            sum.fill(0);
            for (let ky = 0; ky < 3; ky++)
              for (let kx = 0; kx < 3; kx++) {
                const [y, z] = [row + ky - 1, column + kx - 1];
                if (y < 0 || y >= H || z < 0 || z >= W) continue;
                const [from, tap] = [((b * H + y) * W + z) * C, (ky * 3 + kx) * C];
                for (let c = 0; c < C; c++) sum[c] += X[from + c] * taps[tap + c];
              }
            out.data.set(sum, ((b * H + row) * W + column) * C);
          }
    },
    wasm: (out, [x, weight]) => depthwiseConvWasm(out, x, weight),
  },
  backward(dy, [x, weight], _out, _attrs, wants) {
    return [wants[0] ? dy.depthwiseConv(flipped(weight)) : null, wants[1] ? tapSums(x, dy) : null];
  },
  samples: [
    {
      ins: [
        [2, 3, 4, 2],
        [3, 3, 2],
      ],
    },
    {
      ins: [
        [1, 1, 2, 3],
        [3, 3, 3],
      ],
    },
  ],
});

/** The taps in opposite order. */
function flipped(weight: Tensor): Tensor {
  const taps = weight.reshape([9, weight.shape[2]]);
  return concat(
    Array.from({ length: 9 }, (_, i) => taps.slice(0, 8 - i, 9 - i)),
    0,
  ).reshape(weight.shape);
}

/** dW of each tap: the map moved by the tap, times dy, summed over batch and pixels. */
function tapSums(x: Tensor, dy: Tensor): Tensor {
  const [, H, W, C] = x.shape;
  const padded = x.pad(1, 1, 1).pad(2, 1, 1);
  const taps = Array.from({ length: 9 }, (_, i) => {
    const [ky, kx] = [Math.floor(i / 3), i % 3];
    const moved = padded.slice(1, ky, ky + H).slice(2, kx, kx + W);
    return moved.mul(dy).sum([0, 1, 2]).reshape([1, C]);
  });
  return concat(taps, 0).reshape([3, 3, C]);
}

/**
 * 3×3 convolution of each channel by itself, stride 1, padding 1:
 * x (B, H, W, C), weight (3, 3, C) → (B, H, W, C).
 */
export const depthwiseConv = (x: Tensor, weight: Tensor): Tensor => apply(op, [x, weight], undefined);
