/**
 * How long does Florence-2 take from two pictures and a prompt to features, and how far is that from what the machine
 * can do?
 *
 *     npx tsx benchmarks/encoder.ts                     base and large, in each format: every part, and the whole
 *     npx tsx benchmarks/encoder.ts --json              one object per line
 *     … --model large --weights float32 --threads 1 --batch 1 --rounds 5     some of it
 *     npx tsx benchmarks/encoder.ts --products          the main products, beside ONNX Runtime (npm install --prefix benchmarks)
 *
 * Weights are made by a formula, those of the full-size goldens, and written to a file (2.3 GB for large) that is
 * removed at the end. A sample is two pictures of 112 × 112 pixels and a prompt of 35 tokens, as long as LIBERO's are.
 * The parts are plans of their own: the convolutions, spatial blocks and channel blocks of the four stages, the
 * projection of their result, the text encoder. Operations are counted from the kernel calls: a multiply-add of a
 * product, of attention or of a depthwise convolution is two. The limit is as many on registers, timed in turns with
 * the parts; the least time of each counts, of the processor on one thread and by the clock on more. Each model is
 * measured in a process of its own: its peak memory is that of loading it and of the plan of the whole; loading is
 * timed by the clock, capturing on the processor.
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseCli, runMain, UsageError } from "../cli/index.ts";
import type { Attention } from "../core/attention.ts";
import {
  type LazyTensor,
  openSafetensors,
  Plan,
  Random,
  type Step,
  setThreads,
  spinning,
  Tensor,
  tidy,
  type WeightFormat,
  watchKernels,
  writeSafetensors,
} from "../core/index.ts";
import { sizes, type Transposed } from "../core/ops/matmul.ts";
import { type FlorenceConfig, florenceBase, florenceLarge } from "../vla/florence2/config.ts";
import { Florence2 } from "../vla/florence2/model.ts";
import { loadFlorence2 } from "../vla/florence2/weights.ts";
import { compareProducts } from "./encoder-products.ts";
import { generatedTensors } from "./generated-weights.ts";
import { machine, wholeNumbers } from "./measure.ts";
import { openOnnxruntime } from "./peers/onnxruntime.ts";
import type { Peer } from "./peers/peer.ts";
import { fmaLimit } from "./probe.ts";

const MODELS: Readonly<Record<string, FlorenceConfig>> = { base: florenceBase, large: florenceLarge };
const CAMERAS = 2;
const PIXELS = 112;
const PROMPT = 35;

const FORMATS = ["float32", "bfloat16", "int8"] as const;

interface Options {
  readonly threads: readonly number[];
  readonly batches: readonly number[];
  readonly rounds: number;
  readonly json: boolean;
}

await runMain(async () => {
  const { model, weights, file, products, threads, batch, ...rest } = parseCli(
    {
      usage: "npx tsx benchmarks/encoder.ts [options]",
      description: "Times Florence-2's encoder from two pictures and a prompt to features, part by part.",
      options: {
        model: { type: "string", choices: ["base", "large"], help: "one of them" },
        weights: { type: "string", choices: FORMATS, help: "what its weights are kept as: one of them" },
        file: {
          type: "string",
          help: "the weights of --model, made by an earlier call, for one of --weights",
        },
        threads: { type: "string", default: "1,2", help: "numbers of threads, separated by commas" },
        batch: { type: "string", default: "1,4", help: "sizes of batches, separated by commas" },
        rounds: { type: "integer", least: 1, default: 5, help: "how often each part has its turn" },
        products: { type: "boolean", help: "the main products alone, beside ONNX Runtime" },
        json: { type: "boolean", help: "one JSON object per line" },
      },
    },
    process.argv.slice(2),
  );
  const options = {
    ...rest,
    threads: wholeNumbers("threads", threads),
    batches: wholeNumbers("batch", batch),
  };
  const models = model ? [model] : Object.keys(MODELS);
  if (products) {
    const peers = [await openOnnxruntime("web"), await openOnnxruntime("node")];
    if (!options.json) console.log(machine());
    for (const name of models) await measureProducts(name, peers, options);
  } else if (file === undefined) {
    for (const name of models) inProcesses(name, weights ? [weights] : FORMATS);
  } else {
    if (!model || !weights) throw new UsageError("--file: expected --model and --weights beside it");
    await measureParts(model, weights, file, options);
  }
});
setImmediate(() => process.exit()); // ONNX Runtime keeps threads of its own

/** The same command with the model in each format, one process after the other. */
function inProcesses(model: string, formats: readonly WeightFormat[]): void {
  const folder = mkdtempSync(join(tmpdir(), "nina-encoder-"));
  try {
    const file = join(folder, "model.safetensors");
    writeSafetensors(file, generatedTensors(MODELS[model], 0));
    const script = fileURLToPath(import.meta.url);
    const given = parsedAgain(process.argv.slice(2));
    for (const format of formats) {
      const own = ["--model", model, "--weights", format, "--file", file];
      const { status } = spawnSync(process.execPath, [...process.execArgv, script, ...given, ...own], {
        stdio: "inherit",
      });
      if (status !== 0) throw new Error(`${model}, ${format}: its process ended with code ${status}`);
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Arguments without those that each process gets its own of. */
function parsedAgain(args: readonly string[]): string[] {
  return args.filter(
    (arg, i) => ![arg, args[i - 1]].some((word) => word === "--model" || word === "--weights"),
  );
}

/** A stretch of the encoder. */
interface Part {
  readonly name: string;
  readonly run: () => void;
  /** Billions of operations. */
  readonly gflop: number;
  /** What its kernels do, in one run. */
  readonly calls: readonly Step[];
  /** Milliseconds of the processor that capturing it took. */
  readonly capture_ms: number;
  dispose(): void;
}

/** Milliseconds that the processor has worked for this process, on all threads. */
function processorMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

/** `body` as a plan, on inputs of its own. */
function part(name: string, body: (...inputs: Tensor[]) => Tensor, inputs: readonly Tensor[]): Part {
  const before = processorMs();
  const plan = new Plan(body, inputs);
  const capture_ms = processorMs() - before;
  const run = (): void => tidy(() => void plan.run(...inputs));
  const calls: Step[] = [];
  watchKernels((call) => calls.push(call), run);
  return {
    name,
    run,
    calls,
    capture_ms,
    gflop: calls.reduce((sum, call) => sum + operations(call), 0) / 1e9,
    dispose() {
      plan[Symbol.dispose]();
      for (const x of inputs) x.dispose();
    },
  };
}

/** M × K × N of a product, all of a batch together; null for other calls. */
function productOf({ op, out, ins, attrs }: Step): [M: number, K: number, N: number] | null {
  if (op.name === "linear") {
    const [N, K] = ins[1].shape;
    return [out.size / N, K, N];
  }
  if (op.name !== "matmul") return null;
  const { batch, M, K, N } = sizes(ins[0], ins[1], attrs as Transposed);
  return [batch * M, K, N];
}

/** Operations of a call that multiplies and adds, 0 of any other. */
function operations(call: Step): number {
  const { op, out, ins, attrs } = call;
  const product = productOf(call);
  if (product) return product.reduce((all, length) => all * length, 2);
  switch (op.name) {
    case "attention":
      return 4 * out.size * ins[(attrs as Attention).parts[1].input].shape[1];
    case "channelAttention":
      return (4 * out.size * out.shape[2]) / (attrs as number);
    case "depthwiseConv":
      return 18 * out.size;
    default:
      return 0;
  }
}

/** Two cameras' pictures, and the ids of a prompt. */
function observation(batch: number): Tensor[] {
  const random = new Random(1);
  const pictures = Array.from({ length: CAMERAS }, () => random.normals([batch, 3, PIXELS, PIXELS]));
  const ids = Int32Array.from({ length: batch * PROMPT }, (_, i) => 4 + ((37 * i) % 50_000));
  return [...pictures, Tensor.from(ids, [batch, PROMPT], "int32")];
}

function wholeEncoder(model: Florence2, batch: number): Part {
  return part("whole", (...[a, b, ids]) => model.forward([a, b], ids), observation(batch));
}

function partsOf(model: Florence2, batch: number): Part[] {
  const { vision_tower, language_model, config } = model;
  const random = new Random(2);
  const samples = CAMERAS * batch;
  let shape = [samples, PIXELS, PIXELS, 3];
  const inputs = (): Tensor[] => [random.normals(shape)];
  const stages = config.dim_embed.flatMap((width, stage) => {
    const conv = part(`stage ${stage}: convolution`, (x) => vision_tower.convs[stage].forward(x), inputs());
    const [patch, stride, padding] = [config.patch_size, config.patch_stride, config.patch_padding].map(
      (of) => of[stage],
    );
    const side = Math.floor((shape[1] + 2 * padding - patch) / stride) + 1;
    shape = [samples, side, side, width];
    const blocks = vision_tower.blocks[stage];
    const through = (kind: "spatial_block" | "channel_block") => (x: Tensor) =>
      blocks.reduce((y, block) => block[kind].forward(y, () => {}), x);
    return [
      conv,
      part(`stage ${stage}: spatial × ${blocks.length}`, through("spatial_block"), inputs()),
      part(`stage ${stage}: channel × ${blocks.length}`, through("channel_block"), inputs()),
    ];
  });
  const projection = part("projection", (map) => model.projectMap(map), inputs());
  shape = [batch, CAMERAS * (1 + shape[1] * shape[2]) + 1 + PROMPT, config.d_model];
  const text = part("text encoder", (x) => language_model.model.encoder.forward(x), inputs());
  return [...stages, projection, text];
}

interface Time {
  /** Least times of one run, in milliseconds: by the clock, and of the processor on all threads. */
  wall: number;
  cpu: number;
}

/** Least times of the parts and, at the end, of the limit for a billion operations, in turns. */
function leastTimes(parts: readonly Part[], rounds: number): Time[] {
  const runs = [...parts.map(({ run }) => run), fmaLimit(1e9)];
  const best = runs.map((): Time => ({ wall: Number.POSITIVE_INFINITY, cpu: Number.POSITIVE_INFINITY }));
  for (let round = 0; round < rounds; round++) {
    runs.forEach((run, i) => {
      const [start, before] = [performance.now(), processorMs()];
      run();
      best[i].wall = Math.min(best[i].wall, performance.now() - start);
      best[i].cpu = Math.min(best[i].cpu, processorMs() - before);
    });
  }
  return best;
}

async function measureParts(
  name: string,
  format: WeightFormat,
  file: string,
  { threads, batches, rounds, json }: Options,
): Promise<void> {
  const start = performance.now();
  const model = load(name, format, file);
  const load_ms = performance.now() - start;
  if (!json) console.log(`\n${machine()}`);
  for (const batch of batches) {
    const whole = wholeEncoder(model, batch);
    const about = { bench: "encoder", model: name, weights: format, batch };
    const { capture_ms } = whole;
    const numbers = { load_ms, capture_ms, peak_mb: (process.resourceUsage().maxRSS * 1024) / 1e6 };
    if (json) console.log(JSON.stringify({ ...about, ...numbers }));
    else {
      const [loaded, captured, peak] = Object.values(numbers).map((x) => x.toFixed(0));
      console.log(
        `\n${name}, ${format}, batch ${batch}: loaded in ${loaded} ms, captured in ${captured} ms, peak ${peak} MB`,
      );
    }
    const parts = [...partsOf(model, batch), whole];
    for (const count of threads) {
      setThreads(count);
      await new Promise((resolve) => setTimeout(resolve, 300)); // workers start
      const times = spinning(() => leastTimes(parts, rounds));
      const counted = ({ wall, cpu }: Time): number => (count === 1 ? cpu : wall);
      const limit = 1000 / counted(times.pop() as Time);
      if (!json)
        console.log(`\n${count} ${count === 1 ? "thread" : "threads"}, limit ${limit.toFixed(1)} GFLOP/s`);
      parts.forEach((part, i) => {
        print({ ...about, threads: count }, part, counted(times[i]), limit, json);
      });
    }
    setThreads(1);
    for (const each of parts) each.dispose();
  }
  model.dispose();
}

function load(name: string, format: WeightFormat, file: string): Florence2 {
  using stored = openSafetensors(file);
  const tensors = new Map(
    [...stored.tensors].map(([key, { dtype, shape }]): [string, LazyTensor] => [
      key,
      { dtype, shape, read: () => stored.read(key).data, pieces: (unit) => stored.pieces(key, unit) },
    ]),
  );
  return loadFlorence2(MODELS[name], tensors, "", format);
}

function print(about: object, { name, gflop }: Part, ms: number, limit: number, json: boolean): void {
  const rate = (1000 * gflop) / ms;
  if (json) console.log(JSON.stringify({ ...about, part: name, ms, gflop, rate, of_limit: rate / limit }));
  else {
    const cells = [`${ms.toFixed(2)} ms`, `${gflop.toFixed(2)} GFLOP`, `${rate.toFixed(1)} GFLOP/s`];
    const share = `${((100 * rate) / limit).toFixed(0)} %`;
    console.log(name.padEnd(24) + cells.map((cell) => cell.padStart(16)).join("") + share.padStart(7));
  }
}

/** How often each product (M, K, N) is computed for a batch; weights do not matter. */
function countProducts(model: Florence2, batch: number): Map<string, number> {
  const whole = wholeEncoder(model, batch);
  const counts = new Map<string, number>();
  for (const call of whole.calls) {
    const key = productOf(call)?.join(" × ");
    if (key) counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  whole.dispose();
  return counts;
}

async function measureProducts(
  name: string,
  peers: readonly Peer[],
  { batches, rounds, json }: Options,
): Promise<void> {
  const model = new Florence2(MODELS[name]);
  const counts = batches.map((batch) => countProducts(model, batch));
  model.dispose();
  for (const [i, batch] of batches.entries())
    await compareProducts(`${name}, batch ${batch}`, counts[i], peers, rounds, json);
}
