/**
 * How fast are the CPU kernels, beside the machine's limits and the libraries that run where we run?
 *
 *     npm install --prefix benchmarks          the peers; those missing are named and left out
 *     npx tsx benchmarks/kernels.ts            a table
 *     npx tsx benchmarks/kernels.ts --json     one object per line
 *     … --only gemm --rounds 9 --threads 2     some cases, how often, and ours on more threads as well
 *
 * All contenders of a case run in turns, in one process. Weights are constant: those who can, pack them beforehand.
 */

import { parseCli, runMain, UsageError } from "../cli/index.ts";
import { elementwiseWasm } from "../core/cpu/kernels/elementwise.ts";
import { layerNormWasm } from "../core/cpu/kernels/layer-norm.ts";
import { softmaxWasm } from "../core/cpu/kernels/softmax.ts";
import { setThreads, spinning } from "../core/cpu/kernels/threads.ts";
import { layoutForRows, packWeights } from "../core/cpu/product/choose.ts";
import { chosenTile } from "../core/cpu/product/choose-tile.ts";
import { forFewRows, forManyRows } from "../core/cpu/product/layout.ts";
import { productWasm } from "../core/cpu/product/product.ts";
import { Expr, Scope, Tensor } from "../core/index.ts";
import { WEIGHT_BYTES, type WeightFormat } from "../core/weight-format.ts";
import { type Contender, interleaved, machine, type Result } from "./measure.ts";
import { openJax } from "./peers/jax.ts";
import { openOnnxruntime } from "./peers/onnxruntime.ts";
import type { Peer, Work } from "./peers/peer.ts";
import { openTfjs } from "./peers/tfjs.ts";
import { copyLimit, fmaLimit, readLimit } from "./probe.ts";

/** M × K × N of the products; those with one row are limited by reading the weights. */
const PRODUCTS = [
  [1, 2048, 64],
  [1, 64, 2048],
  [1, 2048, 2048],
  [1, 1024, 38_912],
  [10, 256, 256],
  [10, 1024, 256],
  [80, 256, 512],
  [200, 1024, 1024],
  [784, 256, 1024],
  [577, 1024, 4096],
  [1024, 1024, 1024],
];
const ROWS = [
  [200, 1024],
  [784, 256],
];

const x = Expr.input(0);
const GELU = x.gelu();

/** Numbers between −scale and scale. */
function numbers(count: number, scale: number): Float32Array {
  return Float32Array.from({ length: count }, (_, i) => scale * Math.sin(i * 1.7 + (i % 13)));
}

interface Case {
  readonly name: string;
  /** Its numbers, of which there are many. */
  make(): Work;
  /** Operations of a product; bytes that must move. */
  readonly flops: number;
  readonly bytes: number;
}

const CASES: readonly Case[] = [
  ...PRODUCTS.map(([M, K, N]): Case => {
    const make = (): Work => {
      return { kind: "matmul", M, K, N, x: numbers(M * K, 1), weight: numbers(K * N, 0.05) };
    };
    const name = `${M === 1 ? "gemv" : "gemm"} ${M}x${K}x${N}`;
    return { name, make, flops: 2 * M * K * N, bytes: 4 * K * N };
  }),
  ...(["softmax", "layerNorm", "gelu"] as const).flatMap((kind) =>
    ROWS.map(([rows, columns]): Case => {
      const make = (): Work => ({ kind, rows, columns, x: numbers(rows * columns, 4) });
      return { name: `${kind} ${rows}x${columns}`, make, flops: 0, bytes: 8 * rows * columns };
    }),
  ),
];

