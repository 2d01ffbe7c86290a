/**
 * Products of some rows with float weights, several matrices in one call: what inference is made of.
 *
 *     out = activation(x W + bias) + residual        for each of G matrices
 *
 * Weights come in panels of 8 columns. Four rows at a time run along all of k through one panel, their sums in
 * registers, and end with what follows the product; the rows that are left go through several panels at once, so that
 * as many sums are under way. Each new panel comes from memory, so while rows go through one the next is asked for, a
 * few cache lines at a time. Tiles, which threads share, are chunks of some panels. Every element is one sum in the
 * order of k: the same bits for any number of rows beside it and any number of threads.
 */

import type { Ready } from "../../device.ts";
import type { Expr } from "../../formula/expr.ts";
import { WEIGHT_BYTES, type WeightFormat } from "../../weight-format.ts";
import type { Local } from "../kernels/assembler.ts";
import { wasmCall } from "../kernels/call.ts";
import { type KernelCode, kernel } from "../kernels/engine.ts";
import { formulaKey } from "../kernels/formula.ts";
import { loadLanes, storeLanes } from "../kernels/lanes.ts";
import { load, loadSplat } from "../kernels/loads.ts";
import { F32x4, I32, I32x4, int } from "../kernels/values.ts";
import { addressOf } from "../storage.ts";
import { applyEpilogue } from "./epilogue.ts";
import type { PackedProduct } from "./task.ts";

/** Everything the code depends on. */
interface Spec {
  readonly K: number;
  readonly N: number;
  readonly format: WeightFormat;
  /** Columns of a panel. */
  readonly width: number;
  readonly rowLength: number;
  /** Rows that do not fill a group of ROWS. */
  readonly rowsLeft: number;
  /** Cache lines of the next panel that a group of rows asks for in each stretch of k. */
  readonly linesAhead: number;
  /** Bias rows: none, one for all rows of a group, or several. */
  readonly bias: "none" | "one" | "some";
  readonly residual: boolean;
  readonly activation: Expr | null;
}

/**
 * Rows that share one pass over a panel. With two vectors a panel that makes 8 sums, 2 weights and 4 inputs: 14
 * registers.
 */
const ROWS = 4;
/** Columns of a tile, in panels, unless the whole matrix has hardly more. */
const CHUNK = 8;
/** Steps of k between the times that lines of the next panel are asked for: a power of two. */
const STRETCH = 64;
/** Bytes of a cache line. */
const LINE = 64;

/** Makes the product ready to run; K and the result are not empty. */
export function someRowsWasm(task: PackedProduct): Ready {
  const { out, x, rowLength, weights, M, bias, biasRows = 1, biasFrom = 0, residual } = task;
  const { groups, K, N } = weights;
  const { format, width } = weights.layout;
  const spec: Spec = {
    K,
    N,
    format,
    width,
    rowLength,
    rowsLeft: M % ROWS,
    linesAhead: linesAhead(Math.floor(M / ROWS), width * WEIGHT_BYTES[format]),
    bias: bias ? (biasRows === 1 ? "one" : "some") : "none",
    residual: residual !== undefined,
    activation: task.activation ?? null,
  };
  const { chunks } = chunksOf(spec);
  const { activation, ...plain } = spec;
  const key = `product of some rows ${Object.values(plain).join(" ")}\n${activation ? formulaKey(activation) : ""}`;
  const code = kernel(key, 11, (k) => build(k, spec));
  const lastPanel = weights.address + (groups * Math.ceil(N / width) - 1) * width * K * WEIGHT_BYTES[format];
  const biasAt = bias ? addressOf(bias) + 4 * biasFrom * biasRows * N : 0;
  const xGroup = x.size === M * rowLength ? 0 : 4 * M * rowLength;
  // biome-ignore format: one line for the addresses, one for the sizes
  const args = [
    addressOf(out), addressOf(x), weights.address, biasAt, residual ? addressOf(residual) : 0,
    M, xGroup, M / biasRows, 4 * biasRows * N, chunks, lastPanel,
  ];
  const size = groups * K * N;
  const cost = Math.max((2 * M * size) / 30_000, (size * WEIGHT_BYTES[format]) / 20_000);
  return wasmCall(code, args, groups * chunks, cost);
}

/**
 * Lines that each of so many groups of rows asks for, so that together they ask for all, where that is a few at a time:
 * a processor waits for more. A divisor of the lines of a stretch. None for few rows, which read as fast as memory
 * gives.
 */
function linesAhead(rowGroups: number, panelRowBytes: number): number {
  const lines = (STRETCH * panelRowBytes) / LINE;
  if (rowGroups < 4) return 0;
  return [1, 2].find((ahead) => ahead * rowGroups >= lines) ?? 4;
}

