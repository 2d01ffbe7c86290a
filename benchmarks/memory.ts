/**
 * How much memory does a policy with a full-size encoder take, from its weights to twelve instructions of twelve
 * lengths?
 *
 *     npx tsx benchmarks/memory.ts                      large, in every format of weights
 *     npx tsx benchmarks/memory.ts --json               one object per line
 *     … --model base --weights int8 --lengths 3         some of it
 *
 * Weights are made by a formula, those of the full-size goldens, and loaded as from a file, piece by piece. The policy
 * is NinaModel on pictures of 112 × 112 pixels, with a small MLP decoder. Each format is measured in a process of its
 * own: its peak is all that the process ever took, Node included, and the limit what an evaluation on LIBERO is to stay
 * below.
 */
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import ndarray from "ndarray";
import { parseCli, runMain } from "../cli/index.ts";
import { heapUsage, Random, WEIGHT_BYTES, type WeightFormat } from "../core/index.ts";
import { loadCheckpoint } from "../vla/checkpoint.ts";
import { makeDecoder } from "../vla/decoders.ts";
import { EMBEDDED } from "../vla/eval/options.ts";
import { type FlorenceConfig, florenceBase, florenceLarge } from "../vla/florence2/config.ts";
import { loadFlorence2 } from "../vla/florence2/weights.ts";
import type { Observation } from "../vla/observation.ts";
import { NinaModel } from "../vla/policies/nina-model.ts";
import { generatedTensors } from "./generated-weights.ts";
import { machine } from "./measure.ts";

const MODELS: Readonly<Record<string, FlorenceConfig>> = { base: florenceBase, large: florenceLarge };
const FORMATS = Object.keys(WEIGHT_BYTES) as WeightFormat[];
/** Megabytes that an evaluation with the large encoder is to stay below. */
const LIMITS: Readonly<Record<WeightFormat, number>> = { float32: 2700, bfloat16: 1500, int8: 900 };
const PIXELS = 112;

await runMain(async () => {
  const { model, weights, lengths, json } = parseCli(
    {
      usage: "npx tsx benchmarks/memory.ts [options]",
      description: "Measures what a policy with a full-size encoder takes, in every format of weights.",
      options: {
        model: {
          type: "string",
          default: "large",
          choices: Object.keys(MODELS),
          help: "size of the encoder",
        },
        weights: { type: "string", choices: FORMATS, help: "one format" },
        lengths: {
          type: "integer",
          least: 1,
          default: 12,
          help: "number of instructions, each longer than the last",
        },
        json: { type: "boolean", help: "one JSON object per line" },
      },
    },
    process.argv.slice(2),
  );
  if (weights) await measure(model, weights, lengths, json);
  else {
    if (!json) console.log(machine());
    for (const format of FORMATS) inOwnProcess(format);
  }
});

/** The same command for one format. */
function inOwnProcess(format: WeightFormat): void {
  const script = fileURLToPath(import.meta.url);
  const args = [...process.execArgv, script, ...process.argv.slice(2), "--weights", format];
  const { status } = spawnSync(process.execPath, args, { stdio: "inherit" });
  if (status !== 0) throw new Error(`${format}: its process ended with code ${status}`);
}

async function measure(name: string, format: WeightFormat, lengths: number, json: boolean): Promise<void> {
  const embedded = loadCheckpoint(EMBEDDED.checkpoint);
  const live = (): number => heapUsage().live / 1e6;
  const before = live();
  const start = performance.now();
  const florence = loadFlorence2(MODELS[name], generatedTensors(MODELS[name], 0), "", format);
  const load_ms = performance.now() - start;
  const [weights_mb, loaded_mb] = [live() - before, peak()];

  const decoder = makeDecoder({ ...embedded.config.decoder, features: MODELS[name].d_model });
  decoder.init(new Random(0));
  const perception = { ...embedded.config.perception, imageSize: PIXELS, promptLength: null };
  const model = new NinaModel("memory", {
    ...embedded,
    florence,
    decoder,
    config: { ...embedded.config, perception },
  });
  const policy = model.policy();
  const begun = performance.now();
  for (let i = 0; i < lengths; i++) model.prepare("pick up the bowl" + " and place it".repeat(i));
  const first = live();
  const times: number[] = [];
  for (let i = 0; i < lengths; i++) {
    const at = performance.now();
    await policy.act(seen(), "pick up the bowl" + " and place it".repeat(i));
    times.push(performance.now() - at);
  }
  const plans_mb = live() - first;
  const act_ms = (performance.now() - begun) / lengths;
  const result = { bench: "memory", model: name, weights: format, lengths, weights_mb, plans_mb };
  const all = { ...result, load_ms, act_ms, loaded_mb, peak_mb: peak() };
  if (json) console.log(JSON.stringify(all));
  else print(all, name === "large" ? LIMITS[format] : null);
}

/** The most that the process ever took, in megabytes. */
function peak(): number {
  return (process.resourceUsage().maxRSS * 1024) / 1e6;
}

function seen(): Observation {
  const picture = ndarray(new Uint8Array(PIXELS * PIXELS * 3).fill(90), [PIXELS, PIXELS, 3]);
  return {
    agentview_image: picture,
    robot0_eye_in_hand_image: picture,
    robot0_joint_pos: new Float64Array(7),
    robot0_eef_pos: new Float64Array(3),
    robot0_eef_quat: new Float64Array(4),
    robot0_gripper_qpos: new Float64Array(2),
  };
}

interface Row {
  readonly weights: WeightFormat;
  readonly lengths: number;
  readonly weights_mb: number;
  readonly plans_mb: number;
  readonly loaded_mb: number;
  readonly peak_mb: number;
  readonly load_ms: number;
  readonly act_ms: number;
}

function print(row: Row, limit: number | null): void {
  const mb = (x: number): string => `${x.toFixed(0)} MB`;
  console.log(
    `${row.weights}: weights ${mb(row.weights_mb)}, ${row.lengths} plans ${mb(row.plans_mb)}; peak ${mb(row.loaded_mb)} loaded, ` +
      `${mb(row.peak_mb)} after all${limit === null ? "" : `, limit ${mb(limit)}`}; ` +
      `loaded in ${row.load_ms.toFixed(0)} ms, ${row.act_ms.toFixed(0)} ms per first act`,
  );
}
