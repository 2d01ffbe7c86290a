/**
 * What does each device of this machine take to decode, to encode and to train?
 *
 *     npx tsx benchmarks/device.ts             cpu, and each mode of GPU.js that this machine offers
 *     npx tsx benchmarks/device.ts --json      one object per line: {bench, case, who, min_ms, …, launches, uploaded, …}
 *     … --devices cpu,gpu:webasm --only mlp    some devices, some cases
 *
 * Plans of NinA's published decoders and of the encoder of the embedded policy (`--large`: Florence-2-base), weights
 * drawn: features to a chunk of actions, pictures and a prompt to features, and a training step (loss, gradients,
 * AdamW). Each call waits for its results on the host, and the devices have their calls in turns. Beside the times
 * stand what one call launches and moves to the device and back, and what compiling took, once. A driver that computes
 * on the processor is called software: it shows that results are right, and says nothing of a GPU's speed.
 */

import { parseCli, runMain, UsageError } from "../cli/index.ts";
import {
  cpu,
  DEVICE_NAMES,
  type Device,
  GpuDevice,
  type GpuUsage,
  NO_USAGE,
  noGrad,
  onDevice,
  openDevice,
  Plan,
  Random,
  Tensor,
  unscoped,
} from "../core/index.ts";
import { AdamW, type Module, TrainingStep } from "../nn/index.ts";
import { checkpointConfig } from "../vla/checkpoint.ts";
import type { Decoder } from "../vla/decoder.ts";
import { deviceInfo } from "../vla/device-info.ts";
import { EMBEDDED } from "../vla/eval/options.ts";
import { type FlorenceConfig, florenceBase } from "../vla/florence2/config.ts";
import { Florence2 } from "../vla/florence2/model.ts";
import { MlpDecoder, mlpPresets } from "../vla/nina/mlp.ts";
import { adamWOptions } from "../vla/nina/training.ts";
import { TransformerDecoder, transformerPresets } from "../vla/nina/transformer.ts";
import { interleaved, machine, type Result } from "./measure.ts";

/** What is done again and again on a device. */
interface Work {
  call(): Promise<unknown>;
  dispose(): void;
}

interface Case {
  readonly name: string;
  make(device: Device): Work;
}

const mlp = (): Decoder => new MlpDecoder(mlpPresets.paper);
const transformer = (): Decoder => new TransformerDecoder(transformerPresets.paper);
const embedded = checkpointConfig(EMBEDDED.checkpoint);

const CASES: readonly Case[] = [
  { name: "decode nina-mlp 28x64", make: (device) => decoding(mlp, device) },
  { name: "decode nina-transformer 18x256", make: (device) => decoding(transformer, device) },
  {
    name: "encode embedded",
    make: (device) => encoding(embedded.florence, embedded.perception.imageSize, device),
  },
  { name: "train nina-mlp 28x64, batch 80", make: (device) => training(mlp, 80, device) },
];
const LARGE: readonly Case[] = [
  { name: "encode florence-2-base", make: (device) => encoding(florenceBase, 224, device) },
  { name: "train nina-transformer 18x256, batch 80", make: (device) => training(transformer, 80, device) },
];

/** Ids of a prompt. */
const PROMPT = 16;

/** A module with drawn weights, on the device. */
const drawn = <M extends Module>(make: () => M, device: Device): M =>
  onDevice(cpu, () => make().init(new Random(1))).to(device);

/** Tensors on the device that live until they are disposed of. */
const made = (device: Device, body: () => Tensor[]): Tensor[] => unscoped(() => onDevice(device, body));

/** A plan without gradients, and the reading of its result. */
function replaying(
  device: Device,
  module: Module,
  inputs: readonly Tensor[],
  body: (...x: Tensor[]) => Tensor,
): Work {
  const plan = onDevice(device, () => new Plan((...x: Tensor[]) => noGrad(() => body(...x)), inputs));
  return {
    async call() {
      const [result] = unscoped(() => plan.run(...inputs));
      await result.read();
      result.dispose();
    },
    dispose() {
      plan[Symbol.dispose]();
      for (const x of inputs) x.dispose();
      module.dispose();
    },
  };
}

function decoding(make: () => Decoder, device: Device): Work {
  const decoder = drawn(make, device);
  const { steps, actionWidth, features } = decoder.config;
  const random = new Random(2);
  const inputs = made(device, () => [
    random.normals([1, steps, actionWidth]),
    random.normals([1, 1, features]),
  ]);
  return replaying(device, decoder, inputs, (z, seen) => decoder.sample(z, decoder.condition(seen)));
}

function encoding(config: FlorenceConfig, size: number, device: Device): Work {
  const florence = drawn(() => new Florence2(config), device);
  const random = new Random(2);
  const ids = Array.from({ length: PROMPT }, () => random.integer(config.vocab_size));
  const inputs = made(device, () => [
    ...[0, 1].map(() => random.normals([1, 3, size, size])),
    Tensor.from(ids, [1, PROMPT], "int32"),
  ]);
  return replaying(device, florence, inputs, (agentview, wrist, words) =>
    florence.forward([agentview, wrist], words),
  );
}