/** How the columns are cut: panels per chunk, and chunks per matrix. */
function chunksOf({ N, width }: Spec): { panels: number; perChunk: number; chunks: number } {
  const panels = Math.ceil(N / width);
  const perChunk = panels <= CHUNK + 1 ? panels : CHUNK;
  return { panels, perChunk, chunks: Math.ceil(panels / perChunk) };
}

/**
 * Panels that few rows go through at once, in even portions: as many sums as hide the latency of multiply-add, while
 * they, the weights as they are loaded and the inputs fit V8's 15 registers.
 */
function panelsTogether(panels: number, rows: number, format: WeightFormat): number {
  const most = { 1: format === "float32" ? 3 : 4, 2: 2 }[rows] ?? 1;
  return Math.ceil(panels / Math.ceil(panels / most));
}

function build(code: KernelCode, spec: Spec): void {
  const { f, tileBegin, tileEnd } = code;
  const { N, rowsLeft, width } = spec;
  const [M, xGroup, rowsPerBias, biasGroup, chunks, lastPanel] = code.args.slice(5);
  const [out, x, weights, bias, residual] = code.args;
  const { panels, perChunk } = chunksOf(spec);
  const panelBytes = width * spec.K * WEIGHT_BYTES[spec.format];

  const [tile, group, column, row] = f.locals(I32, 4);
  const [atOut, atX, atPanel, atBias, atResidual, panel] = f.locals(I32, 6);
  const at: Places = {
    out: atOut,
    x: atX,
    panel: atPanel,
    bias: atBias,
    residual: atResidual,
    row,
    rowsPerBias,
    lastPanel,
  };
  const whole = f.let(M.sub(rowsLeft));
  /** Moves all places to the next portion of columns. */
  const advance = (portion: number): void => {
    f.bump(at.panel, portion * panelBytes);
    for (const place of [at.out, at.bias, at.residual]) f.bump(place, 4 * width * portion);
    f.bump(panel, portion);
  };
  /** Runs `columns` columns in portions of some panels, the last portion as it comes. */
  const portions = (columns: number, together: number, body: (columns: number) => void): void => {
    const full = Math.floor(columns / (width * together));
    const rest = columns - full * width * together;
    f.set(panel, int(0));
    if (full > 0) {
      const end = f.let(int(full * together));
      f.repeatWhile(
        () => {
          body(width * together);
          advance(together);
        },
        () => panel.ne(end),
      );
    }
    if (rest > 0) body(rest);
    // Back to the chunk's first column.
    f.bump(at.panel, -full * together * panelBytes);
    for (const place of [at.out, at.bias, at.residual]) f.bump(place, -4 * width * together * full);
  };
  const chunk = (columns: number): void => {
    f.if(whole, () =>
      portions(columns, 1, (wide) => f.range(row, 0, whole, ROWS, () => micro(code, spec, at, ROWS, wide))),
    );
    if (rowsLeft > 0) {
      f.set(row, whole);
      portions(columns, panelsTogether(Math.ceil(columns / width), rowsLeft, spec.format), (wide) =>
        micro(code, spec, at, rowsLeft, wide),
      );
    }
    if (!spec.activation) return;
    applyEpilogue(code, spec.activation, {
      out: at.out,
      residual: spec.residual ? at.residual : null,
      N: int(N),
      rows: M,
      columns: int(columns),
      lanesLeft: columns % 4,
    });
  };
  f.range(tile, tileBegin, tileEnd, 1, () => {
    f.set(group, tile.div(chunks));
    const number = f.let(tile.rem(chunks));
    f.set(column, number.mul(width * perChunk));
    f.set(at.x, x.add(group.mul(xGroup)));
    f.set(at.out, out.add(group.mul(M).mul(N).add(column).shl(2)));
    f.set(at.residual, residual.add(group.mul(M).mul(N).add(column).shl(2)));
    f.set(at.panel, weights.add(group.mul(panels).add(number.mul(perChunk)).mul(panelBytes)));
    f.set(at.bias, bias.add(group.mul(biasGroup)).add(column.shl(2)));
    const last = N - width * perChunk * (Math.ceil(panels / perChunk) - 1);
    if (last === width * perChunk) chunk(last);
    else {
      f.if(
        f.let(number.add(1)).eq(chunks),
        () => chunk(last),
        () => chunk(width * perChunk),
      );
    }
  });
}

/** Where a chunk stands: its first column in each block, the row at work. */
interface Places {
  readonly out: Local<I32>;
  readonly x: Local<I32>;
  readonly panel: Local<I32>;
  readonly bias: Local<I32>;
  readonly residual: Local<I32>;
  readonly row: Local<I32>;
  readonly rowsPerBias: Local<I32>;
  /** The last panel of all weights. */
  readonly lastPanel: Local<I32>;
}

