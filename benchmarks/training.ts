/**
 * How long does a training step take: loss, gradients, AdamW?
 *
 *     npx tsx benchmarks/training.ts            a table
 *     npx tsx benchmarks/training.ts --json     one object per line
 *     npx tsx benchmarks/training.ts --data DIR --scenes DIR     the whole loop instead
 *
 * NinA's decoders at the paper's sizes, dropout active, on a batch of 80 chunks with features that are pooled already
 * (one token each); and the embedded policy's encoder of 64 px pictures, batch 16: its pretraining, and together with
 * an MLP decoder. Captured as a plan, and eager. Beside them the machine's limit: as many multiply-adds as the step's
 * products, attentions and depthwise convolutions have, in registers and in turns with the steps. Shares and rates of
 * the products come from steps whose kernel calls are timed one by one.
 *
 * The whole loop is what vla/pretrain.ts and vla/train.ts do: batches, updates, averages and saves, in samples per
 * second, and the share of that time that is data.
 */

import { parseCli, runMain, UsageError } from "../cli/index.ts";
import type { Attention } from "../core/attention.ts";
import { setThreads, spinning } from "../core/cpu/kernels/threads.ts";
import { grad, Random, Scope, type Step, Tensor, watchKernels } from "../core/index.ts";
import { AdamW, type Module, TrainingStep, withMasks } from "../nn/index.ts";
import { makeDecoder } from "../vla/decoders.ts";
import type { FlorenceConfig } from "../vla/florence2/config.ts";
import { Florence2 } from "../vla/florence2/model.ts";
import type { FlowDecoder } from "../vla/nina/flow-decoder.ts";
import { MlpDecoder, mlpPresets } from "../vla/nina/mlp.ts";
import { adamWOptions } from "../vla/nina/training.ts";
import { TransformerDecoder, transformerPresets } from "../vla/nina/transformer.ts";
import { GroundedEncoder, groundingLoss, mapTokens, miniEncoder } from "../vla/pretrain/grounded-encoder.ts";
import { THINGS } from "../vla/pretrain/named-things.ts";
import { Parts } from "../vla/train/learner.ts";
import { decoderConfig } from "../vla/train/recipes.ts";
import { type LoopResult, measureLoops } from "./loop.ts";
import { interleaved, machine, type Result } from "./measure.ts";
import { fmaLimit } from "./probe.ts";

const LEARNING_RATE = 2e-5;
const WARM_UP_MS = 5000;
const PHASES = ["forward_ms", "backward_ms", "adamw_ms"] as const;

/** A loss on a batch of examples. */
interface Work {
  readonly module: Module;
  readonly batch: number;
  readonly inputs: readonly Tensor[];
  loss(...inputs: readonly Tensor[]): Tensor;
}

const CASES: Readonly<Record<string, (random: Random) => Work>> = {
  "nina-mlp 28x64": (random) => decoderWork(new MlpDecoder(mlpPresets.paper), random),
  "nina-transformer 18x256": (random) =>
    decoderWork(new TransformerDecoder(transformerPresets.paper), random),
  "nina-encoder pretraining": pretrainingWork,
  "nina-encoder with nina-mlp 10x128": encoderWork,
};

function decoderWork(made: MlpDecoder | TransformerDecoder, random: Random): Work {
  const decoder: Pick<FlowDecoder<never>, "loss" | "condition"> & typeof made = made;
  decoder.init(random);
  const batch = 80;
  const { steps, actionWidth, features } = decoder.config;
  const seen = random.normals([batch, 1, features]);
  const actions = random.uniforms([batch, steps, actionWidth], -1, 1);
  return {
    module: decoder,
    batch,
    inputs: [seen, actions, decoder.drawNoise(batch, random).action],
    loss: (features, targets, action) => decoder.loss(targets, decoder.condition(features), { action }),
  };
}

/** Of the encoder's examples. */
const [BATCH, PIXELS, WORDS, VOCABULARY] = [16, 64, 12, 400];
const [STEPS, ACTION_WIDTH] = [10, 7];
const florence: FlorenceConfig = { ...miniEncoder, vocab_size: VOCABULARY };

/** Pictures of two cameras, and words. */
function examples(random: Random): Tensor[] {
  const ids = Array.from({ length: BATCH * WORDS }, () => random.integer(VOCABULARY));
  const pictures = [1, 2].map(() => random.normals([BATCH, 3, PIXELS, PIXELS]));
  return [...pictures, Tensor.from(ids, [BATCH, WORDS], "int32")];
}

