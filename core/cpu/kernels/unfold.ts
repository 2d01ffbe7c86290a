/** The windows of a map as rows, and the sum of such rows over the map: runs of pixels that lie contiguous in both. */
import type { Ready, TensorView } from "../../device.ts";
import { addressOf } from "../storage.ts";
import type { Local } from "./assembler.ts";
import { wasmCall } from "./call.ts";
import { type KernelCode, kernel } from "./engine.ts";
import { loadTail, storeTail } from "./lanes.ts";
import { load } from "./loads.ts";
import { alongRow } from "./rows.ts";
import { F32x4, I32, int } from "./values.ts";

export interface Windows {
  /** (B, H, W, C) */
  readonly map: TensorView;
  /** (B, rows, columns, kernel · kernel · C) */
  readonly patches: TensorView;
  readonly kernel: number;
  readonly stride: number;
  readonly padding: number;
}

/** patches = the windows of the map, zeros outside of it. For any element of four bytes. */
export function unfoldWasm(task: Windows): Ready | null {
  const [B, rows] = task.patches.shape;
  return call("unfold", unfoldCode, task, B * rows, task.patches.size * 0.0003);
}

/** map = the sum of all windows at their places. */
export function foldWasm(task: Windows): Ready | null {
  const [B, H] = task.map.shape;
  if (task.map.dtype !== "float32") return null;
  return call("fold", foldCode, task, B * H, task.patches.size * 0.0004);
}

function call(
  name: string,
  build: (code: KernelCode, w: Pick<Windows, "kernel" | "stride" | "padding">) => void,
  { map, patches, ...w }: Windows,
  tiles: number,
  cost: number,
): Ready | null {
  if (map.dtype === "float64" || map.size === 0 || patches.size === 0) return null;
  const [, H, W, C] = map.shape;
  const [, rows, columns] = patches.shape;
  const key = `${name} ${w.kernel}x${w.kernel} by ${w.stride}, ${w.padding} around`;
  const code = kernel(key, 7, (k) => build(k, w));
  return wasmCall(code, [addressOf(map), addressOf(patches), H, W, C, rows, columns], tiles, cost);
}

type Window = Pick<Windows, "kernel" | "stride" | "padding">;

/** Pixels of a window's row in front of the map, and inside of it, for the window in that column. */
function inside({ f, args }: KernelCode, { kernel, stride, padding }: Window, column: I32) {
  const [, , , W] = args;
  const x = f.let(column.mul(stride)); // of the window's first pixel, counted from the padding's first
  const missing = f.let(int(padding).sub(x.min(f.let(int(padding)))));
  const before = f.let(missing.min(f.let(int(kernel))));
  const end = f.let(x.add(kernel).min(f.let(W.add(padding)))); // the pixel after the last
  const start = f.let(x.add(before));
  const count = f.let(end.gt(start).select(end.sub(start), 0));
  return { before, count, first: start.sub(padding) };
}

/** A tile is one row of windows. */
function unfoldCode(code: KernelCode, window: Window): void {
  const { f, args, tileBegin, tileEnd } = code;
  const { kernel, stride, padding } = window;
  const [map, patches, H, W, C, rows, columns] = args;
  const [tile, column, ky, read, write, count] = f.locals(I32, 6);
  const pixel = f.let(C.shl(2));
  const rowBytes = f.let(W.mul(pixel));
  const kernels = f.let(int(kernel));
  const zero = f.constant(0);
  const zeros = (numbers: I32): void => {
    f.set(count, numbers);
    f.if(count, () =>
      alongRow(f, {
        pointers: [write],
        count,
        slots: 1,
        vector: (offset) => f.store(write, zero, offset),
        tail: (lanes) => {
          storeTail(f, write, zero, lanes);
          f.bump(write, lanes.shl(2));
        },
      }),
    );
  };
  f.range(tile, tileBegin, tileEnd, 1, () => {
    const top = f.let(tile.rem(rows).mul(stride));
    const sample = f.let(map.add(tile.div(rows).mul(H).mul(rowBytes)));
    f.set(
      write,
      patches.add(
        tile
          .mul(columns)
          .mul(pixel)
          .mul(kernel * kernel),
      ),
    );
    f.range(column, 0, columns, 1, () => {
      const part = inside(code, window, column);
      const after = f.let(kernels.sub(part.before).sub(part.count));
      const from = f.let(sample.add(part.first.mul(pixel)));
      f.range(ky, 0, kernels, 1, () => {
        const y = f.let(top.add(ky).sub(padding)); // rows before the first wrap to large numbers
        f.if(
          y.lt(H),
          () => {
            zeros(part.before.mul(C));
            f.set(read, from.add(y.mul(rowBytes)));
            f.set(count, part.count.mul(C));
            alongRow(f, {
              pointers: [write, read],
              count,
              slots: 2,
              vector: (offset) => f.store(write, load(F32x4, read, offset), offset),
              tail: (lanes) => {
                storeTail(f, write, loadTail(f, read, lanes), lanes);
                f.bump(write, lanes.shl(2));
              },
            });
            zeros(after.mul(C));
          },
          () => zeros(C.mul(kernel)),
        );
      });
    });
  });
}

/** A tile is one row of the map. */
function foldCode(code: KernelCode, window: Window): void {
  const { f, args, tileBegin, tileEnd } = code;
  const { kernel, stride, padding } = window;
  const [map, patches, H, W, C, rows, columns] = args;
  const [tile, column, ky, read, write] = f.locals(I32, 5);
  const pixel = f.let(C.shl(2));
  const kernels = f.let(int(kernel));
  const line = f.let(W.mul(C));
  f.range(tile, tileBegin, tileEnd, 1, () => {
    const y = f.let(tile.rem(H).add(padding));
    const sample = f.let(tile.div(H).mul(rows));
    const out = f.let(map.add(tile.mul(W).mul(pixel)));
    f.set(write, out);
    alongRow(f, {
      pointers: [write],
      count: line,
      slots: 4,
      vector: (offset) => f.store(write, f.constant(0), offset),
      tail: (lanes) => storeTail(f, write, f.constant(0), lanes),
    });
    f.range(ky, 0, kernels, 1, () => {
      const below = f.let(y.sub(ky)); // the window's first row is here, when it is a multiple of the stride
      const row = f.let(below.div(stride));
      const fits = below.lt(rows.mul(stride)).and(row.mul(stride).eq(below));
      f.if(fits, () => {
        const windows = f.let(sample.add(row).mul(columns));
        f.range(column, 0, columns, 1, () => {
          const part = inside(code, window, column);
          const skipped = windows.add(column).mul(kernel).add(ky).mul(kernel).add(part.before);
          f.set(read, patches.add(skipped.mul(pixel)));
          f.set(write, out.add(part.first.mul(pixel)));
          const sum = (a: F32x4, b: F32x4): Local<F32x4> => f.let(a.add(b));
          alongRow(f, {
            pointers: [write, read],
            count: f.let(part.count.mul(C)),
            slots: 2,
            vector: (at) => f.store(write, load(F32x4, write, at).add(load(F32x4, read, at)), at),
            tail: (lanes) => {
              storeTail(f, write, sum(loadTail(f, write, lanes), loadTail(f, read, lanes)), lanes);
            },
          });
        });
      });
    });
  });
}
