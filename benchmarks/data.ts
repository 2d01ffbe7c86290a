/**
 * How many examples per second reach a training step?
 *
 *   npx tsx benchmarks/data.ts DATA [--size 64] [--batch 32] [--json]
 *
 * DATA: demonstrations, a file or a folder. Batches of augmented pictures of both cameras and chunks of ten actions,
 * made where they are used and by a thread, with pictures in memory and read from disk. Wall and processor time are
 * those of the whole process, which does nothing else: training that takes n examples per second spends n times the
 * second on its data. With --json one line per case: {bench, case, who, threads, dtype, min_ms, median_ms, cpu_ms}, per
 * batch.
 */
import { type CliSchema, parseCli, runMain } from "../cli/index.ts";
import { BatchMaker, type BatchSettings } from "../vla/data/batch.ts";
import { BatchStream } from "../vla/data/batch-stream.ts";
import { ExampleSet } from "../vla/data/example-set.ts";
import { type Contender, interleaved, machine } from "./measure.ts";

const SCHEMA = {
  usage: "npx tsx benchmarks/data.ts DATA [options]",
  description: "Times batches of demonstrations: how many examples per second, at what cost.",
  positionals: { DATA: "a .hdf5 file in LIBERO's layout, or a folder of *_demo.hdf5" },
  options: {
    size: { type: "integer", least: 1, default: 64, help: "side of the encoder's pictures, pixels" },
    batch: { type: "integer", least: 1, default: 32, help: "examples per batch" },
    json: { type: "boolean", help: "one JSON object per line" },
  },
} as const satisfies CliSchema;

await runMain(async () => {
  const { size, batch, json, positionals } = parseCli(SCHEMA, process.argv.slice(2));
  const settings: BatchSettings = {
    seed: 1,
    size: batch,
    imageSize: size,
    augmentation: { pads: { agentview: 4, wrist: 3 }, gain: [0.85, 1.15] },
  };
  const open = (memory?: number): Promise<ExampleSet> =>
    ExampleSet.open({ path: positionals.DATA, pairing: "causal", horizon: 10, memory });
  using kept = await open();
  using onDisk = await open(0);
  using stream = new BatchStream(kept, settings);

  const making = (who: string, set: ExampleSet): Contender => {
    const maker = new BatchMaker(set, settings);
    const arrays = maker.allocate();
    let number = 0;
    return {
      who,
      threads: 1,
      dtype: "float32",
      run: () => void maker.make(number++, arrays),
    };
  };
  const threaded: Contender = {
    who: "a thread, in memory",
    threads: 2,
    dtype: "float32",
    run: async () => void (await stream.next()),
  };
  const inMemory = [making("pictures in memory", kept), threaded];
  // An epoch first: from then on all pictures that fit are in memory.
  for (const { run } of inMemory) for (let k = 0; k < kept.count / batch; k++) await run();
  const contenders = [...inMemory, making("pictures on disk", onDisk)];
  const name = `${kept.count} examples, ${kept.cameraSize} px → ${size} px, batch ${batch}`;
  const results = await interleaved("data", name, contenders, { slice: 300 });
  if (json) {
    for (const result of results) console.log(JSON.stringify(result));
    return;
  }
  console.log(`${name}\n${machine()}\n`);
  console.log("                      examples/s   processor time per example, ms");
  for (const { who, median_ms, cpu_ms } of results) {
    const rate = (1000 * batch) / median_ms;
    console.log(
      `${who.padEnd(20)}${rate.toFixed(0).padStart(12)}${(cpu_ms / batch).toFixed(3).padStart(12)}`,
    );
  }
});
