/**
 * A block of queries of one attention head: its scores, and everything it is multiplied with, lie in the thread's
 * scratch memory, mostly in the first cache. What attention and its gradient do with them is said in
 * attention-blocks.ts.
 */
import type { Local } from "./assembler.ts";
import { fourRowsOf, type Rows } from "./block-product.ts";
import type { KernelCode } from "./engine.ts";
import { lastLanes, maxLanes, sumLanes, tailMask, transposeFour } from "./lanes.ts";
import { load } from "./loads.ts";
import { expNonPositive } from "./math.ts";
import { F32x4, type I8x16, I32, int } from "./values.ts";

/** Queries of a block, a multiple of four. */
export const QUERIES = 16;

/** Numbers from row to row of a matrix of S columns in scratch memory: a constant of the code, one for many S. */
export const pitchOf = (S: number): number => Math.ceil(S / 32) * 32;

/** Numbers of scratch memory: five matrices of a row per key, two of a row per query, three of scores, factors. */
export const scratchOf = (S: number, d: number): number =>
  5 * pitchOf(S) * d + QUERIES * (2 * d + 3 * pitchOf(S) + 4);

export interface Sizes {
  readonly heads: number;
  readonly d: number;
  /** Numbers from row to row of matrices with a column per key. */
  readonly pitch: number;
  /** Bytes from row to row of queries, keys, values. */
  readonly rows: readonly number[];
  readonly causal: boolean;
  readonly masked: boolean;
  readonly biased: boolean;
}

/** One head of one sample: which it is, and its rows. */
export interface Head {
  readonly tile: I32;
  readonly sample: I32;
  readonly head: I32;
  readonly queries: Rows;
  readonly keys: Rows;
  readonly values: Rows;
  /** The output, or the gradient for it. */
  readonly result: Rows;
}

/** Writes the code for the blocks of a head. */
export class QueryBlock {
  readonly #code: KernelCode;
  readonly #sizes: Sizes;
  /** Queries, keys. */
  readonly #T: I32;
  readonly #S: I32;
  /** S filled up to a multiple of four. */
  readonly columns: Local<I32>;
  /** Picks the last numbers of a row of S, fewer than five. */
  readonly #ending: I8x16;
  readonly scale: Local<F32x4>;
  /** Rows of matrices (…, d) and (…, S) in scratch memory, in bytes. */
  readonly #headRow: number;
  readonly #scoreRow: number;
  // In scratch memory. Matrices (d, S), transposed: keys, values. (S, d): values or keys, gradients of keys and values.
  readonly keysT: Local<I32>;
  readonly valuesT: Local<I32>;
  readonly rows: Local<I32>;
  readonly dKeys: Local<I32>;
  readonly dValues: Local<I32>;
  // Of a block. (QUERIES, d): queries times the scale; results, or their gradients. (QUERIES, S): softmax, weights,
  // slopes. A vector for each query: 1 / the sum of its softmax.
  readonly queries: Local<I32>;
  readonly results: Local<I32>;
  readonly factors: Local<I32>;
  readonly softmax: Local<I32>;
  readonly weights: Local<I32>;
  readonly slopes: Local<I32>;

