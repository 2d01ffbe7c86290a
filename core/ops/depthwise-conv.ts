import type { Expr } from "../formula/expr.ts";
import type { Index } from "../formula/indices.ts";
import { each, type Operand, sum } from "../formula/launch.ts";
import { apply, defineOp, type Op, sample } from "../op.ts";
import type { Tensor } from "../tensor.ts";
import { concat } from "./concat.ts";

export const op = defineOp({
  name: "depthwiseConv",
  shape([x, weight]) {
    const { C } = x.dims("B H W C", "depthwiseConv");
    weight.dims(`3 3 ${C}`, "depthwiseConv: weight");
    return x.shape;
  },
  formula: ([x, weight]) =>
    each(x.shape, (b, row, column, c) =>
      sum(3, (i) => sum(3, (j) => pixel(x, b, row.add(i), column.add(j), c).mul(weight.at(i, j, c)))),
    ),
  backward(dy, [x, weight], _out, _attrs, wants) {
    return [
      wants[0] ? dy.depthwiseConv(flipped(weight)) : null,
      wants[1] ? apply(tapsOp, [x, dy], undefined) : null,
    ];
  },
  samples: [sample([2, 3, 4, 2], [3, 3, 2]), sample([1, 1, 2, 3], [3, 3, 3])],
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
  formula([x, dy]) {
    const [B, H, W, C] = x.shape;
    return each([3, 3, C], (i, j, c) =>
      sum(B, (b) =>
        sum(H, (row) =>
          sum(W, (column) => pixel(x, b, row.add(i), column.add(j), c).mul(dy.at(b, row, column, c))),
        ),
      ),
    );
  },
  // Linear in each of the two.
  backward: (r, [x, dy], _out, _attrs, wants) => [
    wants[0] ? dy.depthwiseConv(flipped(r)) : null,
    wants[1] ? x.depthwiseConv(r) : null,
  ],
  samples: [
    sample([2, 3, 4, 2], [2, 3, 4, 2]),
    sample([1, 2, 1, 5], [1, 2, 1, 5]),
    sample([1, 1, 2, 19], [1, 1, 2, 19]),
  ],
});

/** The pixel above and to the left of a place, 0 outside of the map: tap (1, 1) of a pixel is the pixel itself. */
const pixel = (map: Operand, b: Index, row: Index, column: Index, c: Index): Expr => {
  const [, H, W] = map.shape;
  const [y, x] = [row.sub(1), column.sub(1)];
  return y.within(H, x.within(W, map.at(b, y, x, c), 0), 0);
};

/**
 * 3×3 convolution of each channel by itself, stride 1, padding 1:
 * x (B, H, W, C), weight (3, 3, C) → (B, H, W, C).
 */
export const depthwiseConv = (x: Tensor, weight: Tensor): Tensor => apply(op, [x, weight], undefined);
