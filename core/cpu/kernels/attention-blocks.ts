/** Attention and its gradient, one head of one sample per tile, its queries in blocks: see query-block.ts. */
import type { Ready, TensorView } from "../../device.ts";
import { addressOf } from "../storage.ts";
import type { Local } from "./assembler.ts";
import type { Task } from "./attention-task.ts";
import type { Rows } from "./block-product.ts";
import { wasmCall } from "./call.ts";
import { bitsOf } from "./elementwise.ts";
import { type Kernel, type KernelCode, kernel, SCRATCH_BYTES } from "./engine.ts";
import { from, type Head, pitchOf, QUERIES, QueryBlock, type Sizes, scratchOf } from "./query-block.ts";
import { I32, int } from "./values.ts";

/** Whether the kernels serve heads of d numbers, and that many keys. */
export const blocksFit = (S: number, d: number): boolean =>
  d % 4 === 0 && 4 * scratchOf(S, d) <= SCRATCH_BYTES;

/** (softmax(scale q kᵀ + bias) ⊙ mask) v for every head: (B, T, E). */
export function attendByBlocks(task: Task, out: TensorView): Ready {
  const { B, T, S, heads, d } = task;
  const code = codeFor("attention by blocks", task, (sizes) => (k) => new HeadCode(k, sizes).forward());
  return wasmCall(code, argsOf(task, out, NONE), B * heads, B * heads * T * S * d * 0.003);
}

/** The gradients for queries, keys and values from the one for the output; they lie as queries, keys and values do. */
export function slopesByBlocks(task: Task, dy: TensorView, slopes: Slopes): Ready {
  const { B, T, S, heads, d } = task;
  const wanted = slopes.map((address) => address !== null);
  const parts = ["queries", "keys", "values"].filter((_, i) => wanted[i]);
  const name = `attention gradient for ${parts.join(", ")} by blocks`;
  const code = codeFor(name, task, (sizes) => (k) => new HeadCode(k, sizes).backward(wanted));
  return wasmCall(code, argsOf(task, dy, slopes), B * heads, B * heads * T * S * d * 0.006);
}

/** Where the gradients for queries, keys and values go; null where none is wanted. */
export type Slopes = readonly [queries: number | null, keys: number | null, values: number | null];
const NONE: Slopes = [null, null, null];

/** Widths and steps from row to row are constants of the code: a model has few of them. */
function codeFor(name: string, task: Task, build: (sizes: Sizes) => (code: KernelCode) => void): Kernel {
  const { S, d, heads, causal, mask, bias, places } = task;
  const pitch = pitchOf(S);
  const rows = places.map(({ row }) => row);
  const flags = { causal, masked: mask !== null, biased: bias !== null };
  const given = Object.entries(flags)
    .flatMap(([flag, on]) => (on ? `, ${flag}` : []))
    .join("");
  const key = `${name}, ${heads} heads of ${d}, rows of ${rows.join(" ")} bytes, ${pitch} columns${given}`;
  return kernel(key, PARAMS, build({ heads, d, pitch, rows, ...flags }));
}

const PARAMS = 15;

/** Arguments of the kernels; `result` is the output, or the gradient for it. */
function argsOf({ T, S, scale, places, mask, bias }: Task, result: TensorView, slopes: Slopes): number[] {
  const added = bias ? [bias.address, ...bias.strides.slice(0, 3)] : [0, 0, 0, 0];
  return [
    ...places.map(({ address }) => address),
    addressOf(result),
    T,
    S,
    ...bitsOf([scale]),
    mask ?? 0,
    ...added,
    ...slopes.map((address) => address ?? 0),
  ];
}

/** Writes the code for one head after the other. */
class HeadCode {
  readonly #code: KernelCode;
  readonly #sizes: Sizes;
  readonly #block: QueryBlock;
  /** Queries, keys. */
  readonly #T: I32;
  readonly #S: I32;
  /** Bytes of a row of a head. */
  readonly #headRow: number;

