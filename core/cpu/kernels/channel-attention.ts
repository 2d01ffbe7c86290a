/**
 * Attention between channels and its gradient, one group of one sample per tile. Matrices (c, c) lie in the thread's
 * scratch memory, their rows being the channels attended to: softmax goes down the columns, four at a time.
 */
import type { Ready, TensorView } from "../../device.ts";
import { addressOf } from "../storage.ts";
import type { Local } from "./assembler.ts";
import { fourRowsOf, type Rows } from "./block-product.ts";
import { wasmCall } from "./call.ts";
import { bitsOf } from "./elementwise.ts";
import { type KernelCode, kernel, SCRATCH_BYTES } from "./engine.ts";
import { transposeFour } from "./lanes.ts";
import { load } from "./loads.ts";
import { expNonPositive } from "./math.ts";
import { F32x4, I32, int } from "./values.ts";

/** Matrices in scratch memory: weights, slopes, and each of them transposed. */
const MATRICES = 4;

/**
 * Tokens whose numbers are laid side by side at a time: where they lie, each is on another cache line, and with some
 * widths all these lines compete for one place.
 */
const TOKENS = 64;

interface Sizes {
  readonly groups: number;
  /** Channels of a group. */
  readonly c: number;
}

/** For tokens x (B, N, 3 C). */
export function channelAttentionWasm(out: TensorView, x: TensorView, groups: number): Ready | null {
  const sizes = sizesOf(x, groups);
  if (!sizes) return null;
  const code = codeFor("channel attention", sizes, (k) => new GroupCode(k, sizes).forward());
  return call(code, sizes, x, [x, out]);
}

/** The gradient for the tokens from that for the output. */
export function channelAttentionGradWasm(
  dx: TensorView,
  dy: TensorView,
  x: TensorView,
  groups: number,
): Ready | null {
  const sizes = sizesOf(x, groups);
  if (!sizes) return null;
  const code = codeFor("channel attention gradient", sizes, (k) => new GroupCode(k, sizes).backward());
  return call(code, sizes, x, [x, dy, dx]);
}

/** null for those that the kernels do not serve. */
function sizesOf({ shape: [, N, W], dtype }: TensorView, groups: number): Sizes | null {
  const c = W / (3 * groups);
  const fit = c % 4 === 0 && 4 * c * (MATRICES * c + 2 * TOKENS) <= SCRATCH_BYTES && N >= 4;
  return fit && dtype === "float32" ? { groups, c } : null;
}

function codeFor(name: string, { groups, c }: Sizes, build: (code: KernelCode) => void) {
  return kernel(`${name}, ${groups} groups of ${c}`, 5, build);
}

function call(
  code: ReturnType<typeof codeFor>,
  { groups, c }: Sizes,
  x: TensorView,
  blocks: readonly TensorView[],
): Ready {
  const [B, N] = x.shape;
  const [tokens, result, slopes = 0] = blocks.map(addressOf);
  const args = [tokens, result, slopes, N, ...bitsOf([1 / Math.sqrt(N)])];
  return wasmCall(code, args, B * groups, B * groups * N * c * c * 0.0003 * blocks.length);
}

/** The rows of a group in one sample. */
interface Group {
  readonly queries: Rows;
  readonly keys: Rows;
  readonly values: Rows;
  /** The output, or the gradient for it. */
  readonly result: Rows;
  /** How far the gradient for the tokens lies from them. */
  readonly toSlopes: I32;
}

/** Writes the code for one group after the other. */
class GroupCode {
  readonly #code: KernelCode;
  readonly #sizes: Sizes;
  /** Tokens. */
  readonly #N: I32;
  readonly #scale: Local<F32x4>;
  /** Rows of matrices (c, c), in bytes. */
  readonly #row: number;
  // Row j, column i is for query channel i and key channel j; transposed, for the other way round.
  readonly #weights: Rows;
  readonly #slopes: Rows;
  readonly #weightsT: Rows;
  readonly #slopesT: Rows;
  /** Some tokens' numbers (TOKENS, c), of two kinds. */
  readonly #tokens: readonly Rows[];