  constructor(code: KernelCode, sizes: Sizes) {
    this.#code = code;
    this.#sizes = sizes;
    const { d, pitch, masked, biased } = sizes;
    this.#headRow = 4 * d;
    this.#scoreRow = 4 * pitch;
    const { f, args, scratch } = code;
    [this.#T, this.#S] = [args[4], args[5]];
    this.columns = f.let(this.#S.add(3).and(-4));
    this.#ending = lastLanes(this.#S.sub(this.columns).add(4));
    if (masked || biased) this.#ending = f.let(this.#ending);
    this.scale = f.let(args[6].asF32().splat());
    let used = 0;
    const place = (numbers: number): Local<I32> => {
      const address = f.let(scratch.add(used));
      used += 4 * numbers;
      return address;
    };
    this.softmax = place(QUERIES * pitch);
    this.weights = masked ? place(QUERIES * pitch) : this.softmax;
    this.slopes = place(QUERIES * pitch);
    [this.queries, this.results] = [place(QUERIES * d), place(QUERIES * d)];
    this.factors = place(QUERIES * 4);
    [this.keysT, this.valuesT, this.rows] = [place(pitch * d), place(pitch * d), place(pitch * d)];
    [this.dKeys, this.dValues] = [place(pitch * d), place(pitch * d)];
  }

  #fourRows(count: I32, body: (row: I32) => void): void {
    const { f } = this.#code;
    const row = f.local(I32);
    f.range(row, 0, count, 4, () => body(row));
  }

  /**
   * The weights of a block of queries, each row to be divided by its sum: `factors` are for that. `softmax` holds them
   * without the mask.
   */
  weightsOf(head: Head, first: I32, count: I32): void {
    const { f } = this.#code;
    const { causal, masked, biased } = this.#sizes;
    this.copy(from(head.queries, first), { at: this.queries, row: this.#headRow }, count, this.scale);
    this.scores(this.queries, this.keysT, this.softmax, count);
    this.#eachRow(
      head,
      first,
      count,
      ({ query, softmax, weights, factor, mask, bias }, { along, beside }) => {
        if (biased) beside(bias, [softmax], (added) => f.store(softmax, load(F32x4, softmax).add(added)));
        this.#hideFrom(causal ? f.let(first.add(query).add(1)).min(this.#S) : this.#S, softmax);
        const most = f.let(f.constant(Number.NEGATIVE_INFINITY));
        along([softmax], () => f.set(most, most.pmax(load(F32x4, softmax))));
        const largest = maxLanes(f, most);
        const sum = f.let(f.constant(0));
        const exponential = (): F32x4 => {
          const e = expNonPositive(this.#code, f.let(load(F32x4, softmax).sub(largest)));
          f.store(softmax, e);
          f.set(sum, sum.add(e));
          return e;
        };
        if (masked) {
          beside(mask, [weights], (kept) => f.store(weights, kept));
          along([softmax, weights], () => f.store(weights, exponential().mul(load(F32x4, weights))));
        } else along([softmax], exponential);
        f.store(factor, f.constant(1).div(sumLanes(f, sum)));
      },
    );
  }

  /** Makes a row's scores −∞ from a key on, and past the last key. */
  #hideFrom(key: I32, row: I32): void {
    const { f } = this.#code;
    const lowest = f.constant(Number.NEGATIVE_INFINITY);
    const seen = f.let(key);
    const at = f.let(row.add(seen.and(-4).shl(2)));
    const end = f.let(row.add(this.columns.shl(2)));
    f.if(at.ne(end), () => {
      f.store(at, tailMask(seen.and(3)).select<F32x4>(load(F32x4, at), lowest));
      f.bump(at, 16);
      if (!this.#sizes.causal) return;
      f.if(at.ne(end), () =>
        f.repeatWhile(
          () => {
            f.store(at, lowest);
            f.bump(at, 16);
          },
          () => at.ne(end),
        ),
      );
    });
  }

  /**
   * The slopes of a block's weights become those of its scores: softmax ⊙ (slope ⊙ mask − their mean under softmax).
   * They have been divided by the sums of the rows.
   */
  throughSoftmax(head: Head, first: I32, count: I32): void {
    const { f, madd, nmadd } = this.#code;
    this.#eachRow(head, first, count, ({ softmax, weights, slopes, factor }, { along }) => {
      const total = f.let(f.constant(0));
      along([weights, slopes], () => f.set(total, madd(load(F32x4, slopes), load(F32x4, weights), total)));
      const mean = f.let(sumLanes(f, total).mul(load(F32x4, factor)));
      if (!this.#sizes.masked) {
        along([softmax, slopes], () =>
          f.store(slopes, load(F32x4, slopes).sub(mean).mul(load(F32x4, softmax))),
        );
        return;
      }
      along([softmax, weights, slopes], () => {
        const passed = load(F32x4, slopes).mul(load(F32x4, weights));
        f.store(slopes, nmadd(mean, load(F32x4, softmax), passed));
      });
    });
  }

  /** Runs the body for each query of a block, with the places of its rows. */
  #eachRow(head: Head, first: I32, count: I32, body: (row: Row, walk: Walk) => void): void {
    const { f, args } = this.#code;
    const { masked, biased } = this.#sizes;
    const [masks, biases, perSample, perHead, perQuery] = args.slice(7);
    const [query, softmax, weights, slopes, factor, mask, bias] = f.locals(I32, 7);
    const rowBytes = f.let(this.columns.shl(2));
    f.range(query, 0, count, 1, () => {
      f.set(softmax, this.softmax.add(query.mul(this.#scoreRow)));
      f.set(weights, this.weights.add(query.mul(this.#scoreRow)));
      f.set(slopes, this.slopes.add(query.mul(this.#scoreRow)));
      f.set(factor, this.factors.add(query.shl(4)));
      const t = f.let(first.add(query));
      if (masked) {
        const row = head.tile.mul(this.#T).add(t);
        f.set(mask, masks.add(row.mul(this.#S).shl(2)));
      }
      if (biased) {
        const at = head.sample.mul(perSample).add(head.head.mul(perHead)).add(t.mul(perQuery));
        f.set(bias, biases.add(at.shl(2)));
      }
      body(
        { query, softmax, weights, slopes, factor, mask, bias },
        {
          along: (pointers, visit) => this.#along(rowBytes, pointers, visit),
          beside: (input, pointers, visit) => this.#beside(input, pointers, visit),
        },
      );
    });
  }

  #along(bytes: Local<I32>, pointers: readonly Local<I32>[], visit: () => void): void {
    const { f } = this.#code;
    const end = f.let(pointers[0].add(bytes));
    f.repeatWhile(
      () => {
        visit();
        for (const pointer of pointers) f.bump(pointer, 16);
      },
      () => pointers[0].ne(end),
    );
    for (const pointer of pointers) f.set(pointer, pointer.sub(bytes));
  }

  #beside(input: Local<I32>, pointers: readonly Local<I32>[], visit: (numbers: F32x4) => void): void {
    const { f } = this.#code;
    const before = f.let(this.columns.shl(2).sub(16));
    f.if(before, () => this.#along(before, [...pointers, input], () => visit(f.let(load(F32x4, input)))));
    for (const pointer of pointers) f.bump(pointer, before);
    // Backwards from the row's end: what lies behind it may be another's, or no memory.
    const end = input.add(this.#S.shl(2).sub(16));
    visit(f.let(load(F32x4, end).swizzle(this.#ending)));
    for (const pointer of pointers) f.set(pointer, pointer.sub(before));
  }

  /** to (count, d) = scores (count, S) times `rows` (S, d). */
  combine(scores: I32, to: I32, count: I32): void {
    this.#fourRows(count, (row) => {
      fourRowsOf(this.#code, int(this.#sizes.d), {
        a: scores.add(row.mul(this.#scoreRow)),
        aRow: this.#scoreRow,
        aStep: 4,
        b: { at: this.rows, row: this.#headRow },
        steps: this.#S,
        c: { at: to.add(row.mul(this.#headRow)), row: this.#headRow },
      });
    });
  }

  /**
   * sums (S, d) = scores (count, S) transposed, times rows (count, d); where `onto` is not 0, what they are is added.
   */
  sumUp(scores: I32, rows: I32, sums: I32, count: I32, onto: I32): void {
    const headRow = this.#headRow;
    this.#fourRows(this.columns, (key) => {
      fourRowsOf(this.#code, int(this.#sizes.d), {
        a: scores.add(key.shl(2)),
        aRow: 4,
        aStep: this.#scoreRow,
        b: { at: rows, row: headRow },
        steps: count,
        c: { at: sums.add(key.mul(headRow)), row: headRow },
        onto,
      });
    });
  }

  /** to (count, S) = rows (count, d) times a transposed matrix (d, S). */
  scores(rows: I32, transposed: I32, to: I32, count: I32): void {
    const { d } = this.#sizes;
    const [headRow, scoreRow] = [this.#headRow, this.#scoreRow];
    this.#fourRows(count, (row) => {
      fourRowsOf(this.#code, this.columns, {
        a: rows.add(row.mul(headRow)),
        aRow: headRow,
        aStep: 4,
        b: { at: transposed, row: scoreRow },
        steps: int(d),
        c: { at: to.add(row.mul(scoreRow)), row: scoreRow },
      });
    });
  }

  /** Copies `count` rows of d numbers, times a factor, or times one of each row's own at an address. */
  copy(source: Rows, target: Rows, count: I32, factor?: Local<F32x4> | Local<I32>): void {
    const { f } = this.#code;
    const [read, write] = [f.let(source.at), f.let(target.at)];
    const end = f.let(read.add(count.mul(source.row)));
    const own = factor instanceof I32 ? f.let(factor) : null;
    f.repeatWhile(
      () => {
        const times = own ? f.let(load(F32x4, own)) : (factor as F32x4 | undefined);
        for (let at = 0; at < this.#headRow; at += 16) {
          const numbers = load(F32x4, read, at);
          f.store(write, times ? numbers.mul(times) : numbers, at);
        }
        f.bump(read, source.row);
        f.bump(write, target.row);
        if (own) f.bump(own, 16);
      },
      () => read.ne(end),
    );
  }

  /** S rows of d numbers as columns; past the last row it is repeated. */
  transpose(rows: Rows, to: I32): void {
    const { f } = this.#code;
    const S = this.#S;
    const [j, row, write] = [f.local(I32), f.let(rows.at), f.let(to)];
    const last = f.let(row.add(S.sub(1).mul(rows.row)));
    f.range(j, 0, S, 4, () => {
      const four = [0, 1, 2, 3].map((i) => (i === 0 ? row : f.let(f.let(row.add(i * rows.row)).min(last))));
      for (let i = 0; i < this.#sizes.d; i += 4) {
        const rows = four.map((address) => load(F32x4, address, 4 * i));
        transposeFour(f, rows).forEach((column, k) => {
          f.store(write, column, (i + k) * this.#scoreRow);
        });
      }
      f.bump(write, 16);
      f.bump(row, 4 * rows.row);
    });
  }
}

/** The rows from one on. */
export const from = ({ at, row }: Rows, first: I32): Rows => ({ at: at.add(first.mul(row)), row });

/** Places of a query's rows. */
interface Row {
  /** Which query of the block it is. */
  readonly query: I32;
  readonly softmax: Local<I32>;
  readonly weights: Local<I32>;
  readonly slopes: Local<I32>;
  readonly factor: Local<I32>;
  readonly mask: Local<I32>;
  readonly bias: Local<I32>;
}

/** Visits the vectors of a row: moves pointers along it, and back to its start. */
interface Walk {
  along(pointers: readonly Local<I32>[], visit: () => void): void;
  /** With the numbers of an input's row beside it, which ends with its last number: what lies behind it is not read. */
  beside(input: Local<I32>, pointers: readonly Local<I32>[], visit: (numbers: F32x4) => void): void;
}
