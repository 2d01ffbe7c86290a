/**
 * What does an environment cost: to open, to reset, to step, with pictures and without?
 *
 *     npx tsx benchmarks/environment.ts                                       the embedded suite
 *     npx tsx benchmarks/environment.ts --libero CLONE --robosuite CLONE      libero_spatial 0, libero_object 0, libero_10 0
 *     … --suite libero_goal --task 3 --only pictures                          some of it
 *
 * Steps are those of an arm that wanders about, each sees what has moved since the one before. Milliseconds, the least
 * and the median; one thread, but for the last rows, which play in one process and in two at a time. Memory is what
 * four more environments take on average when they are opened and played in a process that has one. With --json one line per row.
 */
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { type CliSchema, parseCli, runMain, UsageError } from "../cli/index.ts";
import { composeScene } from "../vla/libero/compose/scene.ts";
import { LiberoEnv } from "../vla/libero/env.ts";
import { readInitStates } from "../vla/libero/init-states.ts";
import { createRenderer } from "../vla/libero/render/renderer.ts";
import type { Scene } from "../vla/libero/scene.ts";
import { findTask, loadSuite } from "../vla/libero/suites.ts";
import { MINI, miniRoots } from "../vla/suites/mini/roots.ts";
import { machine, wholeNumbers } from "./measure.ts";

const ROWS = ["open", "reset", "blind", "pictures", "memory", "workers"] as const;
type Row = (typeof ROWS)[number];

const SCHEMA = {
  usage: "npx tsx benchmarks/environment.ts [options]",
  description:
    "Times opening, resetting and stepping of the embedded suite or, given clones, of LIBERO tasks.",
  options: {
    libero: { type: "string", help: "folder of a LIBERO clone" },
    robosuite: { type: "string", help: "folder of a robosuite clone; needed with --libero" },
    suite: { type: "string", help: "one suite; needs --task" },
    task: { type: "integer", least: 0, help: "index of its task" },
    size: { type: "string", default: "128,224", help: "sides of the pictures, pixels" },
    steps: { type: "integer", least: 1, default: 40, help: "control steps, and resets, per row" },
    only: { type: "string", choices: ROWS, help: "one kind of row" },
    json: { type: "boolean", help: "one JSON object per line" },
  },
} as const satisfies CliSchema;

/** A task made ready: its scene, and the state its episodes start from. */
interface Case {
  readonly name: string;
  readonly scene: Scene;
  readonly start: Float64Array;
}

interface Options {
  readonly steps: number;
  readonly sizes: readonly number[];
  readonly json: boolean;
}

await runMain(async () => {
  const { libero, robosuite, suite, task, size, only, ...rest } = parseCli(SCHEMA, process.argv.slice(2));
  if ((libero === undefined) !== (robosuite === undefined))
    throw new UsageError("expected --libero and --robosuite together, got only one");
  if ((suite === undefined) !== (task === undefined))
    throw new UsageError("expected --suite and --task together, got only one");
  const roots = libero !== undefined && robosuite !== undefined ? { libero, robosuite } : miniRoots;
  const every = roots === miniRoots ? [MINI] : ["libero_spatial", "libero_object", "libero_10"];
  const chosen =
    suite === undefined ? every.map((name) => [name, 0] as const) : [[suite, task ?? 0] as const];
  const options: Options = { ...rest, sizes: wholeNumbers("size", size) };
  const cache = mkdtempSync(join(tmpdir(), "nina-environment-"));
  try {
    if (!options.json) {
      console.log(machine());
      console.log(`${"case".padEnd(52)}${"min ms".padStart(9)}${"median ms".padStart(11)}`);
    }
    for (const [suiteName, index] of chosen) {
      const found = findTask(loadSuite(roots.libero, suiteName), index);
      const bench: Case = {
        name: `${suiteName}/${index}`,
        scene: composeScene({ ...roots, task: found }),
        start: readInitStates(found.initPath)[0],
      };
      for (const row of only === undefined ? ROWS : [only as Row]) {
        if (row === "open") await opening(bench, options, cache);
        else if (row === "reset") await resetting(bench, options, cache);
        else if (row === "blind") await blind(bench, options, cache);
        else if (row === "pictures")
          for (const size of options.sizes) await withPictures(bench, size, options, cache);
        else if (row === "memory") await memory(bench, options, cache);
        else await workers(bench, options, roots, suiteName, index);
      }
    }
  } finally {
    rmSync(cache, { recursive: true });
  }
});

/** An environment in its first state, its pictures of `size` pixels. */
async function openCase(
  { scene, start }: Case,
  cacheFolder: string | null,
  size: number,
): Promise<LiberoEnv> {
  const env = await LiberoEnv.open(scene, { cacheFolder, renderer: createRenderer, imageSize: size });
  begin(env, start);
  return env;
}

