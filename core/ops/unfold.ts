import { checkInteger, checkOptions } from "../check.ts";
import type { Expr } from "../formula/expr.ts";
import type { Index } from "../formula/indices.ts";
import { each, sum } from "../formula/launch.ts";
import { apply, defineOp, sample } from "../op.ts";
import { showShape } from "../shape.ts";
import type { Tensor } from "../tensor.ts";

/** A square window of `kernel` pixels that moves by `stride` over a map with `padding` zeros around. */
export interface Window {
  readonly kernel: number;
  readonly stride: number;
  readonly padding: number;
}

interface Patches extends Window {
  readonly H: number;
  readonly W: number;
}

/** Window positions along an axis of the given length. */
const positions = (length: number, { kernel, stride, padding }: Window): number =>
  Math.floor((length + 2 * padding - kernel) / stride) + 1;

export const op = defineOp<Window>({
  name: "unfold",
  shape([x], w) {
    const { B, H, W, C } = x.dims("B H W C", "unfold");
    const [rows, columns] = [positions(H, w), positions(W, w)];
    if (rows < 1 || columns < 1) {
      const window = `${w.kernel}×${w.kernel} window and ${w.padding} zeros around`;
      throw new Error(
        `unfold: expected a map as large as its window, got ${showShape(x.shape)} for a ${window}`,
      );
    }
    return [B, rows, columns, w.kernel * w.kernel * C];
  },
  formula([map], w) {
    const [B, H, W, C] = map.shape;
    const { kernel, stride, padding } = w;
    return each([B, positions(H, w), positions(W, w), kernel, kernel, C], (b, row, column, ky, kx, c) => {
      const y = row.mul(stride).add(ky).sub(padding);
      const x = column.mul(stride).add(kx).sub(padding);
      return y.within(H, x.within(W, map.at(b, y, x, c), 0), 0);
    });
  },
  integers: true,
  backward: (dy, [x], _out, w) => [apply(foldOp, [dy], { ...w, H: x.shape[1], W: x.shape[2] })],
  samples: [
    { ...sample([2, 4, 5, 2]), attrs: { kernel: 3, stride: 2, padding: 1 } },
    { ...sample([1, 5, 5, 1]), attrs: { kernel: 2, stride: 1, padding: 0 } },
    { ...sample([1, 2, 3, 3]), attrs: { kernel: 5, stride: 4, padding: 3 } },
  ],
});

export const foldOp = defineOp<Patches>({
  name: "fold",
  shape([y], { kernel, H, W }) {
    return [y.shape[0], H, W, y.shape[3] / (kernel * kernel)];
  },
  // Each pixel looks for the windows that cover it: no two windows write to one pixel.
  formula([patches], { H, W, ...w }) {
    const [B, rows, columns, length] = patches.shape;
    const { kernel, stride, padding } = w;
    const C = length / (kernel * kernel);
    const windows = patches.as([B, rows, columns, kernel, kernel, C]);
    /** What a window that starts there contributes: windows start at multiples of the stride. */
    const from = (start: Index, count: number, part: (window: Index) => Expr): Expr => {
      const window = start.div(stride);
      return start.mod(stride).equals(0, window.within(count, part(window), 0), 0);
    };
    return each([B, H, W, C], (b, y, x, c) =>
      sum(kernel, (ky) =>
        sum(kernel, (kx) =>
          from(y.add(padding).sub(ky), rows, (row) =>
            from(x.add(padding).sub(kx), columns, (column) => windows.at(b, row, column, ky, kx, c)),
          ),
        ),
      ),
    );
  },
  backward: (dx, _ins, _out, { kernel, stride, padding }) => [dx.unfold({ kernel, stride, padding })],
  samples: [
    { ...sample([1, 2, 3, 18]), attrs: { kernel: 3, stride: 2, padding: 1, H: 4, W: 5 } },
    { ...sample([2, 2, 2, 12]), attrs: { kernel: 2, stride: 3, padding: 0, H: 6, W: 5 } },
    { ...sample([1, 1, 2, 25]), attrs: { kernel: 5, stride: 4, padding: 3, H: 2, W: 3 } },
  ],
});

/**
 * The windows of a map as rows, so that a convolution becomes a matrix product:
 * (B, H, W, C) → (B, rows, columns, kernel · kernel · C), window pixels row-major, channels innermost.
 */
export function unfold(x: Tensor, window: Window): Tensor {
  checkWindow(window, "unfold");
  return apply(op, [x], { ...window });
}

/**
 * The sum of windows at their places in a map of that height and width: the gradient of `unfold`,
 * (B, rows, columns, kernel · kernel · C) → (B, height, width, C). There must be as many windows as `unfold` gives.
 */
export function fold(
  patches: Tensor,
  options: Window & { readonly height: number; readonly width: number },
): Tensor {
  checkOptions(options, ["kernel", "stride", "padding", "height", "width"], "fold");
  const { height, width, ...window } = options;
  checkWindow(window, "fold");
  checkInteger(height, 1, "fold", "height");
  checkInteger(width, 1, "fold", "width");
  const { rows, columns, length } = patches.dims("B rows columns length", "fold");
  const expected = [positions(height, window), positions(width, window)];
  const area = window.kernel ** 2;
  if (rows !== expected[0] || columns !== expected[1] || length % area !== 0)
    throw new Error(
      `fold: expected (B, ${expected.join(", ")}, ${area} C) for a map of ${height} by ${width}, ` +
        `got ${showShape(patches.shape)}`,
    );
  return apply(foldOp, [patches], { ...window, H: height, W: width });
}

/** Throws unless kernel and stride are positive and padding is not negative, all integers. */
export function checkWindow(window: Window, who: string): void {
  checkOptions(window, ["kernel", "stride", "padding"], who);
  checkInteger(window.kernel, 1, who, "kernel");
  checkInteger(window.stride, 1, who, "stride");
  checkInteger(window.padding, 0, who, "padding");
}
