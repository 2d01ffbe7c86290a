/**
 * How long does a decoder take from noise to a chunk of actions, beside what the machine allows and other libraries do?
 *
 *     npm install --prefix benchmarks          the peers; those missing are named and left out
 *     npx tsx benchmarks/decode.ts             a table
 *     npx tsx benchmarks/decode.ts --json      one object per line: {bench, case, who, threads, dtype, min_ms, median_ms, …}
 *     … --only mlp --batch 1,16 --rounds 9     some decoders, other batches, how often
 *
 * Weights are drawn, not learnt; features have been encoded already, so each decode is `sample(z, condition)`.
 * Contenders of a case run in turns, in one process: the decoder as it is trained, op by op and captured in a plan;
 * made for inference, with weights in each format, on one thread and on two; the same network in other JavaScript
 * libraries. `limit` is the time that the inference decoder's multiply-adds, or reading its weights, take this machine
 * with nothing else to do. The paper's own times (arXiv:2508.16845; it does not say whether of decoders or of whole
 * policies) stand beside them as published.
 */

import { parseCli, runMain, UsageError } from "../cli/index.ts";
import { setThreads, spinning } from "../core/cpu/kernels/threads.ts";
import { noGrad, Plan, Random, type Tensor, tidy } from "../core/index.ts";
import type { Decoder } from "../vla/decoder.ts";
import { FlowerDecoder, flowerPresets } from "../vla/flower/flower.ts";
import type { InferenceDecoder } from "../vla/inference/decoder.ts";
import { MlpDecoder, mlpPresets } from "../vla/nina/mlp.ts";
import { TransformerDecoder, transformerPresets } from "../vla/nina/transformer.ts";
import { type Contender, interleaved, machine, type Result, wholeNumbers } from "./measure.ts";
import { jaxArrays } from "./peers/jax-arrays.ts";
import { type ArrayLibrary, mlpNetwork, transformerNetwork } from "./peers/network.ts";
import { tfjsArrays } from "./peers/tfjs-arrays.ts";
import { fmaLimit, readLimit } from "./probe.ts";

interface Subject {
  readonly name: string;
  make(): Decoder;
  /** Seconds per sample on an H100 and on an RTX 3060, as published. */
  readonly published: readonly [h100: number, rtx3060: number];
  /** As other libraries' users would write it; absent where it is not compared. */
  peer?<T>(lib: ArrayLibrary<T>, decoder: Decoder, batch: number): (z: T, condition: T) => T;
  /** Shape of z for the peers, per sample. */
  readonly event?: readonly number[];
}

/** Tokens that FLOWER attends to. */
const TOKENS = 64;

const SUBJECTS: readonly Subject[] = [
  {
    name: "NinA MLP 28x64",
    make: () => new MlpDecoder(mlpPresets.paper),
    published: [0.015, 0.019],
    peer: (lib, decoder) => mlpNetwork(lib, decoder as MlpDecoder),
    event: [70],
  },
  {
    name: "NinA Transformer 18x256",
    make: () => new TransformerDecoder(transformerPresets.paper),
    published: [0.021, 0.023],
    peer: (lib, decoder, batch) => transformerNetwork(lib, decoder as TransformerDecoder, batch),
    event: [10, 7],
  },
  {
    name: "FLOWER 31M, 4 steps",
    make: () => new FlowerDecoder(flowerPresets.small),
    published: [0.12, 0.181],
  },
];

const FORMATS = ["float32", "bfloat16", "int8"] as const;

/** What a run was asked for. */
interface Options {
  readonly batches: readonly number[];
  readonly rounds: number;
  readonly json: boolean;
}

await runMain(async () => {
  const { only, batch, ...rest } = parseCli(
    {
      usage: "npx tsx benchmarks/decode.ts [options]",
      description:
        "Times decoders from noise to a chunk of actions: op by op, as a plan, for inference, and in other libraries.",
      options: {
        only: { type: "string", default: "", help: "decoders whose name contains this" },
        batch: { type: "string", default: "1,16", help: "sizes of batches, separated by commas" },
        rounds: { type: "integer", least: 1, default: 9, help: "how often each contender has its turn" },
        json: { type: "boolean", help: "one JSON object per line" },
      },
    },
    process.argv.slice(2),
  );
  const options: Options = { ...rest, batches: wholeNumbers("batch", batch) };
  const subjects = SUBJECTS.filter(({ name }) => name.toLowerCase().includes(only.toLowerCase()));
  if (subjects.length === 0)
    throw new UsageError(
      `--only: expected part of ${SUBJECTS.map(({ name }) => name).join(", ")}, got ${only}`,
    );
  const libraries = await openLibraries();
  if (!options.json) console.log(machine());
  for (const subject of subjects) await time(subject, libraries, options);
});

async function time(
  subject: Subject,
  libraries: readonly ArrayLibrary<unknown>[],
  { batches, rounds, json }: Options,
): Promise<void> {
  const decoder = subject.make().init(new Random(1));
  const inference = FORMATS.map((weights) => ({ weights, decoder: decoder.forInference!({ weights }) }));
  for (const batch of batches) {
    const results = await measure(subject, decoder, inference, batch, libraries, rounds);
    print(subject, batch, inference[0].decoder, results, json);
  }
  for (const each of inference) each.decoder.dispose();
  decoder.dispose();
}

async function openLibraries(): Promise<ArrayLibrary<unknown>[]> {
  const found: ArrayLibrary<unknown>[] = [];
  const openers = { "@tensorflow/tfjs-backend-wasm": tfjsArrays, "@jax-js/jax": jaxArrays };
  for (const [name, open] of Object.entries(openers)) {
    try {
      found.push((await open()) as ArrayLibrary<unknown>);
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code;
      if (code !== "ERR_MODULE_NOT_FOUND" && code !== "MODULE_NOT_FOUND") throw error;
      console.error(`${name}: not installed (npm install --prefix benchmarks)`);
    }
  }
  return found;
}

