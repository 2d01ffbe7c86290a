/**
 * Self-attention of short sequences with its gradient, one head of one sample per tile, on rows [q | k | v] as one
 * projection leaves them. The tile's T × T matrices stay in the thread's scratch memory, their rows filled up to whole
 * vectors.
 */
import type { Ready } from "../../op.ts";
import type { Tensor } from "../../tensor.ts";
import { wasmCall } from "./call.ts";
import { bitsOf } from "./elementwise.ts";
import { type KernelCode, kernel, SCRATCH_BYTES } from "./engine.ts";
import { maxLanes, sumLanes, tailMask } from "./lanes.ts";
import { expNonPositive } from "./math.ts";
import { F32x4, I32, load, loadSplat } from "./values.ts";

/** Widest head whose sums stay in registers. */
const MAX_HEAD = 32;

/** Whether the kernels serve heads of d numbers in sequences of T. */
export const selfAttentionFits = (T: number, d: number): boolean =>
  d % 4 === 0 && d <= MAX_HEAD && 3 * T * 4 * (T + 3) <= SCRATCH_BYTES;

export interface SelfAttention {
  /** (B, T, 3 E): queries, keys, values. */
  readonly packed: Tensor;
  /** (B, heads, T, T filled up to a multiple of four): factors of the weights. */
  readonly mask: Tensor | null;
  readonly heads: number;
  /** Of the scores; positive. */
  readonly scale: number;
}

/** out = (softmax(scale q kᵀ) ⊙ mask) v for every head: (B, T, E). */
export function selfAttentionWasm(out: Tensor, task: SelfAttention): Ready | null {
  return call("self-attention", task, [out], 0.002);
}

/** The gradient for `packed` from the one for `out`. */
export function selfAttentionGradWasm(dPacked: Tensor, dy: Tensor, task: SelfAttention): Ready | null {
  return call("self-attention gradient", task, [dPacked, dy], 0.004);
}

function call(name: string, task: SelfAttention, blocks: readonly Tensor[], cost: number): Ready | null {
  const { packed, mask, heads, scale } = task;
  const [B, T, width] = packed.shape;
  const d = width / (3 * heads);
  if (packed.dtype !== "float32" || packed.size === 0 || !selfAttentionFits(T, d)) return null;
  const code = kernel(`${name}, ${heads} heads of ${d}${mask ? ", masked" : ""}`, 6, (k) => {
    const head = new HeadCode(k, heads, d, mask !== null);
    if (blocks.length === 1) head.forward();
    else head.backward();
  });
  const args = [packed.address, mask?.address ?? 0, T, ...bitsOf([scale]), ...blocks.map((x) => x.address)];
  if (blocks.length === 1) args.push(0);
  return wasmCall(code, args, B * heads, packed.size * T * cost);
}

/** Writes the code for one head after the other. */
class HeadCode {
  readonly #code: KernelCode;
  readonly #heads: number;
  readonly #d: number;
  readonly #masked: boolean;
  /** Bytes of a row of `packed`, and of `out`. */
  readonly #packedRow: number;
  readonly #outRow: number;
  /** Numbers, and bytes, of a row of the T × T matrices. */
  readonly #columns: I32;
  readonly #pitch: I32;
  readonly #scale: F32x4;

  constructor(code: KernelCode, heads: number, d: number, masked: boolean) {
    this.#code = code;
    this.#heads = heads;
    this.#d = d;
    this.#masked = masked;
    this.#packedRow = 12 * heads * d;
    this.#outRow = 4 * heads * d;
    const { f, args } = code;
    const [, , T, scaleBits] = args;
    this.#columns = f.let(T.add(3).and(-4));
    this.#pitch = f.let(this.#columns.shl(2));
    this.#scale = f.let(scaleBits.asF32().splat());
  }

