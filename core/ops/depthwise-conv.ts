import { apply, defineOp, type Op } from "../op.ts";
import type { Tensor } from "../tensor.ts";
import { concat } from "./concat.ts";

export const op = defineOp({
  name: "depthwiseConv",
  shape([x, weight]) {
    const { C } = x.dims("B H W C", "depthwiseConv");
    weight.dims(`3 3 ${C}`, "depthwiseConv: weight");
    return x.shape;
  },
  kernels: {
    js(out, [x, weight]) {
      const [B, H, W, C] = x.shape;
      const sums = new Float64Array(out.size);
      const [X, taps] = [x.data, weight.data];
      eachTap(B, H, W, (here, there, tap) => {
        for (let c = 0; c < C; c++) sums[here * C + c] += X[there * C + c] * taps[tap * C + c];
      });
      out.data.set(sums);
    },
  },
  backward(dy, [x, weight], _out, _attrs, wants) {
    return [
      wants[0] ? dy.depthwiseConv(flipped(weight)) : null,
      wants[1] ? apply(tapsOp, [x, dy], undefined) : null,
    ];
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

/** The gradient for the weight: the map moved by each tap, times dy, summed over batch and pixels. */
export const tapsOp: Op<void> = defineOp({
  name: "depthwiseConvTaps",
  shape: ([x]) => [3, 3, x.shape[3]],
  kernels: {
    js(out, [x, dy]) {
      const [B, H, W, C] = x.shape;
      const sums = new Float64Array(9 * C);
      const [X, D] = [x.data, dy.data];
      eachTap(B, H, W, (here, there, tap) => {
        for (let c = 0; c < C; c++) sums[tap * C + c] += X[there * C + c] * D[here * C + c];
      });
      out.data.set(sums);
    },
  },
  // Linear in each of the two.
  backward: (r, [x, dy], _out, _attrs, wants) => [
    wants[0] ? dy.depthwiseConv(flipped(r)) : null,
    wants[1] ? x.depthwiseConv(r) : null,
  ],
  samples: [
    {
      ins: [
        [2, 3, 4, 2],
        [2, 3, 4, 2],
      ],
    },
    {
      ins: [
        [1, 2, 1, 5],
        [1, 2, 1, 5],
      ],
    },
    {
      ins: [
        [1, 1, 2, 19],
        [1, 1, 2, 19],
      ],
    },
  ],
});

/** Calls `visit` for each pixel and each tap that lies inside the map, with the numbers of both pixels. */
function eachTap(
  B: number,
  H: number,
  W: number,
  visit: (here: number, there: number, tap: number) => void,
): void {
  for (let b = 0; b < B; b++)
    for (let row = 0; row < H; row++)
      for (let column = 0; column < W; column++)
        for (let tap = 0; tap < 9; tap++) {
          const [y, z] = [row + Math.floor(tap / 3) - 1, column + (tap % 3) - 1];
          if (y < 0 || y >= H || z < 0 || z >= W) continue;
          visit((b * H + row) * W + column, (b * H + y) * W + z, tap);
        }
}

/**
 * 3×3 convolution of each channel by itself, stride 1, padding 1:
 * x (B, H, W, C), weight (3, 3, C) → (B, H, W, C).
 */
export const depthwiseConv = (x: Tensor, weight: Tensor): Tensor => apply(op, [x, weight], undefined);