/** What vla/pretrain.ts does. */
function pretrainingWork(random: Random): Work {
  const tokens = mapTokens(florence, PIXELS);
  const heads = { features: florence.d_model, tokens, steps: STEPS, actionWidth: ACTION_WIDTH };
  const model = new GroundedEncoder(florence, heads).init(random);
  const targets = [
    random.uniforms([BATCH, 2 * THINGS.length, tokens], 0, 1 / tokens),
    random.normals([BATCH, 3 * THINGS.length]),
    random.uniforms([BATCH, STEPS * ACTION_WIDTH], -1, 1),
    Tensor.full([BATCH, 1], 1 / BATCH),
  ];
  return {
    module: model,
    batch: BATCH,
    inputs: [...examples(random), ...targets],
    loss: (agentview, wrist, ids, tokens, places, actions, weights) =>
      groundingLoss(model.read(agentview, wrist, ids), { tokens, places, actions, weights }).loss,
  };
}

/** What vla/train.ts does without --frozen. */
function encoderWork(random: Random): Work {
  const vlm = new Florence2(florence).init(random);
  const config = decoderConfig("nina-mlp", "mini", florence.d_model, {});
  const decoder = makeDecoder(config).init(random);
  const noise = decoder.drawNoise(BATCH, random);
  const names = Object.keys(noise);
  const actions = random.uniforms([BATCH, config.steps, config.actionWidth], -1, 1);
  return {
    module: new Parts(decoder, vlm),
    batch: BATCH,
    inputs: [...examples(random), actions, ...Object.values(noise)],
    loss(agentview, wrist, ids, actions, ...drawn) {
      const noise = Object.fromEntries(names.map((name, i) => [name, drawn[i]]));
      return decoder.loss(actions, decoder.condition(vlm.forward([agentview, wrist], ids)), noise);
    },
  };
}

interface Training {
  readonly batch: number;
  /** One eager step; its phases' milliseconds. */
  step(): number[];
  /** One step that was captured as a plan. */
  replay(): Promise<unknown>;
  dispose(): void;
}

function startTraining(make: (random: Random) => Work): Training {
  const masks = new Random(1, 1);
  const { module, batch, inputs, loss } = make(new Random(1));
  module.train();
  const optimizer = new AdamW(module.namedParameters(), adamWOptions);
  const parameters = optimizer.parameters;
  const captured = new TrainingStep(loss, optimizer, inputs, { masks });
  return {
    batch,
    step() {
      using _ = new Scope();
      const times = [performance.now()];
      const value = withMasks(masks, () => loss(...inputs));
      times.push(performance.now());
      const gradients = grad(value, parameters);
      times.push(performance.now());
      optimizer.step(gradients, LEARNING_RATE);
      times.push(performance.now());
      return PHASES.map((_phase, i) => times[i + 1] - times[i]);
    },
    replay: () => captured.run(inputs, LEARNING_RATE),
    dispose() {
      captured[Symbol.dispose]();
      optimizer.dispose();
      module.dispose();
      for (const tensor of inputs) tensor.dispose();
    },
  };
}

/** Operations of a call that multiplies and adds, a multiply-add being two; 0 for every other call. */
function flopsOf({ op, out, ins, attrs }: Step): number {
  /** Keys that each query sees; the gradient's inputs begin with that for the output. */
  const keys = (first: number): number => ins[first + (attrs as Attention).parts[1].input].shape[1];
  switch (op.name) {
    case "linear":
      return 2 * out.size * ins[1].shape[1];
    case "matmul":
      return 2 * out.size * (ins[0].shape.at((attrs as { a: boolean }).a ? -2 : -1) as number);
    case "attention":
      return 4 * out.size * keys(0);
    case "attentionSlope": // the scores once more, and a product each for weights, queries, keys and values
      return 10 * ins[0].size * keys(1);
    case "channelAttention":
      return (4 * out.size * out.shape[2]) / (attrs as number);
    case "channelAttentionSlope":
      return (10 * ins[0].size * ins[0].shape[2]) / (attrs as number);
    case "depthwiseConv":
    case "depthwiseConvTaps":
      return 18 * ins[0].size;
    default:
      return 0;
  }
}

interface Profile {
  readonly flops: number;
  /** Milliseconds in matrix products, in all kernels, and of the whole step. */
  readonly products: number;
  readonly kernels: number;
  readonly total: number;
}

/** One step with its kernel calls timed. */
function profile(training: Training): Profile {
  let [flops, products, kernels] = [0, 0, 0];
  const phases = watchKernels(
    (call, ms) => {
      const own = flopsOf(call);
      flops += own;
      kernels += ms;
      if (own > 0) products += ms;
    },
    () => training.step(),
  );
  return { flops, products, kernels, total: phases.reduce((a, b) => a + b, 0) };
}

const median = (xs: readonly number[]): number => xs.toSorted((a, b) => a - b)[xs.length >> 1];
const round = (x: number): number => Number(x.toPrecision(3));