/** Our kernel for the work: runs it once, into `out`. */
function ours(work: Work, format: WeightFormat): { run: () => void; out: Tensor } {
  if (work.kind === "matmul") {
    const { M, K, N } = work;
    const [a, out] = [Tensor.from(work.x, [M, K]), Tensor.empty([M, N])];
    const weight = Tensor.from(work.weight, [K, N]);
    const known = layoutForRows(M) ?? forManyRows(chosenTile());
    const b = packWeights(weight, K, N, false, format === "float32" ? known : forFewRows(format));
    weight.dispose();
    return { out, run: productWasm({ out, a, b, M, K, N }) as () => void };
  }
  const shape = [work.rows, work.columns];
  const [input, out] = [Tensor.from(work.x, shape), Tensor.empty(shape)];
  switch (work.kind) {
    case "softmax":
      return { out, run: softmaxWasm(out, input) as () => void };
    case "gelu":
      return { out, run: elementwiseWasm(GELU, 1, 0)(out, [input]) as () => void };
    case "layerNorm": {
      const [gain, bias] = [Tensor.ones([work.columns]), Tensor.zeros([work.columns])];
      return { out, run: layerNormWasm({ out, x: input, gain, bias, eps: 1e-5 }) as () => void };
    }
  }
}

const PEERS: Record<string, () => Promise<Peer>> = {
  "@tensorflow/tfjs-backend-wasm": openTfjs,
  "onnxruntime-web": () => openOnnxruntime("web"),
  "@jax-js/jax": openJax,
  "onnxruntime-node": () => openOnnxruntime("node"),
};

async function openPeers(): Promise<Peer[]> {
  const peers: Peer[] = [];
  for (const [name, open] of Object.entries(PEERS)) {
    try {
      peers.push(await open());
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code;
      if (code !== "ERR_MODULE_NOT_FOUND" && code !== "MODULE_NOT_FOUND") throw error;
      console.error(`${name}: not installed (npm install --prefix benchmarks)`);
    }
  }
  return peers;
}

/** What the hardware allows for the case: multiply-adds, reading the weights, or copying the rows. */
function limit({ flops, bytes }: Case, work: Work): { limit: string; run: () => void } {
  if (work.kind !== "matmul") return { limit: "copy", run: copyLimit(work.rows * work.columns) };
  if (work.M === 1) return { limit: "read", run: readLimit(bytes) };
  return { limit: "multiply-add", run: fmaLimit(flops) };
}

interface Effort {
  readonly rounds: number;
  readonly threads: number;
}

async function measure(c: Case, peers: readonly Peer[], { rounds, threads }: Effort): Promise<Result[]> {
  const scope = new Scope();
  const formats: WeightFormat[] = c.name.startsWith("gemv") ? ["float32", "bfloat16", "int8"] : ["float32"];
  const work = c.make();
  const mine = formats.map((format) => ({ format, ...ours(work, format) }));
  const hardware = limit(c, work);
  const contenders: Contender[] = [
    { who: "limit", threads: 1, dtype: hardware.limit, run: hardware.run },
    ...mine.map(({ format, run }) => ({ who: "ours", threads: 1, dtype: format, run })),
  ];
  mine[0].run();
  for (const peer of peers) {
    const run = await peer.prepare(work);
    const [theirs, own] = [await run(), mine[0].out.data[0]];
    if (!(Math.abs(theirs - own) < 1e-3 * (1 + Math.abs(own)))) {
      throw new Error(`${c.name}: ${peer.name} computes ${theirs} where we compute ${own}`);
    }
    contenders.push({
      who: peer.name,
      threads: peer.threads,
      dtype: "float32",
      run: async () => void (await run()),
    });
  }
  const results = await interleaved("kernels", c.name, contenders, { rounds });
  if (threads > 1) {
    setThreads(threads);
    await new Promise((resolve) => setTimeout(resolve, 200)); // workers start
    const around = spinning;
    const shared: Contender[] = [
      { who: "limit", threads, dtype: hardware.limit, run: hardware.run, around },
      ...mine.map(({ format, run }) => ({ who: "ours", threads, dtype: format, run, around })),
    ];
    results.push(...(await interleaved("kernels", c.name, shared, { rounds })));
    setThreads(1);
  }
  scope[Symbol.dispose]();
  return results.map((result) => ({ ...result, ...rates(c, result, results, peers) }));
}

