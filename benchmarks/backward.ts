/**
 * Do the gradients of a whole Florence-2 at full size fit the memory, and how long do they take?
 *
 *     npx tsx benchmarks/backward.ts                      base and large, with checkpointing and without
 *     npx tsx benchmarks/backward.ts --json               one object per line
 *     … --model large --keep recompute --batch 1          some of it
 *
 * Weights are made by a formula, those of the full-size goldens. One forward pass from two pictures of 112 × 112 pixels
 * and a prompt of 35 tokens, then the way back to every parameter; in training mode, so masks are drawn too. The
 * weights of `large` and all its gradients together are more than the heap holds: `eachGradient` hands them over one by
 * one, and here they are measured and let go. Each case has a process of its own, which tells its peak memory.
 */
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { parseCli, runMain } from "../cli/index.ts";
import { eachGradient, heapUsage, Random, Scope, setThreads, spinning, Tensor } from "../core/index.ts";
import { withMasks } from "../nn/index.ts";
import { type FlorenceConfig, florenceBase, florenceLarge } from "../vla/florence2/config.ts";
import { Florence2 } from "../vla/florence2/model.ts";
import { generate } from "./generated-weights.ts";
import { machine } from "./measure.ts";

const MODELS: Readonly<Record<string, FlorenceConfig>> = { base: florenceBase, large: florenceLarge };
const KEEPS = ["recompute", "everything"] as const;
const [PIXELS, PROMPT] = [112, 35];

await runMain(() => {
  const { model, keep, batch, threads, json } = parseCli(
    {
      usage: "npx tsx benchmarks/backward.ts [options]",
      description: "Times one way back through Florence-2's encoder at full size, and tells its peak memory.",
      options: {
        model: { type: "string", choices: ["base", "large"], help: "one of them" },
        keep: { type: "string", choices: KEEPS, help: "what the forward pass keeps: little, or everything" },
        batch: { type: "integer", least: 1, default: 1, help: "examples" },
        threads: { type: "integer", least: 1, default: 1, help: "that compute" },
        json: { type: "boolean", help: "one JSON object per line" },
      },
    },
    process.argv.slice(2),
  );
  if (model && keep) {
    measure(model, keep === "recompute", batch, threads, json);
    return;
  }
  if (!json) console.log(machine());
  for (const name of model ? [model] : Object.keys(MODELS))
    for (const kept of keep ? [keep] : KEEPS)
      inOwnProcess([...(model ? [] : ["--model", name]), ...(keep ? [] : ["--keep", kept])]);
});

/** The same command with what makes it one case. */
function inOwnProcess(more: readonly string[]): void {
  const args = [...process.execArgv, fileURLToPath(import.meta.url), ...process.argv.slice(2), ...more];
  const { status } = spawnSync(process.execPath, args, { stdio: "inherit" });
  if (status !== 0) throw new Error(`${more.join(" ")}: its process ended with code ${status}`);
}

/** Seconds by the clock, and of the processor, all threads together. */
function clock(): { wall: number; cpu: number } {
  const { user, system } = process.cpuUsage();
  return { wall: performance.now() / 1000, cpu: (user + system) / 1e6 };
}

function show(wall: number, cpu: number): string {
  return `${wall.toFixed(2)} s (processor ${cpu.toFixed(2)})`;
}

function measure(name: string, checkpointed: boolean, batch: number, threads: number, json: boolean): void {
  setThreads(threads);
  const model = generate(new Florence2(MODELS[name]), 0).train().checkpoint(checkpointed);
  using _ = new Scope();
  const random = new Random(1);
  const pictures = [1, 2].map(() => random.normals([batch, 3, PIXELS, PIXELS]));
  const ids = Int32Array.from({ length: batch * PROMPT }, (_, i) => 4 + ((37 * i) % 50_000));
  const words = Tensor.from(ids, [batch, PROMPT], "int32");
  const parameters = model.parameters();
  const weights = heapUsage().live;

  const began = clock();
  const [loss, kept] = spinning(() => {
    const features = withMasks(new Random(2), () => model.forward(pictures, words));
    return [features.square().mean(), heapUsage().live - weights];
  });
  const turned = clock();
  let [gradients, squares, most] = [0, 0, 0];
  spinning(() =>
    eachGradient(loss, parameters, (gradient) => {
      gradients++;
      squares += gradient.norm().item() ** 2;
      most = Math.max(most, heapUsage().live - weights);
    }),
  );
  const ended = clock();
  const gigabytes = (bytes: number): number => Number((bytes / 1e9).toFixed(2));
  const result = {
    bench: "backward",
    case: name,
    keep: checkpointed ? "recompute" : "everything",
    batch,
    threads,
    forward_s: turned.wall - began.wall,
    backward_s: ended.wall - turned.wall,
    forward_cpu_s: turned.cpu - began.cpu,
    backward_cpu_s: ended.cpu - turned.cpu,
    weights_gb: gigabytes(weights),
    kept_gb: gigabytes(kept),
    most_beside_gb: gigabytes(most),
    peak_rss_gb: gigabytes(1024 * process.resourceUsage().maxRSS),
    gradients,
    of: parameters.length,
    norm: Math.sqrt(squares),
  };
  if (json) {
    console.log(JSON.stringify(result));
    return;
  }
  console.log(
    `${name.padEnd(6)} batch ${batch} ×${threads}  keeps ${result.keep.padEnd(10)}  ` +
      `forward ${show(result.forward_s, result.forward_cpu_s)}, ` +
      `back ${show(result.backward_s, result.backward_cpu_s)}  weights ${result.weights_gb} GB, ` +
      `kept ${result.kept_gb}, at most ${result.most_beside_gb} beside them; peak RSS ${result.peak_rss_gb} GB\n` +
      `       ${gradients} gradients of ${parameters.length} parameters, norm ${result.norm.toPrecision(6)}`,
  );
}