/** `rows` rows by `columns` columns of the result, from the first step of k to the epilogue. */
function micro(code: KernelCode, spec: Spec, at: Places, rows: number, columns: number): void {
  const { f, madd } = code;
  const { K, N, format, width, rowLength } = spec;
  const rowBytes = width * WEIGHT_BYTES[format];
  const vectors = Math.ceil(columns / 4);
  const sums = Array.from({ length: rows }, () => f.locals(F32x4, vectors));
  for (const sum of sums.flat()) f.set(sum, F32x4.zero());

  const x = f.let(at.x.add(at.row.mul(4 * rowLength)));
  const panel = f.let(at.panel);
  const end = f.let(x.add(4 * K));
  const w = f.locals(F32x4, Math.min(vectors, rows === 1 ? 2 : vectors));
  const splats = f.locals(F32x4, rows === 1 ? 1 : 0);
  const step = (): void => {
    if (rows === 1) f.set(splats[0], loadSplat(x));
    // With one row a weight is used once: pairs of vectors are read as they are needed.
    for (let v = 0; v < vectors; v += 2) {
      const offset = Math.floor((4 * v) / width) * rowBytes * K;
      const pair = Math.min(2, vectors - v);
      const into = rows === 1 ? w.slice(0, pair) : w.slice(v, v + pair);
      readPair(code, format, into, panel, offset + ((4 * v) % width) * WEIGHT_BYTES[format]);
      if (rows === 1) {
        for (const [i, weight] of into.entries()) {
          f.set(sums[0][v + i], madd(splats[0], weight, sums[0][v + i]));
        }
      }
    }
    if (rows > 1) {
      for (let r = 0; r < rows; r++) {
        const splat = f.let(loadSplat(x, 4 * r * rowLength));
        for (const [v, sum] of sums[r].entries()) f.set(sum, madd(splat, w[v], sum));
      }
    }
    f.bump(x, 4);
    f.bump(panel, rowBytes);
  };
  const stepsTo = (stop: I32): void => f.repeatWhile(step, () => x.ne(stop));
  const stretches = rows === ROWS && spec.linesAhead > 0 ? Math.floor(K / STRETCH) : 0;
  if (stretches > 0) {
    // Each group asks for a region of its own, from front to end: memory follows a stream.
    const region = stretches * spec.linesAhead * LINE;
    const nextPanel = f.let(f.let(at.panel.add(K * rowBytes)).min(at.lastPanel));
    const own = f.let(at.row.mul(region / ROWS)).min(int(K * rowBytes - region));
    const next = f.let(nextPanel.add(own));
    const [stop, line] = f.locals(I32, 2);
    f.set(stop, x);
    const whole = f.let(x.add(4 * STRETCH * stretches));
    f.repeatWhile(
      () => {
        // Read and forgotten: nothing waits for it.
        f.set(line, load(I32, next));
        for (let i = 1; i < spec.linesAhead; i++) f.set(line, load(I32, next, i * LINE));
        f.bump(next, spec.linesAhead * LINE);
        f.bump(stop, 4 * STRETCH);
        stepsTo(stop);
      },
      () => stop.ne(whole),
    );
  }
  if (K > stretches * STRETCH) stepsTo(end);

  const lanes = (v: number): number => Math.min(4, columns - 4 * v);
  const place = f.let(at.row.mul(4 * N));
  const out = f.let(at.out.add(place));
  const residual = spec.residual && !spec.activation ? f.let(at.residual.add(place)) : null;
  sums.forEach((row, r) => {
    const bias =
      spec.bias === "some"
        ? f.let(
            at.bias.add(
              at.row
                .add(r)
                .div(at.rowsPerBias)
                .mul(4 * N),
            ),
          )
        : at.bias;
    row.forEach((sum, v) => {
      if (spec.bias !== "none") f.set(sum, sum.add(loadLanes(bias, lanes(v), 16 * v)));
      if (residual) f.set(sum, sum.add(loadLanes(residual, lanes(v), 4 * r * N + 16 * v)));
      storeLanes(f, out, sum, lanes(v), 4 * r * N + 16 * v);
    });
  });
}

/** Reads one or two neighbouring vectors of weights as floats. */
function readPair(
  { f }: KernelCode,
  format: WeightFormat,
  into: readonly Local<F32x4>[],
  panel: I32,
  offset: number,
): void {
  if (format === "bfloat16") {
    const both = f.let(load(I32x4, panel, offset));
    const halves = [both.shl(16), both.and(f.constantInt(-0x1_0000))];
    for (const [i, value] of into.entries()) f.set(value, halves[i].as(F32x4));
  } else {
    for (const [i, value] of into.entries()) f.set(value, load(F32x4, panel, offset + 16 * i));
  }
}
