/**
 * Self-attention of short sequences with its gradient, one head of one sample per tile, on rows [q | k | v] as one
 * projection leaves them. Queries come in blocks of QUERIES: their scores, and everything a block is multiplied with, lie
 * in the thread's scratch memory, mostly in the first cache. All products run on one inner kernel, 4 rows × 8 columns.
 */
import type { Block, Ready } from "../../device.ts";
import { addressOf } from "../storage.ts";
import type { Local } from "./assembler.ts";
import { wasmCall } from "./call.ts";
import { bitsOf } from "./elementwise.ts";
import { type KernelCode, kernel, SCRATCH_BYTES } from "./engine.ts";
import { maxLanes, sumLanes, tailMask } from "./lanes.ts";
import { expNonPositive } from "./math.ts";
import { F32x4, I32, int, load, loadSplat } from "./values.ts";

/** Queries of a block, a multiple of four. */
const QUERIES = 16;

/** Numbers from row to row of a matrix of T columns in scratch memory: a constant of the code, one for many T. */
const pitchOf = (T: number): number => Math.ceil(T / 32) * 32;

/** Numbers of scratch memory: five matrices of a row per key, two of a row per query, three of scores, factors. */
const scratchOf = (T: number, d: number): number =>
  5 * pitchOf(T) * d + QUERIES * (2 * d + 3 * pitchOf(T) + 4);

/** Whether the kernels serve heads of d numbers in sequences of T. */
export const selfAttentionFits = (T: number, d: number): boolean =>
  d % 4 === 0 && 4 * scratchOf(T, d) <= SCRATCH_BYTES;

export interface SelfAttention {
  /** (B, T, 3 E): queries, keys, values. */
  readonly packed: Block;
  /** (B, heads, T, T filled up to a multiple of four): factors of the weights. */
  readonly mask: Block | null;
  readonly heads: number;
  /** Of the scores; positive. */
  readonly scale: number;
}

/** out = (softmax(scale q kᵀ) ⊙ mask) v for every head: (B, T, E). */
export function selfAttentionWasm(out: Block, task: SelfAttention): Ready | null {
  return call("self-attention", task, [out], 0.001);
}

/** The gradient for `packed` from the one for `out`. */
export function selfAttentionGradWasm(dPacked: Block, dy: Block, task: SelfAttention): Ready | null {
  return call("self-attention gradient", task, [dPacked, dy], 0.002);
}

function call(name: string, task: SelfAttention, blocks: readonly Block[], cost: number): Ready | null {
  const { packed, mask, heads, scale } = task;
  const [B, T, width] = packed.shape;
  const d = width / (3 * heads);
  if (packed.dtype !== "float32" || packed.size === 0 || !selfAttentionFits(T, d)) return null;
  const pitch = pitchOf(T);
  const key = `${name}, ${heads} heads of ${d}, ${pitch} columns${mask ? ", masked" : ""}`;
  const code = kernel(key, 6, (k) => {
    const head = new HeadCode(k, { heads, d, pitch, masked: mask !== null });
    if (blocks.length === 1) head.forward();
    else head.backward();
  });
  const args = [
    addressOf(packed),
    mask ? addressOf(mask) : 0,
    T,
    ...bitsOf([scale]),
    ...blocks.map(addressOf),
  ];
  if (blocks.length === 1) args.push(0);
  return wasmCall(code, args, B * heads, packed.size * T * cost);
}

interface Sizes {
  readonly heads: number;
  readonly d: number;
  /** Numbers from row to row of matrices with a column per key. */
  readonly pitch: number;
  readonly masked: boolean;
}

/** Rows `row` bytes apart, from an address on. */
interface Rows {
  readonly at: I32;
  readonly row: number;
}

/** C = A B, or C += A B: four rows and some columns of C. */
interface Product {
  /** A's first number; bytes from row to row and from column to column. */
  readonly a: I32;
  readonly aRow: number;
  readonly aStep: number;
  readonly b: Rows;
  /** Columns of A, rows of B; at least one. */
  readonly steps: I32;
  readonly c: Rows;
  /** Adds to C where this is not 0. */
  readonly onto?: I32;
}