function training(make: () => Decoder, batch: number, device: Device): Work {
  const decoder = drawn(make, device);
  decoder.train();
  const { steps, actionWidth, features } = decoder.config;
  const random = new Random(2);
  const optimizer = new AdamW(decoder.namedParameters(), adamWOptions);
  const inputs = made(device, () => [
    random.normals([batch, 1, features]),
    random.uniforms([batch, steps, actionWidth], -1, 1),
    random.normals([batch, steps, actionWidth]),
  ]);
  const loss = (seen: Tensor, actions: Tensor, action: Tensor): Tensor =>
    decoder.loss(actions, decoder.condition(seen), { action });
  const step = onDevice(device, () => new TrainingStep(loss, optimizer, inputs, { masks: new Random(1, 1) }));
  return {
    call: () => step.run(inputs, 2e-5),
    dispose() {
      step[Symbol.dispose]();
      optimizer.dispose();
      for (const x of inputs) x.dispose();
      decoder.dispose();
    },
  };
}

const usageOf = (device: Device): GpuUsage => (device instanceof GpuDevice ? device.usage() : NO_USAGE);

/** All devices on one case. */
async function measure({ name, make }: Case, devices: readonly Device[], rounds: number): Promise<Result[]> {
  const running: { work: Work; device: Device; extra: Record<string, string | number> }[] = [];
  for (const device of devices) {
    const before = usageOf(device);
    const work = make(device);
    await work.call(); // compiles
    const first = usageOf(device);
    await work.call();
    const second = usageOf(device);
    const { driver = "", software = false } = deviceInfo(device);
    const extra = {
      driver,
      software: software ? "yes" : "",
      kernels: first.kernels - before.kernels,
      compile_ms: first.compileMs - before.compileMs,
      launches: second.launches - first.launches,
      uploaded: second.uploaded - first.uploaded,
      downloaded: second.downloaded - first.downloaded,
    };
    running.push({ work, device, extra });
  }
  const contenders = running.map(({ work, device }) => ({
    who: device.name,
    threads: 1,
    dtype: "float32",
    run: async () => void (await work.call()),
  }));
  const results = await interleaved("device", name, contenders, { rounds, slice: 40 });
  for (const { work } of running) work.dispose();
  return results.map((result, i) => ({ ...result, ...running[i].extra }));
}

/** Those that were asked for, else all that this machine offers. */
async function open(list: string | undefined): Promise<Device[]> {
  if (list !== undefined) {
    const names = list.split(",");
    for (const name of names) {
      if (!DEVICE_NAMES.includes(name))
        throw new UsageError(`--devices: expected some of ${DEVICE_NAMES.join(", ")}, got ${name}`);
    }
    return Promise.all(names.map(openDevice));
  }
  const found: Device[] = [];
  for (const name of DEVICE_NAMES) {
    if (name === "gpu") continue; // one of the others
    try {
      found.push(await openDevice(name));
    } catch (error) {
      console.error(`left out: ${(error as Error).message}`);
    }
  }
  return found;
}

function show(results: readonly Result[]): void {
  const titles = ["min ms", "median ms", "launches", "KB there", "KB back", "kernels", "compile ms"];
  console.log(`\n${results[0].case.padEnd(40)}${titles.map((title) => title.padStart(11)).join("")}`);
  for (const r of results) {
    const [there, back] = [r.uploaded, r.downloaded].map((bytes) => ((bytes as number) / 1000).toFixed(1));
    const compiled = (r.compile_ms as number).toFixed(0);
    const cells = [r.min_ms.toFixed(2), r.median_ms.toFixed(2), r.launches, there, back, r.kernels, compiled];
    const shown = r.who === "cpu" ? cells.slice(0, 2) : cells;
    const who = `  ${r.who}${r.software ? " (software)" : ""}`;
    console.log(who.padEnd(40) + shown.map((cell) => `${cell}`.padStart(11)).join(""));
  }
}

await runMain(async () => {
  const options = parseCli(
    {
      usage: "npx tsx benchmarks/device.ts [options]",
      description:
        "Times decoding, encoding and training steps on cpu and on GPU.js in its modes, with launches, bytes moved and the\n" +
        "time that compiling takes. Drivers that compute on the processor are called software.",
      options: {
        devices: {
          type: "string",
          help: "names, separated by commas; otherwise all that this machine offers",
        },
        only: { type: "string", default: "", help: "cases whose name contains this" },
        large: { type: "boolean", help: "cases as well that take minutes on the processor" },
        rounds: { type: "integer", least: 1, default: 9, help: "how often each device has its turn" },
        json: { type: "boolean", help: "one JSON object per line" },
      },
    },
    process.argv.slice(2),
  );
  const all = options.large ? [...CASES, ...LARGE] : CASES;
  const cases = all.filter(({ name }) => name.includes(options.only));
  if (cases.length === 0)
    throw new UsageError(
      `--only: expected part of ${all.map(({ name }) => name).join(", ")}, got ${options.only}`,
    );
  const devices = await open(options.devices);
  if (!options.json) {
    console.log(machine());
    for (const device of devices) {
      const { driver, software } = deviceInfo(device);
      if (driver) console.log(`${device.name}: ${driver}${software ? " (software)" : ""}`);
    }
  }
  for (const one of cases) {
    const results = await measure(one, devices, options.rounds);
    if (options.json) for (const result of results) console.log(JSON.stringify(result));
    else show(results);
  }
  for (const device of devices) if (device instanceof GpuDevice) await device.close();
});