/** Rates and ratios, from medians of processor time for one thread and of wall time for more. */
function rates(
  c: Case,
  result: Result,
  all: readonly Result[],
  peers: readonly Peer[],
): Record<string, number | string> {
  const time = (r: Result): number => (r.threads === 1 ? r.cpu_ms : r.median_ms);
  const bytes =
    result.who === "ours" && c.flops > 0
      ? (c.bytes / 4) * WEIGHT_BYTES[result.dtype as WeightFormat]
      : c.bytes;
  const byBytes = c.flops === 0 || c.name.startsWith("gemv");
  const rate = (byBytes ? bytes : c.flops) / time(result) / 1e6;
  const row: Record<string, number | string> = { rate: round(rate), unit: byBytes ? "GB/s" : "GFLOP/s" };
  if (result.who !== "ours") return row;
  const top = all.find((r) => r.who === "limit" && r.threads === result.threads) as Result;
  const single = all.find((r) => r.who === "ours" && r.dtype === result.dtype && r.threads === 1) as Result;
  row.of_limit = round((time(top) * (byBytes ? bytes / c.bytes : 1)) / time(result));
  if (result.threads > 1) return { ...row, vs_one_thread: round(single.median_ms / result.median_ms) };
  if (result.dtype !== "float32") {
    const float32 = all.find((r) => r.who === "ours" && r.dtype === "float32") as Result;
    return { ...row, vs_float32: round(time(float32) / time(result)) };
  }
  const others = all.filter((r) => peers.some((peer) => peer.name === r.who && !peer.native));
  if (others.length > 0) row.vs_best_js = round(Math.min(...others.map(time)) / time(result));
  const native = all.find((r) => r.who === "onnxruntime-node");
  if (native) row.vs_native = round(time(native) / time(result));
  return row;
}

const round = (value: number): number => Number(value.toPrecision(3));

function print(c: Case, results: readonly Result[]): void {
  console.log(`\n${c.name}`);
  for (const r of results) {
    const ratios = ["of_limit", "vs_best_js", "vs_native", "vs_float32", "vs_one_thread"].filter(
      (key) => key in r,
    );
    const words = ratios.map((key) => `${key.replaceAll("_", " ")} ${r[key]}`).join(", ");
    const who = `${r.who}${r.threads > 1 ? ` ×${r.threads}` : ""}`.padEnd(18);
    const times = [r.min_ms, r.median_ms, r.cpu_ms].map((ms) => ms.toFixed(4).padStart(10)).join(" ");
    console.log(
      `  ${who} ${r.dtype.padEnd(12)} ${times} ms  ${String(r.rate).padStart(6)} ${r.unit}  ${words}`,
    );
  }
}

await runMain(async () => {
  const { json, only, ...effort } = parseCli(
    {
      usage: "npx tsx benchmarks/kernels.ts [options]",
      description:
        "Times the CPU kernels beside the machine's limits and the libraries that run where we run.",
      options: {
        only: { type: "string", default: "", help: "cases whose name contains this" },
        rounds: { type: "integer", least: 1, default: 9, help: "how often each contender has its turn" },
        threads: { type: "integer", least: 1, default: 1, help: "ours on that many threads as well" },
        json: { type: "boolean", help: "one JSON object per line" },
      },
    },
    process.argv.slice(2),
  );
  const cases = CASES.filter((c) => c.name.includes(only));
  if (cases.length === 0)
    throw new UsageError(`--only: expected part of ${CASES.map((c) => c.name).join(", ")}, got ${only}`);
  const peers = await openPeers();
  if (!json) console.log(machine());
  for (const c of cases) {
    const results = await measure(c, peers, effort);
    if (!json) print(c, results);
    else for (const result of results) console.log(JSON.stringify(result));
  }
  if (!json) console.log(`\nmin, median (wall) and median processor time per call. Afterwards: ${machine()}`);
});
setImmediate(() => process.exit()); // peers keep threads of their own
