/**
 * Which kernel serves which product best, and how far is it from what the machine can do?
 *
 *     npx tsx benchmarks/products.ts                rows x format x kernel, the library's choice marked with *
 *     npx tsx benchmarks/products.ts --ladder       the rungs of docs/products.md, from three loops to the last kernel
 *     … --sizes 256x1024 --rows 1,4,16 --seconds 5  other weights (K x N) and rows, time for each line
 *
 * The contenders of a line take turns, one call each, until its time is up; the least time of each counts, since other
 * programs can only add to it.
 */

import { parseCli, runMain, UsageError } from "../cli/index.ts";
import { setThreads, spinning } from "../core/cpu/kernels/threads.ts";
import { layoutForFrozen, layoutForRows, packWeights } from "../core/cpu/product/choose.ts";
import { chosenTile } from "../core/cpu/product/choose-tile.ts";
import { forFewRows, forManyRows, forSomeRows, type Layout } from "../core/cpu/product/layout.ts";
import { productWasm } from "../core/cpu/product/product.ts";
import { tileName } from "../core/cpu/product/register-tile.ts";
import { Tensor, tidy } from "../core/index.ts";
import { WEIGHT_BYTES, type WeightFormat } from "../core/weight-format.ts";
import { MANY_ROWS, ONE_ROW, type Product, type Rung } from "./ladder.ts";
import { machine, wholeNumbers } from "./measure.ts";
import { fmaLimit, readLimit } from "./probe.ts";

/** Numbers between −scale and scale. */
const numbers = (shape: readonly [number, number], scale: number): Tensor =>
  Tensor.from(
    Float32Array.from({ length: shape[0] * shape[1] }, (_, i) => scale * Math.sin(i * 1.7 + (i % 13))),
    shape,
  );

/** Milliseconds that one call of each takes at best, when they take turns for so many seconds. */
function leastTimes(runs: readonly (() => void)[], seconds: number): number[] {
  const best = runs.map(() => Number.POSITIVE_INFINITY);
  for (const run of runs) for (let i = 0; i < 3; i++) run(); // compiled, and in the cache where it fits
  const end = performance.now() + 1000 * seconds;
  do {
    runs.forEach((run, i) => {
      run(); // what the others have put into the caches goes
      const start = performance.now();
      run();
      best[i] = Math.min(best[i], performance.now() - start);
    });
  } while (performance.now() < end);
  return best;
}

interface Column {
  readonly name: string;
  /** null: not packed. */
  readonly layout: Layout | null;
  readonly format: WeightFormat;
}

const columns = (): Column[] => [
  { name: "not packed", layout: null, format: "float32" },
  { name: "many", layout: forManyRows(chosenTile()), format: "float32" },
  { name: "some", layout: forSomeRows("float32"), format: "float32" },
  { name: "few", layout: forFewRows("float32"), format: "float32" },
  { name: "some", layout: forSomeRows("bfloat16"), format: "bfloat16" },
  { name: "few", layout: forFewRows("bfloat16"), format: "bfloat16" },
  { name: "few", layout: forFewRows("int8"), format: "int8" },
];

/** p where weights of a plan would be packed so, f where frozen weights are. */
function marks({ layout, format }: Column, rows: number): string {
  const plan = format === "float32" && (layoutForRows(rows)?.rows ?? null) === (layout?.rows ?? null);
  const frozen = layoutForFrozen(format).rows === layout?.rows;
  return `${plan ? "p" : " "}${frozen ? "f" : " "}`;
}

function table(K: number, N: number, rows: readonly number[], seconds: number): void {
  const all = columns();
  const width = 14;
  console.log(`\n${K} x ${N}: GFLOP/s`);
  console.log("".padEnd(6) + all.map(({ format }) => format.padStart(width)).join(""));
  console.log("rows".padEnd(6) + all.map(({ name }) => `${name}  `.padStart(width)).join("") + "   limit");
  const weight = numbers([K, N], 0.05);
  const packed = all.map(({ layout }) => (layout ? packWeights(weight, K, N, false, layout) : weight));
  for (const M of rows) {
    tidy(() => {
      const [a, out] = [numbers([M, K], 1), Tensor.empty([M, N])];
      const runs = packed.map((b) => productWasm({ out, a, b, M, N, K }) as () => void);
      const flops = 2 * M * N * K;
      const times = leastTimes([...runs, fmaLimit(flops)], seconds);
      const cells = all.map((column, i) => (rate(flops, times[i]) + marks(column, M)).padStart(width));
      console.log(`${M}`.padEnd(6) + cells.join("") + rate(flops, times[all.length]).padStart(8));
    });
  }
  for (const b of packed) b.dispose();
}

/** Billions per second, from milliseconds. */
const rate = (count: number, ms: number): string => (count / ms / 1e6).toPrecision(3);

