/**
 * Exit codes of all commands: 0 done, 1 could not be done, 2 not understood, and one message on stderr that says why.
 */
import { spawn, spawnSync } from "node:child_process";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { beforeAll, describe, expect, test } from "vitest";
import type { Ended } from "./command-turns.ts";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const MINI = "vla/suites/mini";
const WEIGHTS = `${MINI}/checkpoint/model.safetensors`;
const ABSENT = join(tmpdir(), "nina-absent");
const CLONES = ["--libero", `${MINI}/LIBERO`, "--robosuite", `${MINI}/robosuite`];

const ENV = { ...process.env, LIBERO_ROOT: "", ROBOSUITE_ROOT: "" };
/** The time of all turns of a command on a busy machine. */
const PATIENCE = 180_000;

/** The command with each of some lists of arguments, in one process: see command-turns.ts. */
async function runInTurns(script: string, lists: readonly (readonly string[])[]): Promise<readonly Ended[]> {
  const args = ["--import", "tsx", "test/command-turns.ts", script, JSON.stringify(lists)];
  const child = spawn(process.execPath, args, { cwd: ROOT, env: ENV });
  let [stdout, stderr] = ["", ""];
  child.stdout.on("data", (part) => (stdout += part));
  child.stderr.on("data", (part) => (stderr += part));
  await new Promise((resolve) => child.on("close", resolve));
  if (stderr !== "" || stdout === "") throw new Error(`${script}: no turns, and on stderr: ${stderr}`);
  return JSON.parse(stdout);
}