  forward(): void {
    const { f, args } = this.#code;
    const [, , T, , out] = args;
    this.#eachHead((tile, q, sample, column) => {
      const { weights } = this.#weights(tile, q);
      const o = f.let(out.add(sample.mul(T).mul(this.#outRow)).add(column));
      const t = f.local(I32);
      f.range(t, 0, T, 1, () => {
        const row = weights.add(t.mul(this.#pitch));
        this.#combine(o.add(t.mul(this.#outRow)), row, 4, this.#values(q), this.#packedRow);
      });
    });
  }

  backward(): void {
    const { f, args } = this.#code;
    const [packed, , T, , dPacked, dy] = args;
    this.#eachHead((tile, q, sample, column) => {
      const { softmax, weights, factors } = this.#weights(tile, q);
      const slopes = f.let(dy.add(sample.mul(T).mul(this.#outRow)).add(column));
      const logits = f.let(weights.add(T.mul(this.#pitch)));
      const [t, p, s, m, end] = f.locals(I32, 5);
      f.range(t, 0, T, 1, () => {
        // d weights = dy vᵀ; through the mask and softmax to the scores, in place.
        this.#dots(f.let(logits.add(t.mul(this.#pitch))), slopes.add(t.mul(this.#outRow)), this.#values(q));
        const total = f.let(f.constant(0));
        const along = (body: () => void) => {
          f.set(p, softmax.add(t.mul(this.#pitch)));
          f.set(s, logits.add(t.mul(this.#pitch)));
          f.set(m, factors.add(t.mul(this.#pitch)));
          f.set(end, p.add(this.#pitch));
          f.repeatWhile(
            () => {
              body();
              for (const pointer of [p, s, m]) f.bump(pointer, 16);
            },
            () => p.ne(end),
          );
        };
        along(() => {
          const slope = load(F32x4, s);
          const masked = f.let(this.#masked ? slope.mul(load(F32x4, m)) : slope);
          f.store(s, masked);
          f.set(total, this.#code.madd(masked, load(F32x4, p), total));
        });
        const dot = sumLanes(f, total);
        along(() => f.store(s, load(F32x4, s).sub(dot).mul(load(F32x4, p)).mul(this.#scale)));
      });
      const dq = f.let(dPacked.add(q.sub(packed)));
      f.range(t, 0, T, 1, () => {
        const [to, across] = [f.let(dq.add(t.mul(this.#packedRow))), f.let(t.shl(2))];
        this.#combine(to, logits.add(t.mul(this.#pitch)), 4, this.#keys(q), this.#packedRow);
        this.#combine(this.#keys(to), logits.add(across), this.#pitch, q, this.#packedRow);
        this.#combine(this.#values(to), weights.add(across), this.#pitch, slopes, this.#outRow);
      });
    });
  }

  /** Runs the body with the tile, the head's first query, its sample, and the byte at which it starts in a row of `out`. */
  #eachHead(body: (tile: I32, q: I32, sample: I32, column: I32) => void): void {
    const { f, args, tileBegin, tileEnd } = this.#code;
    const [packed, , T] = args;
    const [tile, sample, column, q] = f.locals(I32, 4);
    f.range(tile, tileBegin, tileEnd, 1, () => {
      f.set(sample, tile.div(this.#heads));
      f.set(column, tile.rem(this.#heads).mul(4 * this.#d));
      f.set(q, packed.add(sample.mul(T).mul(this.#packedRow)).add(column));
      body(tile, q, sample, column);
    });
  }

  #keys = (q: I32): I32 => q.add(4 * this.#heads * this.#d);
  #values = (q: I32): I32 => q.add(8 * this.#heads * this.#d);

  /** The head's softmax, its weights (the softmax times the mask; the same place without one), and its part of the mask. */
  #weights(tile: I32, q: I32): { softmax: I32; weights: I32; factors: I32 } {
    const { f, args, scratch } = this.#code;
    const [, mask, T] = args;
    const softmax = f.let(scratch);
    const size = f.let(T.mul(this.#pitch));
    const weights = f.let(this.#masked ? softmax.add(size) : softmax);
    const factors = f.let(this.#masked ? mask.add(tile.mul(size)) : mask);
    const lowest = f.constant(Number.NEGATIVE_INFINITY);
    const [t, at, to, m, end] = f.locals(I32, 5);
    const last = f.let(this.#columns.sub(4));
    const inside = f.let(tailMask(f.let(T.sub(last))));
    f.range(t, 0, T, 1, () => {
      const row = f.let(softmax.add(t.mul(this.#pitch)));
      this.#dots(row, q.add(t.mul(this.#packedRow)), this.#keys(q));
      f.set(end, row.add(last.shl(2)));
      f.store(end, inside.select<F32x4>(load(F32x4, end), lowest));
      f.bump(end, 16);

      const along = (body: () => void) => {
        f.set(at, row);
        f.repeatWhile(
          () => {
            body();
            f.bump(at, 16);
          },
          () => at.ne(end),
        );
      };
      const most = f.let(lowest);
      along(() => f.set(most, most.pmax(load(F32x4, at))));
      const largest = maxLanes(f, most);
      const total = f.let(f.constant(0));
      along(() => {
        const e = expNonPositive(this.#code, f.let(load(F32x4, at).sub(largest).mul(this.#scale)));
        f.store(at, e);
        f.set(total, total.add(e));
      });
      const factor = f.let(f.constant(1).div(sumLanes(f, total)));
      f.set(to, weights.add(t.mul(this.#pitch)));
      f.set(m, factors.add(t.mul(this.#pitch)));
      along(() => {
        const p = f.let(load(F32x4, at).mul(factor));
        f.store(at, p);
        if (!this.#masked) return;
        f.store(to, p.mul(load(F32x4, m)));
        f.bump(to, 16);
        f.bump(m, 16);
      });
    });
    return { softmax, weights, factors };
  }

  /** to[j] = a · row j of `rows` (in `packed`), four at a time; past the last row it is repeated. */
  #dots(to: I32, a: I32, rows: I32): void {
    const { f, args, madd } = this.#code;
    const [, , T] = args;
    const from = f.let(a);
    const vectors = Array.from({ length: this.#d / 4 }, (_, n) => f.let(load(F32x4, from, 16 * n)));
    const [j, write, row] = [f.local(I32), f.let(to), f.let(rows)];
    const last = f.let(row.add(T.sub(1).mul(this.#packedRow)));
    f.range(j, 0, T, 4, () => {
      const dots = [0, 1, 2, 3].map((i) => {
        const at = i === 0 ? row : f.let(f.let(row.add(i * this.#packedRow)).min(last));
        const dot = f.let(vectors[0].mul(load(F32x4, at)));
        for (let n = 1; n < vectors.length; n++) f.set(dot, madd(vectors[n], load(F32x4, at, 16 * n), dot));
        return dot;
      });
      const pair = (x: F32x4, y: F32x4) => f.let(x.shuffle(y, [0, 1, 4, 5]).add(x.shuffle(y, [2, 3, 6, 7])));
      const [ab, cd] = [pair(dots[0], dots[1]), pair(dots[2], dots[3])];
      f.store(write, ab.shuffle(cd, [0, 2, 4, 6]).add(ab.shuffle(cd, [1, 3, 5, 7])));
      f.bump(write, 16);
      f.bump(row, 4 * this.#packedRow);
    });
  }

  /** to = Σ over T rows: factor · row, with factors `factorStep` bytes and rows `rowStep` bytes apart. */
  #combine(to: I32, factors: I32, factorStep: I32 | number, rows: I32, rowStep: number): void {
    const { f, args, madd } = this.#code;
    const [, , T] = args;
    const sums = Array.from({ length: this.#d / 4 }, () => f.let(F32x4.zero()));
    const [factor, row] = [f.let(factors), f.let(rows)];
    const end = f.let(row.add(T.mul(rowStep)));
    f.repeatWhile(
      () => {
        const weight = f.let(loadSplat(factor));
        sums.forEach((sum, n) => {
          f.set(sum, madd(weight, load(F32x4, row, 16 * n), sum));
        });
        f.bump(factor, factorStep);
        f.bump(row, rowStep);
      },
      () => row.ne(end),
    );
    const write = f.let(to);
    sums.forEach((sum, n) => {
      f.store(write, sum, 16 * n);
    });
  }
}
