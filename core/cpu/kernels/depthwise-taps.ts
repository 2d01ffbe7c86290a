import type { Ready, TensorView } from "../../device.ts";
import { addressOf } from "../storage.ts";
import { wasmCall } from "./call.ts";
import { type KernelCode, kernel } from "./engine.ts";
import { loadLanes, storeLanes } from "./lanes.ts";
import { F32x4, I32 } from "./values.ts";

/** Channels of a tile: one cache line, whose sums for three taps fit the registers. */
const CHANNELS = 16;

/**
 * The gradient of a 3×3 depthwise convolution for its weight: x and dy (B, H, W, C) → out (3, 3, C),
 * out[ky][kx] = Σ x[y + ky − 1][z + kx − 1] ⊙ dy[y][z] over batch and pixels. Rows of the map are summed up first.
 */
export function depthwiseTapsWasm(out: TensorView, x: TensorView, dy: TensorView): Ready | null {
  const [B, H, W, C] = x.shape;
  if (x.size === 0 || x.dtype !== "float32") return null;
  const code = kernel(`depthwise 3x3 taps, ${C} channels`, 6, (k) => tapsCode(k, C));
  const args = [addressOf(out), addressOf(x), addressOf(dy), B, H, W];
  return wasmCall(code, args, 3 * Math.ceil(C / CHANNELS), x.size * 0.001);
}

/** A tile is a row of the taps, for up to CHANNELS channels. */
function tapsCode(code: KernelCode, C: number): void {
  const { f, args, tileBegin, tileEnd } = code;
  const groups = Math.ceil(C / CHANNELS);
  const tile = f.local(I32);
  f.range(tile, tileBegin, tileEnd, 1, () => {
    const ky = f.let(tile.div(groups));
    const group = f.let(tile.rem(groups));
    const first = group.mul(4 * CHANNELS);
    const [out, x, dy] = args.map((address) => f.let(address.add(first)));
    const sum = (channels: number): void => tapRow(code, C, channels, ky, { out, x, dy });
    const rest = C % CHANNELS;
    if (rest === 0) sum(CHANNELS);
    else if (groups === 1) sum(rest);
    else
      f.if(
        group.eq(groups - 1),
        () => sum(rest),
        () => sum(CHANNELS),
      );
  });
}

/** The three taps of row ky, for `channels` channels from the given addresses on. */
function tapRow(
  { f, args, madd }: KernelCode,
  C: number,
  channels: number,
  ky: I32,
  { out, x, dy }: { out: I32; x: I32; dy: I32 },
): void {
  const [, , , B, H, W] = args;
  const pixel = 4 * C;
  const vectors = Array.from({ length: Math.ceil(channels / 4) }, (_, v) => ({
    at: 16 * v,
    lanes: Math.min(4, channels - 4 * v),
    sums: f.locals(F32x4, 3),
  }));
  const write = f.let(out.add(ky.mul(3 * pixel)));
  for (const { at, lanes } of vectors)
    for (const kx of [0, 1, 2]) storeLanes(f, write, f.constant(0), lanes, kx * pixel + at);

  const [sample, row, read, slope, end] = f.locals(I32, 5);
  /**
   * Adds the products of the pixel at `slope` with those of its neighbours that lie inside; then on to the next pixel.
   */
  const visit = (inside: readonly number[]): void => {
    for (const { at, lanes, sums } of vectors) {
      const d = f.let(loadLanes(slope, lanes, at));
      // `read` stands one pixel before the tap in the middle.
      for (const kx of inside) f.set(sums[kx], madd(d, loadLanes(read, lanes, kx * pixel + at), sums[kx]));
    }
    f.bump(read, pixel);
    f.bump(slope, pixel);
  };
  // Rows y whose neighbour y + ky − 1 exists: all but the first (ky = 0) or the last (ky = 2).
  const from = f.let(ky.eq(0));
  const to = f.let(H.sub(ky.eq(2)));
  const rowBytes = f.let(W.mul(pixel));
  f.range(sample, 0, B, 1, () =>
    f.range(row, from, to, 1, () => {
      const y = f.let(sample.mul(H).add(row));
      f.set(slope, dy.add(y.mul(rowBytes)));
      f.set(read, x.add(y.add(ky).sub(1).mul(rowBytes)).sub(pixel));
      f.set(end, slope.add(rowBytes).sub(pixel));
      for (const { sums } of vectors) for (const sum of sums) f.set(sum, F32x4.zero());
      f.if(
        slope.eq(end),
        () => visit([1]),
        () => {
          visit([1, 2]);
          f.if(slope.ne(end), () =>
            f.repeatWhile(
              () => visit([0, 1, 2]),
              () => slope.ne(end),
            ),
          );
          visit([0, 1]);
        },
      );
      for (const { at, lanes, sums } of vectors)
        sums.forEach((sum, kx) => {
          const total = f.let(loadLanes(write, lanes, kx * pixel + at).add(sum));
          storeLanes(f, write, total, lanes, kx * pixel + at);
        });
    }),
  );
}