function begin(env: LiberoEnv, start: Float64Array): void {
  env.start({ seed: 0, state: start });
}

/** Up to the first pictures: compiled anew, then taken from the cache. */
async function opening(bench: Case, { json, sizes }: Options, cache: string): Promise<void> {
  for (const [what, folder] of [
    ["first open", null],
    ["", cache],
    ["cached open", cache],
  ] as const) {
    const begun = performance.now();
    const env = await openCase(bench, folder, sizes[0]);
    env.observe();
    const took = performance.now() - begun;
    env[Symbol.dispose]();
    if (what) report(`${bench.name} ${what}`, [took], json);
  }
}

async function resetting(bench: Case, { steps, json, sizes }: Options, cache: string): Promise<void> {
  using env = await openCase(bench, cache, sizes[0]);
  report(
    `${bench.name} reset`,
    timed(steps, () => begin(env, bench.start)),
    json,
  );
}

async function blind(bench: Case, { steps, json, sizes }: Options, cache: string): Promise<void> {
  using env = await openCase(bench, cache, sizes[0]);
  report(
    `${bench.name} step`,
    timed(steps, (i) => env.advance(wander(i))),
    json,
  );
}

async function withPictures(
  bench: Case,
  size: number,
  { steps, json }: Options,
  cache: string,
): Promise<void> {
  using env = await openCase(bench, cache, size);
  report(
    `${bench.name} step, both cameras at ${size}`,
    timed(steps, (i) => env.step(wander(i))),
    json,
  );
}

/** What an arm that wanders about is told at a step. */
function wander(i: number): number[] {
  return [Math.sin(i / 9) / 3, Math.cos(i / 7) / 3, -0.1, 0, 0, 0, -1];
}

/** Milliseconds of each call, after three to warm up. */
function timed(count: number, call: (i: number) => unknown): number[] {
  const times: number[] = [];
  for (let i = -3; i < count; i++) {
    const begun = performance.now();
    call(i);
    if (i >= 0) times.push(performance.now() - begun);
  }
  return times;
}

async function memory(bench: Case, { json, sizes }: Options, cache: string): Promise<void> {
  const more = 4;
  const play = async (): Promise<LiberoEnv> => {
    const env = await openCase(bench, cache, sizes[0]);
    for (let i = 0; i < 5; i++) env.step(wander(i));
    return env;
  };
  const envs = [await play()];
  const before = process.memoryUsage.rss();
  while (envs.length <= more) envs.push(await play());
  const megabytes = (process.memoryUsage.rss() - before) / more / 1e6;
  for (const env of envs) env[Symbol.dispose]();
  if (json)
    console.log(JSON.stringify({ ...line(`${bench.name} memory`), megabytes: Math.round(megabytes) }));
  else console.log(`${`${bench.name} memory of one more, MB`.padEnd(52)}${megabytes.toFixed(0).padStart(9)}`);
}

/** Control steps a second with both cameras, one process and two at the same time. */
async function workers(
  { name }: Case,
  { steps, json, sizes }: Options,
  roots: typeof miniRoots,
  suite: string,
  task: number,
): Promise<void> {
  const args = ["--suite", suite, "--task", `${task}`, "--size", `${sizes[0]}`, "--steps", `${steps}`];
  const clones = roots === miniRoots ? [] : ["--libero", roots.libero, "--robosuite", roots.robosuite];
  const alone = async (): Promise<number> => {
    const script = fileURLToPath(import.meta.url);
    const command = [...process.execArgv, script, ...args, ...clones, "--only", "pictures", "--json"];
    const child = spawn(process.execPath, command, { stdio: ["ignore", "pipe", "inherit"] });
    return 1000 / JSON.parse(await text(child.stdout)).median_ms;
  };
  for (const count of [1, 2]) {
    const rates = await Promise.all(Array.from({ length: count }, alone));
    const rate = rates.reduce((sum, each) => sum + each, 0);
    const what = `${name} steps a second, both cameras at ${sizes[0]}, ${count} at once`;
    if (json) console.log(JSON.stringify({ ...line(what), per_second: Math.round(10 * rate) / 10 }));
    else console.log(`${what.padEnd(60)}${rate.toFixed(1).padStart(12)}`);
  }
}

function line(what: string): object {
  return { bench: "environment", case: what, who: "ours", threads: 1 };
}

function report(what: string, times: readonly number[], json: boolean): void {
  const sorted = times.toSorted((a, b) => a - b);
  const [min, median] = [sorted[0], sorted[sorted.length >> 1]];
  if (json) {
    const round = (ms: number): number => Math.round(1000 * ms) / 1000;
    console.log(JSON.stringify({ ...line(what), min_ms: round(min), median_ms: round(median) }));
  } else console.log(`${what.padEnd(52)}${min.toFixed(1).padStart(9)}${median.toFixed(1).padStart(11)}`);
}