/** The step and the limit in turns, on that many threads; what the timed calls showed. */
async function measure(name: string, training: Training, threads: number, rounds: number): Promise<Result[]> {
  setThreads(threads);
  if (threads > 1) await new Promise((resolve) => setTimeout(resolve, 1000)); // workers start
  const around = threads > 1 ? spinning : (calls: () => void): void => calls();
  const profiles: Profile[] = [];
  around(() => {
    // Training takes thousands of steps: what the engine still compiles during the first is not counted.
    for (const start = performance.now(); performance.now() - start < WARM_UP_MS; ) training.step();
    for (let i = 0; i < 15; i++) profiles.push(profile(training));
  });
  const best = profiles.reduce((a, b) => (b.total < a.total ? b : a));
  const phases: number[][] = [];
  const results = await interleaved(
    "training",
    `${name} batch ${training.batch}`,
    [
      { who: "limit", threads, dtype: "multiply-add", run: fmaLimit(best.flops), around },
      { who: "ours", threads, dtype: "float32", run: async () => void (await training.replay()) },
      { who: "ours, eager", threads, dtype: "float32", run: () => void phases.push(training.step()), around },
    ],
    { rounds, slice: 1 },
  );
  setThreads(1);
  const limit = results[0];
  return results.map((result) => {
    const gflops = round(best.flops / result.median_ms / 1e6);
    if (result.who === "limit") return { ...result, gflops };
    const cpu_ms_per_example = round(result.cpu_ms / training.batch);
    const share = {
      of_limit: round(limit.median_ms / result.median_ms),
      of_limit_min: round(limit.min_ms / result.min_ms),
    };
    if (result.who === "ours") return { ...result, cpu_ms_per_example, gflops, ...share };
    const timed = phases.slice(-rounds);
    return {
      ...result,
      cpu_ms_per_example,
      gflops,
      ...share,
      ...Object.fromEntries(PHASES.map((phase, i) => [phase, round(median(timed.map((times) => times[i])))])),
      gemm_share: round(best.products / best.total),
      gemm_gflops: round(best.flops / best.products / 1e6),
      kernel_share: round(best.kernels / best.total),
    };
  });
}

function show(r: Result): void {
  const who = `${r.who} ×${r.threads}`.padEnd(15);
  const times = [r.min_ms, r.median_ms, r.cpu_ms].map((ms) => ms.toFixed(1).padStart(8)).join(" ");
  console.log(`  ${who} ${times} ms (min, median, processor)   ${r.gflops} GFLOP/s`);
  if (r.who === "limit") return;
  const limits = `${r.of_limit} of the limit (${r.of_limit_min} of minima)`;
  console.log(`    ${limits}; ${r.cpu_ms_per_example} ms of the processor per example`);
  if (r.who === "ours") return;
  const phases = PHASES.map((phase) => `${phase.replace("_ms", "")} ${r[phase]}`).join(", ");
  console.log(
    `    ${phases} ms; products ${r.gemm_share} of the time at ${r.gemm_gflops} GFLOP/s; all kernels ${r.kernel_share}`,
  );
}

function showLoop(result: LoopResult, json: boolean): void {
  if (json) {
    console.log(JSON.stringify(result));
    return;
  }
  const { threads, samples_per_second, data_share } = result;
  const rate = `${samples_per_second}`.padStart(8);
  console.log(
    `  ${result.case.padEnd(16)} ×${threads} ${rate} samples/s, ${Math.round(100 * data_share)} % data`,
  );
}

await runMain(async () => {
  const options = parseCli(
    {
      usage: "npx tsx benchmarks/training.ts [options]",
      description:
        "Times training steps (loss, gradients, AdamW) of NinA's decoders and of a small encoder beside the machine's multiply-add\n" +
        "limit.",
      options: {
        only: { type: "string", default: "", help: "cases whose name contains this" },
        rounds: { type: "integer", least: 1, default: 9, help: "timed steps per case" },
        threads: {
          type: "integer",
          least: 1,
          default: 2,
          help: "a second row with this many threads; 1 for none",
        },
        data: { type: "string", help: "demonstrations of the embedded suite: times the whole loop" },
        scenes: { type: "string", help: "its random scenes, likewise" },
        json: { type: "boolean", help: "one JSON object per line" },
      },
    },
    process.argv.slice(2),
  );
  const cases = Object.entries(CASES).filter(([name]) => name.includes(options.only));
  if (cases.length === 0)
    throw new UsageError(`--only: expected part of ${Object.keys(CASES).join(", ")}, got ${options.only}`);
  const { data, scenes } = options;
  if ((data === undefined) !== (scenes === undefined))
    throw new UsageError("--data and --scenes: expected both, or none");
  if (!options.json) console.log(machine());
  if (data !== undefined && scenes !== undefined) {
    for (const result of measureLoops({ data, scenes }, options.threads)) showLoop(result, options.json);
    return;
  }
  for (const [name, make] of cases) {
    const training = startTraining(make);
    if (!options.json) console.log(`\n${name}, batch ${training.batch}`);
    for (const threads of new Set([1, options.threads])) {
      for (const result of await measure(name, training, threads, options.rounds)) {
        if (options.json) console.log(JSON.stringify(result));
        else show(result);
      }
    }
    training.dispose();
  }
});