const commands: Record<string, readonly [code: 1 | 2, message: string, ...args: string[]][]> = {
  "vla/eval.ts": [
    [2, "--seed: given twice", "--seed", "1", "--seed", "2"],
    [2, "--json: expected a value", "--json", ""],
    [2, "is read from clones", "--suite", "libero_10"],
    [2, "unknown suite no", "--suite", "no", ...CLONES],
    [2, "mini has no task 99", "--tasks", "99"],
    [2, "--first and --episodes: expected", "--first", "50", "--episodes", "1", "--policy", "zero"],
    [2, "--first and --episodes: expected", "--episodes", "51", "--policy", "zero"],
    [2, "expected the file of recorded actions", "--policy", "replay"],
    [2, "only --policy replay takes a file", "actions.json"],
    [2, "only --policy nina takes --checkpoint", "--policy", "zero", "--checkpoint", ABSENT],
    [1, ABSENT, "--checkpoint", ABSENT],
    [1, ABSENT, "--policy", "replay", ABSENT],
    [2, "--policy: expected nina, zero, replay, ws://host:port, or a module", "--policy", "no"],
    [2, "--policy: expected ws://host:port", "--policy", "ws://"],
    [1, "expected a module, found no file", "--policy", `${ABSENT}.ts`],
    [2, "--policy zero takes no --overlap", "--policy", "zero", "--overlap", "1"],
    [2, "--overlap: expected less than half of the 10 actions", "--overlap", "5"],
  ],
  "vla/verify.ts": [
    [2, "missing RUN"],
    [2, "--sample: expected a whole number from 1", ABSENT, "--sample", "0"],
    [1, "expected the manifest of a run", ABSENT],
  ],
  "vla/compare.ts": [
    [2, "missing B", "a"],
    [1, "expected the manifest of a run", ABSENT, ABSENT],
  ],
  "vla/fleet.ts": [
    [2, "missing COMMAND"],
    [2, "expected enqueue, work, watch, collect", "no", "run"],
    [2, "missing RUN", "watch"],
    [2, "expected the name of a run", "watch", "a:b"],
    [2, "--lost-after: expected a whole number from 1", "work", "run", "--lost-after", "0"],
  ],
  "vla/serve.ts": [
    [2, "--port: expected at most 65535", "--port", "65536"],
    [2, "--clients: expected a whole number from 1", "--clients", "0"],
    [1, ABSENT, "--checkpoint", ABSENT],
    [1, "EADDRNOTAVAIL", "--host", "203.0.113.1"],
  ],
  "vla/report.ts": [
    [2, "missing RUN"],
    [1, ABSENT, ABSENT],
  ],
  "vla/florence2/export.ts": [
    [2, "missing DIR"],
    [1, ABSENT, ABSENT, "out"],
  ],
  "vla/make-starts.ts": [
    [2, "expected --suite"],
    [2, "unknown suite no", "--suite", "no", ...CLONES],
    [2, "--rows: expected a whole number from 1", "--suite", "mini", "--rows", "0"],
  ],
  "vla/perturb/sheet.ts": [
    [2, "expected --out"],
    [2, "mini has no task 99", "--out", ABSENT, "--task", "99"],
    [2, "--init: expected initial states 0 to 49 of ", "--out", ABSENT, "--init", "50"],
  ],
  "vla/import.ts": [
    [2, "missing CKPT"],
    [2, "expected --vlm", WEIGHTS, "out"],
    [1, ABSENT, WEIGHTS, "out", "--vlm", ABSENT],
  ],
  "vla/convert.ts": [
    [2, "missing IN"],
    [2, "missing OUT", WEIGHTS],
    [2, 'got ""', "", "out.safetensors"],
    [2, "--list writes nothing", WEIGHTS, "out.safetensors", "--list"],
    [2, "--list writes nothing", WEIGHTS, "--list", "--dtype", "f16"],
    [2, "--weights ema", WEIGHTS, "--list", "--weights", "ema"],
    [2, "--dtype: expected f32, bf16, f16", WEIGHTS, "out.safetensors", "--dtype", "f64"],
    [1, ABSENT, `${ABSENT}.safetensors`, "--list"],
  ],
  "vla/pretrain.ts": [
    [2, "expected --data"],
    [2, "expected --scenes", "--data", ABSENT],
    [
      2,
      "--share: expected room for both",
      "--data",
      ABSENT,
      "--scenes",
      ABSENT,
      "--out",
      ABSENT,
      "--share",
      "1",
    ],
    [1, ABSENT, "--data", ABSENT, "--scenes", ABSENT, "--out", ABSENT],
  ],
  "vla/collect.ts": [
    [2, "is read from clones", "--suite", "libero_goal", "--out", ABSENT],
    [2, "expected --out"],
    [2, "--size: expected a whole number from 16", "--out", ABSENT, "--size", "8"],
    [2, "--noise: expected a number from 0", "--out", ABSENT, "--noise=-1"],
    [2, "mini has no task 11", "--out", ABSENT, "--tasks", "11"],
    [2, "--policy-share: expected --checkpoint", "--out", ABSENT, "--policy-share", "1"],
    [2, "either --checkpoint or --random", "--out", ABSENT, "--random", "--checkpoint", ABSENT],
    [1, ABSENT, "--out", ABSENT, "--checkpoint", ABSENT],
  ],
  "vla/train.ts": [
    [
      1,
      "gpu:webgl2: WebGL 2 is for browsers",
      ...["--data", "--encoder", "--out"].flatMap((name) => [name, ABSENT]),
      "--device",
      "gpu:webgl2",
    ],
    [2, "expected --encoder", "--data", ABSENT],
    [2, "expected --out", "--encoder", ABSENT],
    [2, "expected either --data or --libero-data", "--encoder", ABSENT, "--out", ABSENT],
    [2, "--accumulate: expected a divisor of 32", "--encoder", ABSENT, "--out", ABSENT, "--accumulate", "5"],
    [
      2,
      "--preset: flower comes as mini",
      "--encoder",
      ABSENT,
      "--out",
      ABSENT,
      "--decoder",
      "flower",
      "--preset",
      "x",
    ],
    [1, ABSENT, "--data", ABSENT, "--encoder", ABSENT, "--out", ABSENT],
  ],
  "vla/likelihood.ts": [
    [2, "expected --out"],
    [2, "mini has no task 99", "--out", ABSENT, "--tasks", "99"],
    [2, "--first and --episodes: expected", "--out", ABSENT, "--tasks", "0", "--first", "50"],
    [1, ABSENT, "--out", ABSENT, "--checkpoint", ABSENT],
  ],
  "vla/experiments.ts": [
    [2, "expected --data"],
    [2, "expected --encoder", "--data", ABSENT],
    [2, "expected --out", "--data", ABSENT, "--encoder", ABSENT],
    [2, "--only: expected names", "--data", "a", "--encoder", "b", "--out", ABSENT, "--only", "mlp"],
    [1, ABSENT, "--data", ABSENT, "--encoder", ABSENT, "--out", ABSENT],
  ],
  "vla/results.ts": [
    [2, "missing RUNS"],
    [1, ABSENT, ABSENT],
  ],
  "vla/inspect.ts": [
    [2, "missing PATH"],
    [2, "--episodes: expected a whole number from 1", ABSENT, "--episodes", "0"],
    [1, ABSENT, ABSENT],
  ],
  "vla/cache.ts": [[2, "--clean", "--clean"]],
  "flows/certify.ts": [
    [2, "expected CHECKPOINT, --flow, or both"],
    [2, "--points: expected a whole number from 1", WEIGHTS, "--points", "0"],
    [2, "--seed: expected a whole number from 0", WEIGHTS, "--seed", "1e3"],
    [1, ABSENT, ABSENT],
  ],
  "test/parity.ts": [
    [2, "missing SUITE"],
    [2, "expected nina, florence2, libero", "constructor", "."],
    [2, ABSENT, "nina", ABSENT],
  ],
  "benchmarks/kernels.ts": [
    [2, "--only: expected part of gemv", "--only", "flop"],
    [2, "--rounds: expected a whole number from 1", "--rounds", "0"],
    [2, "--threads: expected a whole number from 1", "--threads", "two"],
  ],
  "benchmarks/products.ts": [
    [2, "--sizes: expected K x N as in 256x1024", "--sizes", "256x"],
    [2, "--rows: expected whole numbers from 1", "--rows", "0"],
    [2, "--seconds: expected a whole number from 1", "--seconds", "0"],
  ],
  "benchmarks/decode.ts": [
    [2, "--only: expected part of NinA", "--only", "diffusion"],
    [2, "--batch: expected whole numbers from 1", "--batch", "1,0"],
    [2, "--rounds: expected a whole number from 1", "--rounds=-1"],
  ],
  "benchmarks/encoder.ts": [
    [2, "--model: expected base, large", "--model", "huge"],
    [2, "--batch: expected whole numbers from 1", "--batch", "0"],
    [2, "--rounds: expected a whole number from 1", "--rounds", "0"],
  ],
  "benchmarks/backward.ts": [
    [2, "--model: expected base, large", "--model", "huge"],
    [2, "--keep: expected recompute, everything", "--keep", "half"],
    [2, "--batch: expected a whole number from 1", "--batch", "0"],
  ],
  "benchmarks/memory.ts": [
    [2, "--model: expected base, large", "--model", "huge"],
    [2, "--weights: expected float32, bfloat16, int8", "--weights", "int4"],
    [2, "--lengths: expected a whole number from 1", "--lengths", "0"],
  ],
  "benchmarks/checkpoints.ts": [
    [2, "missing FOLDER"],
    [2, "--rounds: expected a whole number from 1", ABSENT, "--rounds", "0"],
    [1, ABSENT, ABSENT],
  ],
  "benchmarks/training.ts": [
    [2, "--only: expected part of nina", "--only", "diffusion"],
    [2, "--data and --scenes: expected both, or none", "--data", ABSENT],
    [2, "--threads: expected a whole number from 1", "--threads", "0"],
  ],
  "benchmarks/device.ts": [
    [2, "--only: expected part of decode", "--only", "diffusion"],
    [2, "--devices: expected some of cpu", "--devices", "tpu"],
  ],
  "benchmarks/data.ts": [
    [2, "--batch: expected a whole number from 1", ABSENT, "--batch", "0"],
    [1, ABSENT, ABSENT],
  ],
  "benchmarks/pictures.ts": [[2, "--rounds: expected a whole number from 1", "--rounds", "0"]],
  "benchmarks/environment.ts": [
    [2, "--steps: expected a whole number from 1", "--steps", "0"],
    [2, "--only: expected open, reset", "--only", "close"],
    [2, "--suite and --task together", "--suite", "mini"],
  ],
  "benchmarks/render.ts": [
    [2, "--size: expected whole numbers from 1", "--size", "64,"],
    [2, "--frames: expected a whole number from 1", "--frames", "0"],
    [2, "--libero and --robosuite together", "--libero", `${MINI}/LIBERO`],
    [2, "mini has no task 11", ...CLONES, "--suite", "mini", "--task", "11"],
    [2, "unknown suite libero_spatial", ...CLONES],
    [1, ABSENT, "--libero", ABSENT, "--robosuite", ABSENT],
  ],
  "vla/experts/run.ts": [
    [2, "--episodes: expected a whole number from 1", "--episodes", "0"],
    [2, "is read from clones", "--suite", "libero_goal"],
    [2, "mini has no task 11", "--tasks", "11"],
  ],
};

