/**
 * The gradient of layer normalisation. x̂ is the normalised row: (x − mean x) · scale with scale = 1 / √(variance +
 * eps).
 */
import type { Ready, TensorView } from "../../device.ts";
import { addressOf } from "../storage.ts";
import { wasmCall } from "./call.ts";
import { bitsOf } from "./elementwise.ts";
import { type KernelCode, kernel } from "./engine.ts";
import { loadTail, storeTail, sumLanes } from "./lanes.ts";
import { oneOver, rowStatistics } from "./layer-norm.ts";
import { load } from "./loads.ts";
import { accumulators, alongRow, combined, narrowRow } from "./rows.ts";
import { F32x4, I32 } from "./values.ts";

/** With g = dy ⊙ gain: dx = (g − mean g − x̂ · mean(g ⊙ x̂)) · scale. dx may be the block of dy. */
export function layerNormGradWasm(
  dx: TensorView,
  dy: TensorView,
  x: TensorView,
  gain: TensorView,
  eps: number,
): Ready | null {
  if (dx.size === 0 || dx.dtype !== "float32") return null;
  const C = gain.size;
  const args = [addressOf(dx), addressOf(dy), addressOf(x), addressOf(gain), C, ...bitsOf([eps])];
  const vectors = narrowRow(C);
  const code = kernel(`layer norm gradient ${vectors ?? ""}`, 6, (k) => gradCode(k, vectors));
  return wasmCall(code, args, dx.size / C, dx.size * 0.001);
}

function gradCode(code: KernelCode, vectors: number | null): void {
  const { f, args, tileBegin, tileEnd, madd, nmadd } = code;
  const [dx, dy, x, gain, count, epsBits] = args;
  const eps = f.let(epsBits.asF32().splat());
  const rowBytes = f.let(count.shl(2));
  const share = oneOver(code, count);
  const [row, readX, readDy, readGain, write] = f.locals(I32, 5);
  f.range(row, tileBegin, tileEnd, 1, () => {
    const offset = f.let(row.mul(rowBytes));
    const { mean, scale } = rowStatistics(code, x.add(offset), count, share, eps, vectors);
    const rewind = () => {
      f.set(readX, x.add(offset));
      f.set(readDy, dy.add(offset));
      f.set(readGain, gain);
      f.set(write, dx.add(offset));
    };
    // Lanes past a row's end hold dy = 0 and gain = 0, so they add nothing.
    const whole = (at: number) => ({
      g: f.let(load(F32x4, readDy, at).mul(load(F32x4, readGain, at))),
      normal: f.let(load(F32x4, readX, at).sub(mean).mul(scale)),
    });
    const part = (lanes: I32) => ({
      g: f.let(loadTail(f, readDy, lanes).mul(loadTail(f, readGain, lanes))),
      normal: f.let(loadTail(f, readX, lanes).sub(mean).mul(scale)),
    });

    rewind();
    const [sums, products] = [accumulators(f, 4, f.constant(0)), accumulators(f, 4, f.constant(0))];
    const gather = (slot: number, { g, normal }: { g: F32x4; normal: F32x4 }) => {
      f.set(sums[slot], sums[slot].add(g));
      f.set(products[slot], madd(g, normal, products[slot]));
    };
    alongRow(f, {
      pointers: [readX, readDy, readGain],
      count,
      vectors,
      slots: 4,
      vector: (at, slot) => gather(slot, whole(at)),
      tail: (lanes) => gather(0, part(lanes)),
    });
    const average = (parts: readonly F32x4[]) => {
      const total = combined(f, parts, (a, b) => a.add(b));
      return f.let(sumLanes(f, total).mul(share));
    };
    const [meanG, meanProduct] = [average(sums), average(products)];

    rewind();
    const slope = ({ g, normal }: { g: F32x4; normal: F32x4 }) =>
      f.let(nmadd(normal, meanProduct, g.sub(meanG)).mul(scale));
    alongRow(f, {
      pointers: [write, readX, readDy, readGain],
      count,
      vectors,
      slots: 2,
      vector: (at) => f.store(write, slope(whole(at)), at),
      tail: (lanes) => storeTail(f, write, slope(part(lanes)), lanes),
    });
  });
}

/**
 * Gradients of gain and bias, side by side in `out` (2, C): Σ dy ⊙ x̂ and Σ dy over all rows. One tile: every row adds
 * to the same sums.
 */
export function layerNormSumsWasm(out: TensorView, dy: TensorView, x: TensorView, eps: number): Ready | null {
  if (x.size === 0 || out.dtype !== "float32") return null;
  const C = out.size / 2;
  const args = [addressOf(out), addressOf(dy), addressOf(x), C, x.size / C, ...bitsOf([eps])];
  const vectors = narrowRow(C);
  const code = kernel(`layer norm sums ${vectors ?? ""}`, 6, (k) => sumsCode(k, vectors));
  return wasmCall(code, args, 1, x.size * 0.001);
}

function sumsCode(code: KernelCode, vectors: number | null): void {
  const { f, args, tileBegin, tileEnd, madd } = code;
  const [out, dy, x, count, rows, epsBits] = args;
  const eps = f.let(epsBits.asF32().splat());
  const share = oneOver(code, count);
  const zero = f.constant(0);
  const rowBytes = f.let(count.shl(2));
  const [row, readX, readDy, gains, biases] = f.locals(I32, 5);
  const rewind = () => {
    f.set(gains, out);
    f.set(biases, out.add(rowBytes));
  };
  f.if(tileBegin.lt(tileEnd), () => {
    rewind();
    alongRow(f, {
      pointers: [gains, biases],
      count,
      vectors,
      slots: 2,
      vector(at) {
        f.store(gains, zero, at);
        f.store(biases, zero, at);
      },
      tail(lanes) {
        storeTail(f, gains, zero, lanes);
        storeTail(f, biases, zero, lanes);
      },
    });
    f.range(row, 0, rows, 1, () => {
      const offset = f.let(row.mul(rowBytes));
      const { mean, scale } = rowStatistics(code, x.add(offset), count, share, eps, vectors);
      f.set(readX, x.add(offset));
      f.set(readDy, dy.add(offset));
      rewind();
      alongRow(f, {
        pointers: [readX, readDy, gains, biases],
        count,
        vectors,
        slots: 2,
        vector(at) {
          const slope = f.let(load(F32x4, readDy, at));
          const normal = load(F32x4, readX, at).sub(mean).mul(scale);
          f.store(gains, madd(slope, normal, load(F32x4, gains, at)), at);
          f.store(biases, load(F32x4, biases, at).add(slope), at);
        },
        tail(lanes) {
          const slope = loadTail(f, readDy, lanes);
          const normal = f.let(loadTail(f, readX, lanes).sub(mean).mul(scale));
          storeTail(f, gains, f.let(madd(slope, normal, loadTail(f, gains, lanes))), lanes);
          storeTail(f, biases, f.let(loadTail(f, biases, lanes).add(slope)), lanes);
        },
      });
    });
  });
}
