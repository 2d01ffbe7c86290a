/** Dropout whose mask is computed from counters where it is used: nothing is stored, and any thread can do any part. */
import type { Ready, TensorView } from "../../device.ts";
import type { Stretch } from "../../random.ts";
import { addressOf } from "../storage.ts";
import type { Local } from "./assembler.ts";
import { bitsOf } from "./elementwise.ts";
import { type KernelCode, kernel } from "./engine.ts";
import { loadTail, storeTail } from "./lanes.ts";
import { load } from "./loads.ts";
import { runTiles } from "./threads.ts";
import { F32x4, I32, I32x4 } from "./values.ts";

/** Numbers that four Philox blocks decide about, 16 bits for each. */
const GROUP = 32;
/** Groups per tile. */
const GROUPS = 64;
const ROUNDS = 10;

/**
 * out[i] = bits[i] < threshold ? 0 : factor · x[i], with the 16-bit numbers of core/ops/dropout.ts. May be in place.
 */
export function dropoutWasm(
  out: TensorView,
  x: TensorView,
  threshold: number,
  factor: number,
  stretch: Stretch,
): Ready | null {
  if (x.dtype !== "float32") return null;
  const code = kernel("dropout", 11, dropoutCode);
  const { key, first } = stretch;
  const args = [addressOf(out), addressOf(x), x.size, threshold, ...bitsOf([factor]), ...key, first];
  const tiles = Math.ceil(x.size / (GROUP * GROUPS));
  return () => runTiles(code, [...args, ...stretch.rest], tiles, x.size * 0.0015); // each round has a mask of its own
}

function dropoutCode(code: KernelCode): void {
  const { f, args, tileBegin, tileEnd } = code;
  const [out, x, size, threshold, factorBits, key0, key1, first, ...rest] = args;
  const limit = f.let(threshold.splat());
  const factor = f.let(factorBits.asF32().splat());
  const low = f.constantInt(0xffff);
  const counters = rest.map((word) => f.let(word.splat()));
  const lanes = f.let(I32x4.of(0, 1, 2, 3).add(first.splat()));

  const [group, read, write, left] = f.locals(I32, 4);
  const begin = f.let(tileBegin.mul(GROUPS));
  const end = f.let(f.let(tileEnd.mul(GROUPS)).min(f.let(size.add(GROUP - 1).div(GROUP))));
  f.range(group, begin, end, 1, () => {
    const words = philox(code, [lanes.add(group.shl(2).splat()), ...counters], [key0, key1]);
    /** Numbers 4 j to 4 j + 3 of the group: its j-th sixteen bits in every lane. */
    const masked = (j: number, value: F32x4): F32x4 => {
      const bits = j % 2 === 0 ? words[j >> 1].and(low) : words[j >> 1].shr(16);
      return value.mul(factor).andNot(bits.lt(limit));
    };
    const offset = f.let(group.mul(4 * GROUP));
    f.set(read, x.add(offset));
    f.set(write, out.add(offset));
    f.set(left, size.sub(group.mul(GROUP)));
    f.if(
      left.ge(GROUP),
      () => {
        for (let j = 0; j < 8; j++) f.store(write, masked(j, load(F32x4, read, 16 * j)), 16 * j);
      },
      () => {
        for (let j = 0; j < 8; j++) {
          const one = () => f.store(write, masked(j, load(F32x4, read)));
          const some = () => storeTail(f, write, f.let(masked(j, loadTail(f, read, left))), left);
          f.if(left.ge(4), one, () => f.if(left, some));
          f.set(left, left.ge(4).select(left.sub(4), 0));
          f.bump(read, 16);
          f.bump(write, 16);
        }
      },
    );
  });
}

/** Philox4x32-10 (see core/random.ts) on four counters at once. */
function philox({ f }: KernelCode, counter: readonly I32x4[], key: readonly I32[]): Local<I32x4>[] {
  const [m0, m1] = [f.constantInt(0xd2511f53 | 0), f.constantInt(0xcd9e8d57 | 0)];
  let [c0, c1, c2, c3] = counter.map((word) => f.let(word));
  const [k0, k1] = key.map((word) => f.let(word));
  /** High and low words of the lanes' products. */
  const product = (a: I32x4, b: I32x4): [high: Local<I32x4>, low: Local<I32x4>] => {
    const [p, q] = [f.let(a.lowProducts(b)), f.let(a.highProducts(b))];
    return [f.let(p.shuffle(q, [1, 3, 5, 7])), f.let(p.shuffle(q, [0, 2, 4, 6]))];
  };
  for (let round = 0; round < ROUNDS; round++) {
    const [high0, low0] = product(c0, m0);
    const [high1, low1] = product(c2, m1);
    c0 = f.let(high1.xor(c1).xor(k0.splat()));
    c2 = f.let(high0.xor(c3).xor(k1.splat()));
    [c1, c3] = [low1, low0];
    f.bump(k0, 0x9e3779b9 | 0);
    f.bump(k1, 0xbb67ae85 | 0);
  }
  return [c0, c1, c2, c3];
}