/** Writes the code for one head after the other. */
class HeadCode {
  readonly #code: KernelCode;
  readonly #sizes: Sizes;
  /** Rows of `packed`, of `out`, of matrices (…, d) and (…, T) in scratch memory, in bytes. */
  readonly #packedRow: number;
  readonly #outRow: number;
  readonly #headRow: number;
  readonly #scoreRow: number;
  /** T filled up to a multiple of four. */
  readonly #columns: Local<I32>;
  readonly #scale: Local<F32x4>;
  // In scratch memory. Matrices (d, T), transposed: keys, values. (T, d): values or keys, gradients of keys and values.
  readonly #keysT: Local<I32>;
  readonly #valuesT: Local<I32>;
  readonly #rows: Local<I32>;
  readonly #dKeys: Local<I32>;
  readonly #dValues: Local<I32>;
  // Of a block. (QUERIES, d): queries times the scale; results, or their gradients. (QUERIES, T): softmax, weights, slopes.
  // A vector for each query: 1 / the sum of its softmax.
  readonly #queries: Local<I32>;
  readonly #results: Local<I32>;
  readonly #factors: Local<I32>;
  readonly #softmax: Local<I32>;
  readonly #weights: Local<I32>;
  readonly #slopes: Local<I32>;

  constructor(code: KernelCode, sizes: Sizes) {
    this.#code = code;
    this.#sizes = sizes;
    const { heads, d, pitch, masked } = sizes;
    this.#packedRow = 12 * heads * d;
    this.#outRow = 4 * heads * d;
    this.#headRow = 4 * d;
    this.#scoreRow = 4 * pitch;
    const { f, args, scratch } = code;
    const [, , T, scaleBits] = args;
    this.#columns = f.let(T.add(3).and(-4));
    this.#scale = f.let(scaleBits.asF32().splat());
    let used = 0;
    const place = (numbers: number): Local<I32> => {
      const address = f.let(scratch.add(used));
      used += 4 * numbers;
      return address;
    };
    this.#softmax = place(QUERIES * pitch);
    this.#weights = masked ? place(QUERIES * pitch) : this.#softmax;
    this.#slopes = place(QUERIES * pitch);
    [this.#queries, this.#results] = [place(QUERIES * d), place(QUERIES * d)];
    this.#factors = place(QUERIES * 4);
    [this.#keysT, this.#valuesT, this.#rows] = [place(pitch * d), place(pitch * d), place(pitch * d)];
    [this.#dKeys, this.#dValues] = [place(pitch * d), place(pitch * d)];
  }

  forward(): void {
    const { f, args } = this.#code;
    const [, , T, , out] = args;
    const headRow = this.#headRow;
    this.#eachHead((tile, q, sample, column) => {
      this.#transpose(this.#keys(q), this.#keysT);
      this.#copy({ at: this.#values(q), row: this.#packedRow }, { at: this.#rows, row: headRow }, T);
      const o = f.let(out.add(sample.mul(T).mul(this.#outRow)).add(column));
      this.#eachBlock((first, count) => {
        this.#weightsOf(tile, q, first, count);
        this.#combine(this.#weights, this.#results, count);
        const to = { at: o.add(first.mul(this.#outRow)), row: this.#outRow };
        this.#copy({ at: this.#results, row: headRow }, to, count, this.#factors);
      });
    });
  }

  backward(): void {
    const { f, args } = this.#code;
    const [packed, , T, , dPacked, dy] = args;
    const { d } = this.#sizes;
    const [packedRow, headRow, scoreRow] = [this.#packedRow, this.#headRow, this.#scoreRow];
    this.#eachHead((tile, q, sample, column) => {
      this.#transpose(this.#keys(q), this.#keysT);
      this.#transpose(this.#values(q), this.#valuesT);
      this.#copy({ at: this.#keys(q), row: packedRow }, { at: this.#rows, row: headRow }, T);
      const slopes = f.let(dy.add(sample.mul(T).mul(this.#outRow)).add(column));
      const dq = f.let(dPacked.add(q.sub(packed)));
      this.#eachBlock((first, count) => {
        this.#weightsOf(tile, q, first, count);
        const from = { at: slopes.add(first.mul(this.#outRow)), row: this.#outRow };
        this.#copy(from, { at: this.#results, row: headRow }, count, this.#factors);
        // d weights = dy vᵀ; through the mask and softmax to the scores, in place.
        this.#scores(this.#results, this.#valuesT, this.#slopes, count);
        this.#throughSoftmax(tile, first, count);
        // Sums over the queries, which hold the scale already.
        const sumUp = (scores: I32, rows: I32, sums: I32) =>
          this.#fourRows(this.#columns, (key) => {
            this.#product(int(d), {
              ...{ a: scores.add(key.shl(2)), aRow: 4, aStep: scoreRow },
              ...{ b: { at: rows, row: headRow }, steps: count },
              ...{ c: { at: sums.add(key.mul(headRow)), row: headRow }, onto: first },
            });
          });
        sumUp(this.#slopes, this.#queries, this.#dKeys);
        sumUp(this.#weights, this.#results, this.#dValues);
        this.#combine(this.#slopes, this.#results, count);
        const to = { at: dq.add(first.mul(packedRow)), row: packedRow };
        this.#copy({ at: this.#results, row: headRow }, to, count, this.#scale);
      });
      this.#copy({ at: this.#dKeys, row: headRow }, { at: this.#keys(dq), row: packedRow }, T);
      this.#copy({ at: this.#dValues, row: headRow }, { at: this.#values(dq), row: packedRow }, T);
    });
  }

  /** Runs the body with the tile, the head's first query, its sample, and the byte at which it starts in a row of `out`. */
  #eachHead(body: (tile: I32, q: I32, sample: I32, column: I32) => void): void {
    const { f, args, tileBegin, tileEnd } = this.#code;
    const { heads, d } = this.#sizes;
    const [packed, , T] = args;
    const [tile, sample, column, q] = f.locals(I32, 4);
    f.range(tile, tileBegin, tileEnd, 1, () => {
      f.set(sample, tile.div(heads));
      f.set(column, tile.rem(heads).mul(4 * d));
      f.set(q, packed.add(sample.mul(T).mul(this.#packedRow)).add(column));
      body(tile, q, sample, column);
    });
  }

  /** Runs the body with the first query of each block, and how many there are. */
  #eachBlock(body: (first: I32, count: Local<I32>) => void): void {
    const { f, args } = this.#code;
    const [, , T] = args;
    const [first, count] = f.locals(I32, 2);
    const most = f.let(int(QUERIES));
    f.range(first, 0, T, QUERIES, () => {
      f.set(count, f.let(T.sub(first)).min(most));
      body(first, count);
    });
  }

  #fourRows(count: I32, body: (row: I32) => void): void {
    const { f } = this.#code;
    const row = f.local(I32);
    f.range(row, 0, count, 4, () => body(row));
  }

  #keys = (q: I32): I32 => q.add(this.#outRow);
  #values = (q: I32): I32 => q.add(2 * this.#outRow);

  /**
   * The weights of a block of queries, each row to be divided by its sum: `factors` are for that. `softmax` holds them
   * without the mask.
   */
  #weightsOf(tile: I32, q: I32, first: I32, count: I32): void {
    const { f, args } = this.#code;
    const [, , T] = args;
    const from = { at: q.add(first.mul(this.#packedRow)), row: this.#packedRow };
    this.#copy(from, { at: this.#queries, row: this.#headRow }, count, this.#scale);
    this.#scores(this.#queries, this.#keysT, this.#softmax, count);
    const lowest = f.constant(Number.NEGATIVE_INFINITY);
    const last = f.let(this.#columns.sub(4));
    const inside = f.let(tailMask(f.let(T.sub(last))));
    this.#eachRow(tile, first, count, ({ softmax, weights, factor, mask }, along) => {
      const end = f.let(softmax.add(last.shl(2)));
      f.store(end, inside.select<F32x4>(load(F32x4, end), lowest));
      const most = f.let(lowest);
      along([softmax], () => f.set(most, most.pmax(load(F32x4, softmax))));
      const largest = maxLanes(f, most);
      const sum = f.let(f.constant(0));
      along(this.#sizes.masked ? [softmax, weights, mask] : [softmax], () => {
        const e = expNonPositive(this.#code, f.let(load(F32x4, softmax).sub(largest)));
        f.store(softmax, e);
        f.set(sum, sum.add(e));
        if (this.#sizes.masked) f.store(weights, e.mul(load(F32x4, mask)));
      });
      f.store(factor, f.constant(1).div(sumLanes(f, sum)));
    });
  }

  /**
   * The slopes of a block's weights become those of its scores: softmax ⊙ (slope ⊙ mask − their mean under softmax). They
   * have been divided by the sums of the rows.
   */
  #throughSoftmax(tile: I32, first: I32, count: I32): void {
    const { f, madd } = this.#code;
    const { masked } = this.#sizes;
    this.#eachRow(tile, first, count, ({ softmax, slopes, factor, mask }, along) => {
      const total = f.let(f.constant(0));
      along(masked ? [softmax, slopes, mask] : [softmax, slopes], () => {
        const slope = load(F32x4, slopes);
        const passed = f.let(masked ? slope.mul(load(F32x4, mask)) : slope);
        if (masked) f.store(slopes, passed);
        f.set(total, madd(passed, load(F32x4, softmax), total));
      });
      const mean = f.let(sumLanes(f, total).mul(load(F32x4, factor)));
      along([softmax, slopes], () =>
        f.store(slopes, load(F32x4, slopes).sub(mean).mul(load(F32x4, softmax))),
      );
    });
  }

  /**
   * Runs the body for each query of a block, with the places of its rows; `along` moves some of them along the row, and
   * back to its start.
   */
  #eachRow(
    tile: I32,
    first: I32,
    count: I32,
    body: (
      row: Record<"softmax" | "weights" | "slopes" | "factor" | "mask", Local<I32>>,
      along: (pointers: readonly Local<I32>[], visit: () => void) => void,
    ) => void,
  ): void {
    const { f, args } = this.#code;
    const [, masks, T] = args;
    const [query, softmax, weights, slopes, factor, mask] = f.locals(I32, 6);
    const rowBytes = f.let(this.#columns.shl(2));
    f.range(query, 0, count, 1, () => {
      f.set(softmax, this.#softmax.add(query.mul(this.#scoreRow)));
      f.set(weights, this.#weights.add(query.mul(this.#scoreRow)));
      f.set(slopes, this.#slopes.add(query.mul(this.#scoreRow)));
      f.set(factor, this.#factors.add(query.shl(4)));
      if (this.#sizes.masked) f.set(mask, masks.add(tile.mul(T).add(first).add(query).mul(rowBytes)));
      body({ softmax, weights, slopes, factor, mask }, (pointers, visit) => {
        const end = f.let(pointers[0].add(rowBytes));
        f.repeatWhile(
          () => {
            visit();
            for (const pointer of pointers) f.bump(pointer, 16);
          },
          () => pointers[0].ne(end),
        );
        for (const pointer of pointers) f.set(pointer, pointer.sub(rowBytes));
      });
    });
  }

  /** to (count, d) = scores (count, T) times `rows` (T, d). */
  #combine(scores: I32, to: I32, count: I32): void {
    const { args } = this.#code;
    const [, , T] = args;
    this.#fourRows(count, (row) => {
      this.#product(int(this.#sizes.d), {
        ...{ a: scores.add(row.mul(this.#scoreRow)), aRow: this.#scoreRow, aStep: 4 },
        ...{ b: { at: this.#rows, row: this.#headRow }, steps: T },
        c: { at: to.add(row.mul(this.#headRow)), row: this.#headRow },
      });
    });
  }

  /** to (count, T) = rows (count, d) times a transposed matrix (d, T). */
  #scores(rows: I32, transposed: I32, to: I32, count: I32): void {
    const { d } = this.#sizes;
    const [headRow, scoreRow] = [this.#headRow, this.#scoreRow];
    this.#fourRows(count, (row) => {
      this.#product(this.#columns, {
        ...{ a: rows.add(row.mul(headRow)), aRow: headRow, aStep: 4 },
        ...{ b: { at: transposed, row: scoreRow }, steps: int(d) },
        c: { at: to.add(row.mul(scoreRow)), row: scoreRow },
      });
    });
  }

  /** Four rows of a product, `columns` (a multiple of four) wide. */
  #product(columns: I32, { a, b, c, ...rest }: Product): void {
    const { f } = this.#code;
    const column = f.local(I32);
    const [fromA, fromB, toC] = [f.let(a), f.let(b.at), f.let(c.at)];
    const some = (vectors: number) => {
      const place = f.let(column.shl(2));
      const own = { b: { ...b, at: fromB.add(place) }, c: { ...c, at: toC.add(place) } };
      this.#inner(vectors, { a: fromA, ...own, ...rest });
    };
    const eights = f.let(columns.and(-8));
    f.range(column, 0, eights, 8, () => some(2));
    f.set(column, eights);
    f.if(columns.and(4), () => some(1));
  }

  /** The inner kernel: four rows, one or two vectors of columns. */
  #inner(vectors: number, { a, aRow, aStep, b, steps, c, onto }: Product): void {
    const { f, madd } = this.#code;
    const [fromA, fromB, toC] = [f.let(a), f.let(b.at), f.let(c.at)];
    const sums = Array.from({ length: 4 }, () => f.locals(F32x4, vectors));
    const each = (visit: (sum: Local<F32x4>, offset: number) => void) =>
      sums.forEach((own, r) => {
        own.forEach((sum, v) => {
          visit(sum, r * c.row + 16 * v);
        });
      });
    const fromZero = () => each((sum) => f.set(sum, F32x4.zero()));
    if (onto) f.if(onto, () => each((sum, offset) => f.set(sum, load(F32x4, toC, offset))), fromZero);
    else fromZero();
    const end = f.let(fromB.add(steps.mul(b.row)));
    const bs = f.locals(F32x4, vectors);
    const x = f.local(F32x4);
    f.repeatWhile(
      () => {
        bs.forEach((value, v) => {
          f.set(value, load(F32x4, fromB, 16 * v));
        });
        sums.forEach((own, r) => {
          f.set(x, loadSplat(fromA, r * aRow));
          own.forEach((sum, v) => {
            f.set(sum, madd(x, bs[v], sum));
          });
        });
        f.bump(fromA, aStep);
        f.bump(fromB, b.row);
      },
      () => fromB.ne(end),
    );
    each((sum, offset) => f.store(toC, sum, offset));
  }

  /** Copies `count` rows of d numbers, times a factor, or times one of each row's own at an address. */
  #copy(from: Rows, to: Rows, count: I32, factor?: Local<F32x4> | Local<I32>): void {
    const { f } = this.#code;
    const [read, write] = [f.let(from.at), f.let(to.at)];
    const end = f.let(read.add(count.mul(from.row)));
    const own = factor instanceof I32 ? f.let(factor) : null;
    f.repeatWhile(
      () => {
        const times = own ? f.let(load(F32x4, own)) : (factor as F32x4 | undefined);
        for (let at = 0; at < this.#headRow; at += 16) {
          const numbers = load(F32x4, read, at);
          f.store(write, times ? numbers.mul(times) : numbers, at);
        }
        f.bump(read, from.row);
        f.bump(write, to.row);
        if (own) f.bump(own, 16);
      },
      () => read.ne(end),
    );
  }

  /** The T rows of d numbers at `from` (in `packed`) as columns; past the last row it is repeated. */
  #transpose(from: I32, to: I32): void {
    const { f, args } = this.#code;
    const [, , T] = args;
    const [j, row, write] = [f.local(I32), f.let(from), f.let(to)];
    const last = f.let(row.add(T.sub(1).mul(this.#packedRow)));
    f.range(j, 0, T, 4, () => {
      const rows = [0, 1, 2, 3].map((i) =>
        i === 0 ? row : f.let(f.let(row.add(i * this.#packedRow)).min(last)),
      );
      for (let i = 0; i < this.#sizes.d; i += 4) {
        const [a, b, c, e] = rows.map((address) => f.let(load(F32x4, address, 4 * i)));
        const [ab, ce] = [f.let(a.shuffle(b, [0, 4, 1, 5])), f.let(c.shuffle(e, [0, 4, 1, 5]))];
        const [AB, CE] = [f.let(a.shuffle(b, [2, 6, 3, 7])), f.let(c.shuffle(e, [2, 6, 3, 7]))];
        f.store(write, ab.shuffle(ce, [0, 1, 4, 5]), i * this.#scoreRow);
        f.store(write, ab.shuffle(ce, [2, 3, 6, 7]), (i + 1) * this.#scoreRow);
        f.store(write, AB.shuffle(CE, [0, 1, 4, 5]), (i + 2) * this.#scoreRow);
        f.store(write, AB.shuffle(CE, [2, 3, 6, 7]), (i + 3) * this.#scoreRow);
      }
      f.bump(write, 16);
      f.bump(row, 4 * this.#packedRow);
    });
  }
}
