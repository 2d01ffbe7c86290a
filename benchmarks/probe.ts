/** What the machine can do at most: multiply-adds in registers, bytes read from a block, bytes copied. */

import { elementwiseWasm } from "../core/cpu/kernels/elementwise.ts";
import { kernel } from "../core/cpu/kernels/engine.ts";
import { load } from "../core/cpu/kernels/loads.ts";
import { runTiles } from "../core/cpu/kernels/threads.ts";
import { F32x4, I32 } from "../core/cpu/kernels/values.ts";
import { addressOf } from "../core/cpu/storage.ts";
import { Expr } from "../core/formula/expr.ts";
import { Tensor } from "../core/tensor.ts";

/** Independent sums: enough to hide the latency of multiply-add, few enough for the registers. */
const SUMS = 12;
const TURNS = 2000;

/** Does `flops` floating-point operations (a multiply-add is two) on registers alone, spread over the threads. */
export function fmaLimit(flops: number): () => void {
  const code = kernel("probe: multiply-add", 1, ({ f, args: [sink], tileBegin, tileEnd, madd }) => {
    const sums = f.locals(F32x4, SUMS);
    const [x, y] = [f.constant(0.999), f.constant(0.001)];
    const [tile, turn] = f.locals(I32, 2);
    const turns = f.let(tileBegin.mul(0).add(TURNS));
    f.range(tile, tileBegin, tileEnd, 1, () => {
      f.range(turn, 0, turns, 1, () => {
        for (const sum of sums) f.set(sum, madd(sum, x, y));
      });
      for (const sum of sums) f.store(sink, sum);
    });
  });
  const sink = Tensor.empty([4]);
  const perTile = TURNS * SUMS * 4 * 2;
  const tiles = Math.max(1, Math.round(flops / perTile));
  return () => runTiles(code, [addressOf(sink)], tiles, tiles * perTile * 2e-5);
}

/** Reads every byte of a block once; threads share the block. */
export function readLimit(bytes: number): () => void {
  const CHUNK = 16_384;
  const code = kernel("probe: read", 2, ({ f, args: [block, sink], tileBegin, tileEnd }) => {
    const sums = f.locals(F32x4, 8);
    const read = f.local(I32);
    const end = f.let(block.add(tileEnd.mul(CHUNK)));
    f.set(read, block.add(tileBegin.mul(CHUNK)));
    f.if(read.ne(end), () =>
      f.repeatWhile(
        () => {
          sums.forEach((sum, i) => {
            f.set(sum, sum.add(load(F32x4, read, 16 * i)));
          });
          f.bump(read, 128);
        },
        () => read.ne(end),
      ),
    );
    f.if(tileBegin.lt(tileEnd), () => {
      for (const sum of sums) f.store(sink, sum);
    });
  });
  const tiles = Math.max(1, Math.round(bytes / CHUNK));
  const [block, sink] = [Tensor.zeros([(tiles * CHUNK) / 4]), Tensor.empty([4])];
  return () => runTiles(code, [addressOf(block), addressOf(sink)], tiles, bytes / 30_000);
}

/** Copies a block: the least that an elementwise or row operation must do. */
export function copyLimit(numbers: number): () => void {
  const [from, to] = [Tensor.zeros([numbers]), Tensor.empty([numbers])];
  return elementwiseWasm(Expr.input(0), 1, 0)(to, [from]) as () => void;
}
