/** Attention, one query after the other: for few of them, where laying keys and values out for blocks does not pay. */
import type { Ready, TensorView } from "../../device.ts";
import { addressOf } from "../storage.ts";
import type { Task } from "./attention-task.ts";
import { wasmCall } from "./call.ts";
import { bitsOf } from "./elementwise.ts";
import { type KernelCode, kernel, SCRATCH_BYTES } from "./engine.ts";
import { maxLanes, sumLanes, tailMask } from "./lanes.ts";
import { load, loadSplat } from "./loads.ts";
import { expNonPositive } from "./math.ts";
import { F32x4, I32 } from "./values.ts";

/** Widest head whose sums stay in registers. */
const MAX_HEAD = 32;

/** Whether the kernel serves heads of d numbers, and that many keys. */
export const rowsFit = (S: number, d: number): boolean =>
  d % 4 === 0 && d <= MAX_HEAD && 4 * S + 16 <= SCRATCH_BYTES;

/** softmax(scale q kᵀ) v for every head, one query after the other: no mask, no bias. */
export function attendByRows(task: Task, out: TensorView): Ready {
  const { B, T, S, heads, d, scale, causal, places } = task;
  const rows = places.map(({ row }) => row);
  const name = `attention by rows, ${heads} heads of ${d}, rows of ${rows.join(" ")} bytes${causal ? ", causal" : ""}`;
  const code = kernel(name, 7, (k) => attentionCode(k, { heads, d, rows, causal }));
  const args = [...places.map(({ address }) => address), addressOf(out), T, S, ...bitsOf([scale])];
  return wasmCall(code, args, B * heads, B * heads * T * S * d * 0.0005);
}

interface Sizes {
  readonly heads: number;
  readonly d: number;
  /** Bytes from row to row of queries, keys, values. */
  readonly rows: readonly number[];
  readonly causal: boolean;
}

function attentionCode(code: KernelCode, { heads, d, rows, causal }: Sizes): void {
  const { f, args, tileBegin, tileEnd, scratch, madd } = code;
  const [queries, keys, values, out, T, S, scaleBits] = args;
  const [queryRow, keyRow, valueRow] = rows;
  const vectors = d / 4;
  const [tile, t, j] = f.locals(I32, 3);
  const [q, k, v, o, count, at, end] = f.locals(I32, 7);
  const query = f.locals(F32x4, vectors);
  const sums = f.locals(F32x4, vectors);
  const scores = f.let(scratch);
  const lowest = f.constant(Number.NEGATIVE_INFINITY);
  const scale = f.let(scaleBits.asF32().splat());

  f.range(tile, tileBegin, tileEnd, 1, () => {
    const sample = f.let(tile.div(heads));
    const column = f.let(tile.rem(heads).mul(4 * d));
    f.set(q, queries.add(sample.mul(T).mul(queryRow)).add(column));
    f.set(o, out.add(sample.mul(T).mul(4 * heads * d)).add(column));
    const firstKey = f.let(keys.add(sample.mul(S).mul(keyRow)).add(column));
    const firstValue = f.let(values.add(sample.mul(S).mul(valueRow)).add(column));
    f.range(t, 0, T, 1, () => {
      f.set(count, causal ? f.let(t.add(1)).min(S) : S);
      query.forEach((vector, i) => {
        f.set(vector, load(F32x4, q, 16 * i).mul(scale));
      });

      // Scores, four keys at a time; past the last one it is repeated, and masked.
      const most = f.let(lowest);
      f.set(k, firstKey);
      const lastKey = f.let(firstKey.add(count.sub(1).mul(keyRow)));
      f.set(at, scores);
      f.range(j, 0, count, 4, () => {
        const dots = [0, 1, 2, 3].map((i) => {
          const row = i === 0 ? k : f.let(f.let(k.add(i * keyRow)).min(lastKey));
          const dot = f.let(query[0].mul(load(F32x4, row)));
          for (let n = 1; n < vectors; n++) f.set(dot, madd(query[n], load(F32x4, row, 16 * n), dot));
          return dot;
        });
        // Sums of the four lanes of each, as one vector.
        const pair = (a: F32x4, b: F32x4) =>
          f.let(a.shuffle(b, [0, 1, 4, 5]).add(a.shuffle(b, [2, 3, 6, 7])));
        const [ab, cd] = [pair(dots[0], dots[1]), pair(dots[2], dots[3])];
        const four = f.let(ab.shuffle(cd, [0, 2, 4, 6]).add(ab.shuffle(cd, [1, 3, 5, 7])));
        const left = f.let(count.sub(j));
        f.if(left.lt(4), () => f.set(four, tailMask(left).select<F32x4>(four, lowest)));
        f.store(at, four);
        f.set(most, most.pmax(four));
        f.bump(at, 16);
        f.bump(k, 4 * keyRow);
      });

      // Weights, not yet divided by their sum.
      const largest = maxLanes(f, most);
      const total = f.let(f.constant(0));
      f.set(end, at);
      f.set(at, scores);
      f.repeatWhile(
        () => {
          const e = expNonPositive(code, f.let(load(F32x4, at).sub(largest)));
          f.store(at, e);
          f.set(total, total.add(e));
          f.bump(at, 16);
        },
        () => at.ne(end),
      );

      // The weighted sum of the values.
      for (const sum of sums) f.set(sum, F32x4.zero());
      f.set(v, firstValue);
      f.set(at, scores);
      f.set(end, scores.add(count.shl(2)));
      f.repeatWhile(
        () => {
          const weight = f.let(loadSplat(at));
          sums.forEach((sum, n) => {
            f.set(sum, madd(weight, load(F32x4, v, 16 * n), sum));
          });
          f.bump(at, 4);
          f.bump(v, valueRow);
        },
        () => at.ne(end),
      );
      const factor = f.let(f.constant(1).div(sumLanes(f, total)));
      sums.forEach((sum, n) => {
        f.store(o, sum.mul(factor), 16 * n);
      });
      f.bump(q, queryRow);
      f.bump(o, 4 * heads * d);
    });
  });
}