async function measure(
  subject: Subject,
  decoder: Decoder,
  inference: readonly { readonly weights: (typeof FORMATS)[number]; readonly decoder: InferenceDecoder }[],
  batch: number,
  libraries: readonly ArrayLibrary<unknown>[],
  rounds: number,
): Promise<Result[]> {
  const random = new Random(2);
  const { steps, actionWidth, features } = decoder.config;
  const z = tidy(() => random.normals([batch, steps, actionWidth]).scale(0.5));
  const condition = quietly(() => decoder.condition(random.normals([batch, TOKENS, features])));
  const name = `${subject.name}, batch ${batch}`;
  const flops = 2 * batch * inference[0].decoder.weightProducts(TOKENS);
  const planOf = (sample: Decoder["sample"]): Plan =>
    new Plan((noise, seen) => sample(noise, seen), [z, condition]);

  const trained = planOf((noise, seen) => decoder.sample(noise, seen));
  const plans = inference.map(({ weights, decoder: fast }) => ({
    weights,
    plan: planOf((noise, seen) => fast.sample(noise, seen)),
  }));
  const exact = quietly(() => decoder.sample(z, condition));
  const difference = (out: ArrayLike<number>): number =>
    exact
      .toArray()
      .reduce((most, x, i) => Math.max(most, Math.abs(x - Math.min(1, Math.max(-1, out[i])))), 0);
  const differences = new Map(
    plans.map(({ weights, plan }) => [weights as string, difference(plan.run(z, condition)[0].data)]),
  );

  const one = (who: string, dtype: string, run: () => void): Contender => ({ who, threads: 1, dtype, run });
  const contenders = [
    one("limit: multiply-add", "float32", fmaLimit(flops)),
    ...inference.map(({ weights, decoder: fast }) =>
      one("limit: read", weights, readLimit(fast.weightBytes)),
    ),
    one("as trained, op by op", "float32", () => quietly(() => decoder.sample(z, condition)).dispose()),
    one("as trained, plan", "float32", () => trained.run(z, condition)),
    ...plans.map(({ weights, plan }) => one("inference", weights, () => plan.run(z, condition))),
  ];
  for (const lib of subject.peer ? libraries : []) {
    const body = subject.peer?.(lib, decoder, batch) as (z: unknown, condition: unknown) => unknown;
    const run = lib.compile(body, [[batch, ...(subject.event ?? [])], condition.shape]);
    const [noise, seen] = [Float32Array.from(z.data), Float32Array.from(condition.data)];
    if (!(difference(run(noise, seen)) < 1e-3))
      throw new Error(`${name}: ${lib.name} computes something else`);
    contenders.push(one(lib.name, "float32", () => void run(noise, seen)));
  }
  const results = await interleaved("decode", name, contenders, { rounds, slice: 40 });

  setThreads(2);
  await new Promise((resolve) => setTimeout(resolve, 300)); // the worker starts
  const two = plans.map(
    ({ weights, plan }): Contender => ({
      ...one("inference", weights, () => plan.run(z, condition)),
      threads: 2,
      around: spinning,
    }),
  );
  results.push(...(await interleaved("decode", name, two, { rounds, slice: 40 })));
  setThreads(1);

  for (const { plan } of plans) plan[Symbol.dispose]();
  trained[Symbol.dispose]();
  for (const tensor of [z, condition, exact]) tensor.dispose();
  return results.map((result) => ({
    ...result,
    ...(result.who === "inference" ? { max_difference: differences.get(result.dtype) as number } : {}),
  }));
}

/** Without history, and without leaving anything behind but the result. */
function quietly(body: () => Tensor): Tensor {
  return tidy(() => noGrad(body));
}

function print(
  subject: Subject,
  batch: number,
  exact: InferenceDecoder,
  results: readonly Result[],
  json: boolean,
): void {
  const published = subject.published.map((seconds, i) => ({
    bench: "decode",
    case: `${subject.name}, batch 1`,
    who: `published, ${["H100", "RTX 3060"][i]}`,
    threads: 0,
    dtype: "",
    min_ms: 1000 * seconds,
    median_ms: 1000 * seconds,
  }));
  const rows = batch === 1 ? [...results, ...published] : results;
  if (json) {
    for (const row of rows) console.log(JSON.stringify(row));
    return;
  }
  const best = results.find((row) => row.who === "inference" && row.dtype === "float32" && row.threads === 1);
  const megabytes = (exact.weightBytes / 1e6).toFixed(1);
  const flops = ((2 * batch * exact.weightProducts(TOKENS)) / 1e6).toFixed(1);
  console.log(`\n${results[0].case}: ${megabytes} MB of float32 weights, ${flops} MFLOP`);
  const widths = [7, 10, 11, 13];
  const line = (who: string, dtype: string, cells: readonly (string | number)[]): string =>
    who.padEnd(24) + dtype.padEnd(10) + cells.map((cell, i) => `${cell}`.padStart(widths[i])).join("");
  console.log(line("", "weights", ["threads", "min ms", "median ms", "x inference"]));
  for (const { who, dtype, threads, min_ms, median_ms } of rows) {
    const ratio = best ? min_ms / best.min_ms : Number.NaN;
    const cells = [threads || "", min_ms.toFixed(3), median_ms.toFixed(3), ratio.toFixed(2)];
    console.log(line(who, dtype, cells));
  }
}
