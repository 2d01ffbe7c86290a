import { checkInteger, checkOptions } from "../check.ts";
import type { TensorData } from "../dtype.ts";
import { apply, defineOp } from "../op.ts";
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

/** Calls `visit(patch, map, count)` for each run of `count` numbers that lies contiguous in both layouts. */
function eachRun(
  shape: readonly number[],
  w: Window,
  visit: (patch: number, map: number, count: number) => void,
): void {
  const [B, H, W, C] = shape;
  const [rows, columns] = [positions(H, w), positions(W, w)];
  let patch = 0;
  for (let b = 0; b < B; b++)
    for (let r = 0; r < rows; r++)
      for (let c = 0; c < columns; c++) {
        // Pixels of a window's row lie side by side in the map as well, as far as they are inside.
        const x = c * w.stride - w.padding;
        const first = Math.max(0, -x);
        const count = Math.min(w.kernel, W - x) - first;
        for (let ky = 0; ky < w.kernel; ky++, patch += w.kernel * C) {
          const y = r * w.stride + ky - w.padding;
          if (y >= 0 && y < H && count > 0)
            visit(patch + first * C, ((b * H + y) * W + x + first) * C, count * C);
        }
      }
}

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
  kernels: {
    js(out, [x], w) {
      const [X, Y] = [x.data, out.data.fill(0)];
      eachRun(x.shape, w, (patch, map, count) => {
        for (let i = 0; i < count; i++) Y[patch + i] = X[map + i];
      });
    },
  },
  integers: true,
  backward: (dy, [x], _out, w) => [apply(fold, [dy], { ...w, H: x.shape[1], W: x.shape[2] })],
  samples: [
    { ins: [[2, 4, 5, 2]], attrs: { kernel: 3, stride: 2, padding: 1 } },
    { ins: [[1, 5, 5, 1]], attrs: { kernel: 2, stride: 1, padding: 0 } },
    { ins: [[1, 2, 3, 3]], attrs: { kernel: 5, stride: 4, padding: 3 } },
  ],
});

export const fold = defineOp<Patches>({
  name: "fold",
  shape([y], { kernel, H, W }) {
    return [y.shape[0], H, W, y.shape[3] / (kernel * kernel)];
  },
  kernels: {
    js(out, [y], w) {
      const [X, Y]: TensorData[] = [out.data.fill(0), y.data];
      eachRun(out.shape, w, (patch, map, count) => {
        for (let i = 0; i < count; i++) X[map + i] += Y[patch + i];
      });
    },
  },
  backward: (dx, _ins, _out, { kernel, stride, padding }) => [dx.unfold({ kernel, stride, padding })],
  samples: [
    { ins: [[1, 2, 3, 18]], attrs: { kernel: 3, stride: 2, padding: 1, H: 4, W: 5 } },
    { ins: [[2, 2, 2, 12]], attrs: { kernel: 2, stride: 3, padding: 0, H: 6, W: 5 } },
    { ins: [[1, 1, 2, 25]], attrs: { kernel: 5, stride: 4, padding: 3, H: 2, W: 3 } },
  ],
});

/**
 * The windows of a map as rows, so that a convolution becomes a matrix product:
 * (B, H, W, C) → (B, rows, columns, kernel · kernel · C), window pixels row-major, channels innermost.
 */
export function unfold(x: Tensor, window: Window): Tensor {
  checkWindow(window, "unfold");
  return apply(op, [x], window);
}

/** Throws unless kernel and stride are positive and padding is not negative, all integers. */
export function checkWindow(window: Window, who: string): void {
  checkOptions(window, ["kernel", "stride", "padding"], who);
  checkInteger(window.kernel, 1, who, "kernel");
  checkInteger(window.stride, 1, who, "stride");
  checkInteger(window.padding, 0, who, "padding");
}
