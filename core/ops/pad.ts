import { checkInteger } from "../check.ts";
import { copyRowsWasm, inTurn, type Rows } from "../cpu/kernels/copy-rows.ts";
import { apply, defineOp } from "../op.ts";
import { resolveAxis, sizeOf } from "../shape.ts";
import type { Tensor } from "../tensor.ts";

interface Margins {
  readonly axis: number;
  readonly before: number;
  readonly after: number;
}

const op = defineOp<Margins>({
  name: "pad",
  shape([x], { axis, before, after }) {
    return x.shape.with(axis, before + x.shape[axis] + after);
  },
  kernels: {
    js(out, [x], { axis, before }) {
      const inner = sizeOf(x.shape.slice(axis + 1));
      const count = x.shape[axis] * inner;
      const stride = out.shape[axis] * inner;
      out.data.fill(0);
      for (let o = 0, at = 0; at < x.size; o++, at += count) {
        out.data.set(x.data.subarray(at, at + count), o * stride + before * inner);
      }
    },
    wasm(out, [x], { axis, before, after }) {
      const inner = sizeOf(x.shape.slice(axis + 1));
      const [count, pitch] = [x.shape[axis] * inner, out.shape[axis] * inner];
      const rows = out.size / pitch;
      const at = (element: number): Rows => ({ address: out.address + 4 * element, pitch });
      const end = before * inner + count;
      return inTurn([
        copyRowsWasm(at(0), null, rows, before * inner),
        copyRowsWasm(at(before * inner), { address: x.address, pitch: count }, rows, count),
        copyRowsWasm(at(end), null, rows, after * inner),
      ]);
    },
  },
  integers: true,
  backward: (dy, [x], _out, { axis, before }) => [dy.slice(axis, before, before + x.shape[axis])],
  samples: [
    { ins: [[2, 3, 2]], attrs: { axis: 1, before: 2, after: 1 } },
    { ins: [[4]], attrs: { axis: 0, before: 0, after: 3 } },
  ],
});

/** Puts zeros before and after along one axis. */
export function pad(x: Tensor, axis: number, before: number, after: number): Tensor {
  checkInteger(before, 0, "pad", "zeros before");
  checkInteger(after, 0, "pad", "zeros after");
  return apply(op, [x], { axis: resolveAxis(axis, x.shape.length, "pad"), before, after });
}