  constructor(code: KernelCode, sizes: Sizes) {
    this.#code = code;
    this.#sizes = sizes;
    const { f, args, scratch } = code;
    this.#N = args[3];
    this.#scale = f.let(args[4].asF32().splat());
    this.#row = 4 * sizes.c;
    const place = (rows: number): Rows => ({ at: f.let(scratch.add(rows * this.#row)), row: this.#row });
    const matrices = Array.from({ length: MATRICES }, (_, i) => place(i * sizes.c));
    [this.#weights, this.#slopes, this.#weightsT, this.#slopesT] = matrices;
    this.#tokens = [0, 1].map((i) => place(MATRICES * sizes.c + i * TOKENS));
  }

  forward(): void {
    this.#eachGroup(({ queries, keys, values, result }) => {
      this.#weigh(queries, keys);
      this.#tokensTimes(values, this.#weights, result);
    });
  }

  backward(): void {
    this.#eachGroup(({ queries, keys, values, result, toSlopes }) => {
      const slopesOf = ({ at, row }: Rows): Rows => ({ at: at.add(toSlopes), row });
      this.#weigh(queries, keys);
      this.#overTokens(values, result, this.#slopes);
      this.#throughSoftmax();
      this.#transpose(this.#weights, this.#weightsT);
      this.#transpose(this.#slopes, this.#slopesT);
      this.#tokensTimes(keys, this.#slopes, slopesOf(queries));
      this.#tokensTimes(queries, this.#slopesT, slopesOf(keys));
      this.#tokensTimes(result, this.#weightsT, slopesOf(values));
    });
  }

  #eachGroup(body: (group: Group) => void): void {
    const { f, args, tileBegin, tileEnd } = this.#code;
    const { groups } = this.#sizes;
    const [tokens, result, slopes] = args;
    const [tile, sample, column] = f.locals(I32, 3);
    const part = groups * this.#row; // bytes of queries, keys or values of a token
    f.range(tile, tileBegin, tileEnd, 1, () => {
      f.set(sample, tile.div(groups));
      f.set(column, tile.rem(groups).mul(this.#row));
      const own = (first: I32, row: number) => f.let(first.add(sample.mul(this.#N).mul(row)).add(column));
      const queries = { at: own(tokens, 3 * part), row: 3 * part };
      const [keys, values] = [1, 2].map((i) => ({ at: f.let(queries.at.add(i * part)), row: 3 * part }));
      const toSlopes = f.let(slopes.sub(tokens));
      body({ queries, keys, values, result: { at: own(result, part), row: part }, toSlopes });
    });
  }

  /** The weights, from the scores of all channels. */
  #weigh(queries: Rows, keys: Rows): void {
    const { f } = this.#code;
    this.#overTokens(keys, queries, this.#weights);
    this.#eachColumn([this.#weights], ([column]) => {
      const most = f.let(f.constant(Number.NEGATIVE_INFINITY));
      this.#down([column], () => {
        const score = f.let(load(F32x4, column).mul(this.#scale));
        f.store(column, score);
        f.set(most, most.pmax(score));
      });
      const sum = f.let(f.constant(0));
      this.#down([column], () => {
        const e = expNonPositive(this.#code, f.let(load(F32x4, column).sub(most)));
        f.store(column, e);
        f.set(sum, sum.add(e));
      });
      const factor = f.let(f.constant(1).div(sum));
      this.#down([column], () => f.store(column, load(F32x4, column).mul(factor)));
    });
  }

  /** The slopes of the weights become those of the scores: weight ⊙ (slope − their mean under the weights), scaled. */
  #throughSoftmax(): void {
    const { f, madd } = this.#code;
    this.#eachColumn([this.#weights, this.#slopes], ([weights, slopes]) => {
      const mean = f.let(f.constant(0));
      this.#down([weights, slopes], () => f.set(mean, madd(load(F32x4, weights), load(F32x4, slopes), mean)));
      this.#down([weights, slopes], () => {
        const weight = load(F32x4, weights).mul(this.#scale);
        f.store(slopes, load(F32x4, slopes).sub(mean).mul(weight));
      });
    });
  }

  /** Runs the body at each four columns of matrices (c, c), with where they start. */
  #eachColumn(matrices: readonly Rows[], body: (starts: readonly Local<I32>[]) => void): void {
    const { f } = this.#code;
    const column = f.local(I32);
    f.range(column, 0, int(this.#row), 16, () => body(matrices.map(({ at }) => f.let(at.add(column)))));
  }

  /** Visits the rows of a column: moves pointers down it, and back to its start. */
  #down(pointers: readonly Local<I32>[], visit: () => void): void {
    const { f } = this.#code;
    const bytes = this.#sizes.c * this.#row;
    const end = f.let(pointers[0].add(bytes));
    f.repeatWhile(
      () => {
        visit();
        for (const pointer of pointers) f.bump(pointer, this.#row);
      },
      () => pointers[0].ne(end),
    );
    for (const pointer of pointers) f.set(pointer, pointer.sub(bytes));
  }

  /** to (c, c) = aᵀ b, sums over the tokens. */
  #overTokens(a: Rows, b: Rows, to: Rows): void {
    const { f } = this.#code;
    const { c } = this.#sizes;
    const [first, count, channel] = f.locals(I32, 3);
    const [ownA, ownB] = this.#tokens;
    const most = f.let(int(TOKENS));
    f.range(first, 0, this.#N, TOKENS, () => {
      f.set(count, f.let(this.#N.sub(first)).min(most));
      this.#gather(a, ownA, first, count);
      this.#gather(b, ownB, first, count);
      f.range(channel, 0, int(c), 4, () =>
        fourRowsOf(this.#code, int(c), {
          a: ownA.at.add(channel.shl(2)),
          aRow: 4,
          aStep: this.#row,
          b: ownB,
          steps: count,
          c: { at: to.at.add(channel.mul(to.row)), row: to.row },
          onto: first,
        }),
      );
    });
  }

  /** Copies the numbers of `count` tokens. */
  #gather(from: Rows, to: Rows, first: I32, count: I32): void {
    const { f } = this.#code;
    const [read, write] = [f.let(from.at.add(first.mul(from.row))), f.let(to.at)];
    const end = f.let(write.add(count.mul(to.row)));
    f.repeatWhile(
      () => {
        for (let at = 0; at < this.#row; at += 16) f.store(write, load(F32x4, read, at), at);
        f.bump(read, from.row);
        f.bump(write, to.row);
      },
      () => write.ne(end),
    );
  }

  /** to (N, c) = tokens (N, c) times a matrix (c, c). */
  #tokensTimes(tokens: Rows, matrix: Rows, to: Rows): void {
    const { f } = this.#code;
    const { c } = this.#sizes;
    const token = f.local(I32);
    const last = f.let(this.#N.sub(4)); // fewer than four that are left are done with some before them
    f.range(token, 0, this.#N, 4, () => {
      const first = f.let(token.min(last));
      fourRowsOf(this.#code, int(c), {
        a: tokens.at.add(first.mul(tokens.row)),
        aRow: tokens.row,
        aStep: 4,
        b: matrix,
        steps: int(c),
        c: { at: to.at.add(first.mul(to.row)), row: to.row },
      });
    });
  }

  #transpose(from: Rows, to: Rows): void {
    const { f } = this.#code;
    const [i, j] = f.locals(I32, 2);
    const { c } = this.#sizes;
    f.range(i, 0, int(c), 4, () =>
      f.range(j, 0, int(c), 4, () => {
        const read = f.let(from.at.add(i.mul(from.row)).add(j.shl(2)));
        const write = f.let(to.at.add(j.mul(to.row)).add(i.shl(2)));
        transposeFour(
          f,
          [0, 1, 2, 3].map((row) => load(F32x4, read, row * from.row)),
        ).forEach((column, row) => {
          f.store(write, column, row * to.row);
        });
      }),
    );
  }
}
