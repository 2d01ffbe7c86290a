import type { Ready, TensorView } from "../../device.ts";
import { addressOf } from "../storage.ts";
import { wasmCall } from "./call.ts";
import { type KernelCode, kernel, SCRATCH_BYTES } from "./engine.ts";
import { loadLanes, storeLanes } from "./lanes.ts";
import { F32x4, I32, int } from "./values.ts";

/**
 * 3×3 convolution of each channel by itself, stride 1, padding 1: x (B, H, W, C), weight (3, 3, C) → out (B, H, W, C).
 * Null when one pixel's channels do not fit the scratch memory.
 */
export function depthwiseConvWasm(out: TensorView, x: TensorView, weight: TensorView): Ready | null {
  const [B, H, W, C] = x.shape;
  if (out.size === 0 || x.dtype !== "float32" || 4 * (C + 4) > SCRATCH_BYTES) return null;
  const code = kernel(`depthwise 3x3, ${C} channels`, 5, (k) => depthwiseCode(k, C));
  return wasmCall(code, [addressOf(out), addressOf(x), addressOf(weight), H, W], B * H, out.size * 0.001);
}

/** A tile is a row of the output. */
function depthwiseCode({ f, args, tileBegin, tileEnd, scratch, madd }: KernelCode, C: number): void {
  const [out, x, weight, H, W] = args;
  const [tile, column, channel] = f.locals(I32, 3);
  const pixel = 4 * C;
  // A tap outside the map reads zeros.
  const zeros = f.let(scratch);
  const zerosEnd = f.let(int(pixel));
  f.range(channel, 0, zerosEnd, 16, () => f.store(zeros.add(channel), f.constant(0)));

  f.range(tile, tileBegin, tileEnd, 1, () => {
    const row = f.let(tile.rem(H));
    f.range(column, 0, W, 1, () => {
      const here = f.let(tile.mul(W).add(column).mul(pixel));
      const taps = Array.from({ length: 9 }, (_, tap) => {
        // Coordinates before the first wrap to large numbers.
        const [y, z] = [row.add(Math.floor(tap / 3) - 1), column.add((tap % 3) - 1)];
        const away = W.mul(Math.floor(tap / 3) - 1).add((tap % 3) - 1);
        return f.let(
          y
            .lt(H)
            .and(z.lt(W))
            .select(x.add(here).add(away.mul(pixel)), zeros),
        );
      });
      const write = f.let(out.add(here));
      const read = f.let<I32>(weight);
      const channels = (lanes: number) => {
        const sum = f.let(F32x4.zero());
        taps.forEach((tap, i) => {
          f.set(sum, madd(loadLanes(tap, lanes), loadLanes(read, lanes, i * pixel), sum));
        });
        storeLanes(f, write, sum, lanes);
      };
      const end = f.let(write.add(pixel - (pixel % 16)));
      if (C >= 4) {
        f.repeatWhile(
          () => {
            channels(4);
            for (const pointer of [write, read, ...taps]) f.bump(pointer, 16);
          },
          () => write.ne(end),
        );
      }
      if (C % 4) channels(C % 4);
    });
  });
}