/** A line; names to choose from may follow, each on its own. */
const ONE_MESSAGE = /^\w+: .+\n( {2}\d+ \w+\n)*$/;

describe.each(Object.entries(commands))("%s", (script, refusals) => {
  const lists = [...refusals.map(([, , ...args]) => args), ["--help"]];
  let turns: readonly Ended[];
  beforeAll(async () => {
    turns = await runInTurns(script, lists);
  }, PATIENCE);

  test.each(refusals.map(([code, message], i) => [code, message, i] as const))(
    "exits with %d: %s",
    (expected, message, i) => {
      const { code, stdout, stderr } = turns[i];
      expect(stderr).toContain(message);
      expect(stderr).toMatch(ONE_MESSAGE);
      expect({ code, stdout }).toEqual({ code: expected, stdout: "" });
    },
  );

  test("prints its help and exits with 0", () => {
    const { code, stdout, stderr } = turns[refusals.length];
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout).toMatch(new RegExp(`^Usage: npx tsx ${script}`));
  });
});

// With bash, for redirections, but without the startup file that it reads when its input is a socket, as here.
test.each(["vla/eval.ts", "flows/certify.ts", "benchmarks/kernels.ts"])(
  "%s says in one line that its output cannot be written",
  (script) => {
    const line = `"$@" --help > /dev/full`;
    const command = ["--norc", "-c", line, "bash", process.execPath, "--import", "tsx", script];
    const { status, stderr } = spawnSync("bash", command, { cwd: ROOT, env: ENV, encoding: "utf8" });
    expect({ status, stderr }).toEqual({
      status: 1,
      stderr: "Error: stdout cannot be written: ENOSPC: no space left on device, write\n",
    });
  },
);