/** The rungs on one product of 48 rows, then on one of one row whose weights come from memory. */
async function ladder(seconds: number): Promise<void> {
  const many = product(48, 1024, 512);
  const limit = fmaLimit(2 * many.M * many.K * many.N);
  const single = MANY_ROWS.filter(({ threads }) => threads === undefined);
  const runs = single.map((rung) => ready(rung, many));
  const times = leastTimes([...runs, limit], seconds);
  console.log(`\n${many.M} x ${many.K} x ${many.N}, GFLOP/s, and how many times the rung before`);
  let before = 0;
  single.forEach(({ name, rows }, i) => {
    const speed = (2 * rows * many.K * many.N) / times[i] / 1e6;
    console.log(line(name, speed, before ? `x ${(speed / before).toPrecision(2)}` : ""));
    before = speed;
  });
  console.log(
    line("limit: multiply-add", Number(rate(2 * many.M * many.K * many.N, times[single.length])), ""),
  );

  // Weights of 32 MB, more than the caches hold.
  const large = product(12, 4096, 2048);
  const rungs = MANY_ROWS.filter(({ name }) => name === "panels" || name === "blocks");
  const slow = leastTimes(
    rungs.map((rung) => ready({ ...rung, rows: large.M }, large)),
    seconds / 2,
  );
  console.log(`\n${large.M} x ${large.K} x ${large.N}, GFLOP/s`);
  rungs.forEach(({ name }, i) => {
    console.log(line(name, Number(rate(2 * large.M * large.K * large.N, slow[i])), ""));
  });

  setThreads(2);
  await new Promise((resolve) => setTimeout(resolve, 300)); // the worker starts
  console.log(`\n${many.M} x ${many.K} x ${many.N}, GFLOP/s`);
  for (const rung of MANY_ROWS.filter(({ threads }) => threads === 2)) {
    const shared = [ready(rung, many), limit].map((run) => () => spinning(run));
    const [time, top] = leastTimes(shared, seconds / 2);
    const flops = 2 * many.M * many.K * many.N;
    console.log(line(rung.name, Number(rate(flops, time)), `limit ${rate(flops, top)}`));
  }
  setThreads(1);

  const one = product(1, 1024, 8192);
  const bytes = (format: WeightFormat): number => WEIGHT_BYTES[format] * one.K * one.N;
  const streams = ONE_ROW.flatMap((rung) => [ready(rung, one), readLimit(bytes(rung.format))]);
  const read = leastTimes(streams, seconds);
  console.log(`\n1 x ${one.K} x ${one.N}, GB/s of weights, and microseconds`);
  ONE_ROW.forEach(({ name, format }, i) => {
    const [own, top] = [read[2 * i], read[2 * i + 1]];
    const words = `${(1000 * own).toFixed(0).padStart(6)} µs   limit: read ${rate(bytes(format), top)}`;
    console.log(line(`${name}, ${format}`, Number(rate(bytes(format), own)), words));
  });
}

const line = (name: string, speed: number, after: string): string =>
  `  ${name.padEnd(36)}${speed.toPrecision(3).padStart(8)}   ${after}`;

function product(M: number, K: number, N: number): Product {
  return { M, K, N, a: numbers([M, K], 1), b: numbers([K, N], 0.05), out: Tensor.zeros([M, N]) };
}

/** The rung for its rows of the product, after a look at what it computes. */
function ready(rung: Rung, whole: Product): () => void {
  const run = rung.make({ ...whole, M: rung.rows });
  const { a, b, out, K, N } = whole;
  out.data.fill(0);
  run();
  const [row, column] = [rung.rows - 1, N - 3];
  let expected = 0;
  for (let k = 0; k < K; k++) expected += a.data[row * K + k] * b.data[k * N + column];
  const found = out.data[row * N + column];
  if (!(Math.abs(found - expected) < 1e-2))
    throw new Error(`${rung.name}: expected ${expected} in row ${row}, column ${column}, got ${found}`);
  return run;
}

function sizesOf(list: string): [number, number][] {
  return list.split(",").map((word) => {
    const found = /^([1-9]\d{0,5})x([1-9]\d{0,5})$/.exec(word.trim());
    if (!found) throw new UsageError(`--sizes: expected K x N as in 256x1024, got ${JSON.stringify(list)}`);
    return [Number(found[1]), Number(found[2])];
  });
}

await runMain(async () => {
  const options = parseCli(
    {
      usage: "npx tsx benchmarks/products.ts [options]",
      description: "Times every kernel for matrix products, or the rungs that lead to them.",
      options: {
        ladder: { type: "boolean", help: "the rungs of docs/products.md" },
        sizes: { type: "string", default: "256x1024,1024x8192", help: "weights, K x N, separated by commas" },
        rows: { type: "string", default: "1,2,3,4,6,8,9,10,12,16,32,64", help: "rows, separated by commas" },
        seconds: { type: "integer", least: 1, default: 4, help: "time for each line of a table" },
      },
    },
    process.argv.slice(2),
  );
  const sizes = sizesOf(options.sizes);
  const rows = wholeNumbers("rows", options.rows);
  console.log(`${machine()}, tile ${tileName(chosenTile())}`);
  if (options.ladder) await ladder(5 * options.seconds);
  else {
    for (const [K, N] of sizes) table(K, N, rows, options.seconds);
    console.log("\np: how a plan packs weights for so many rows; f: how frozen weights are packed.");
  }
  console.log(`Afterwards: ${machine()}`);
});