  constructor(code: KernelCode, sizes: Sizes) {
    this.#code = code;
    this.#sizes = sizes;
    this.#block = new QueryBlock(code, sizes);
    [this.#T, this.#S] = [code.args[4], code.args[5]];
    this.#headRow = 4 * sizes.d;
  }

  forward(): void {
    const [block, headRow] = [this.#block, this.#headRow];
    this.#eachHead((head) => {
      block.transpose(head.keys, block.keysT);
      block.copy(head.values, { at: block.rows, row: headRow }, this.#S);
      this.#eachBlock((first, count) => {
        block.weightsOf(head, first, count);
        block.combine(block.weights, block.results, count);
        block.copy({ at: block.results, row: headRow }, from(head.result, first), count, block.factors);
      });
    });
  }

  backward([toQueries, toKeys, toValues]: readonly boolean[]): void {
    const { f, args } = this.#code;
    const block = this.#block;
    const [queries, keys, values] = args;
    const [dQueries, dKeys, dValues] = args.slice(12);
    const headRow = this.#headRow;
    this.#eachHead((head) => {
      block.transpose(head.keys, block.keysT);
      if (toQueries || toKeys) block.transpose(head.values, block.valuesT);
      if (toQueries) block.copy(head.keys, { at: block.rows, row: headRow }, this.#S);
      /** The place in a gradient of rows in what it is for. */
      const within = (gradient: I32, whole: I32, { at, row }: Rows): Rows => ({
        at: f.let(gradient.add(at.sub(whole))),
        row,
      });
      const ownQueries = within(dQueries, queries, head.queries);
      this.#eachBlock((first, count) => {
        block.weightsOf(head, first, count);
        block.copy(from(head.result, first), { at: block.results, row: headRow }, count, block.factors);
        if (toQueries || toKeys) {
          // d weights = dy vᵀ; through the mask and softmax to the scores, in place.
          block.scores(block.results, block.valuesT, block.slopes, count);
          block.throughSoftmax(head, first, count);
        }
        // Sums over the queries, which hold the scale already.
        if (toKeys) block.sumUp(block.slopes, block.queries, block.dKeys, count, first);
        if (toValues) block.sumUp(block.weights, block.results, block.dValues, count, first);
        if (toQueries) {
          block.combine(block.slopes, block.results, count);
          block.copy({ at: block.results, row: headRow }, from(ownQueries, first), count, block.scale);
        }
      });
      const give = (sums: I32, to: Rows) => block.copy({ at: sums, row: headRow }, to, this.#S);
      if (toKeys) give(block.dKeys, within(dKeys, keys, head.keys));
      if (toValues) give(block.dValues, within(dValues, values, head.values));
    });
  }

  #eachHead(body: (head: Head) => void): void {
    const { f, args, tileBegin, tileEnd } = this.#code;
    const { heads, rows } = this.#sizes;
    const [queries, keys, values, result] = args;
    const [tile, sample, head] = f.locals(I32, 3);
    f.range(tile, tileBegin, tileEnd, 1, () => {
      f.set(sample, tile.div(heads));
      f.set(head, tile.rem(heads));
      const column = f.let(head.mul(this.#headRow));
      const part = (first: I32, length: I32, row: number): Rows => ({
        at: f.let(first.add(sample.mul(length).mul(row)).add(column)),
        row,
      });
      body({
        tile,
        sample,
        head,
        queries: part(queries, this.#T, rows[0]),
        keys: part(keys, this.#S, rows[1]),
        values: part(values, this.#S, rows[2]),
        result: part(result, this.#T, heads * this.#headRow),
      });
    });
  }

  /** Runs the body with the first query of each block, and how many there are. */
  #eachBlock(body: (first: I32, count: Local<I32>) => void): void {
    const { f } = this.#code;
    const T = this.#T;
    const [first, count] = f.locals(I32, 2);
    const most = f.let(int(QUERIES));
    f.range(first, 0, T, QUERIES, () => {
      f.set(count, f.let(T.sub(first)).min(most));
      body(first, count);
    });
  }
}
