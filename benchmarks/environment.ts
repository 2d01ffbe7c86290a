/**
 * What does an environment cost: to open, to reset, to step, with pictures and without?
 *
 *     npx tsx benchmarks/environment.ts                                       the embedded suite
 *     npx tsx benchmarks/environment.ts --libero CLONE --robosuite CLONE      it, libero_spatial 0, libero_object 0, libero_10 0
 *     … --suite libero_goal --task 3 --only pictures                          some of it
 *
 * Prints each figure as it is taken, in milliseconds the least and the median, and at the end one table; with --json
 * one line per figure. Steps are those of an arm that wanders about, each sees what has moved since the one before. One
 * thread, but for the last rows, which play in one process and in two at a time. Memory is what two more environments
 * take on average that are opened and played in a process of their own which has one.
 */
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { type CliSchema, parseCli, runMain, UsageError } from "../cli/index.ts";
import { renderTable } from "../vla/eval/table.ts";
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
    "Times opening, resetting and stepping of the embedded suite and, given clones, of LIBERO tasks.",
  options: {
    libero: { type: "string", help: "folder of a LIBERO clone" },
    robosuite: { type: "string", help: "folder of a robosuite clone; needed with --libero" },
    suite: { type: "string", help: "one suite; needs --task" },
    task: { type: "integer", least: 0, help: "index of its task" },
    size: { type: "string", default: "128,224", help: "sides of the pictures, pixels" },
    steps: { type: "integer", least: 1, default: 40, help: "control steps, and resets, per row" },
    only: { type: "string", choices: ROWS, help: "one kind of row" },
    cache: { type: "string", help: "folder of compiled models; otherwise one that is removed at the end" },
    json: { type: "boolean", help: "one JSON object per line" },
  },
} as const satisfies CliSchema;

type Roots = typeof miniRoots;

/** A task made ready: its scene, and the state its episodes start from. */
interface Case {
  readonly name: string;
  readonly scene: Scene;
  readonly start: Float64Array;
  /** How another process is told which task it is. */
  readonly args: readonly string[];
}

interface Options {
  readonly steps: number;
  readonly sizes: readonly number[];
  readonly json: boolean;
  /** Where compiled models are. */
  readonly cache: string;
}

/** What was measured of one case: a line of the table, under its title. */
type Line = Map<string, string>;

/** Cached models are opened so often. */
const OPENED = 5;
/** Environments that are opened beside the first one, to see what they take. */
const MORE = 2;

const MEASURES: Readonly<Record<Row, (bench: Case, options: Options, line: Line) => Promise<void>>> = {
  open: opening,
  reset: resetting,
  blind,
  pictures: withPictures,
  memory,
  workers,
};

await runMain(async () => {
  const { libero, robosuite, suite, task, size, only, cache, ...rest } = parseCli(
    SCHEMA,
    process.argv.slice(2),
  );
  if ((libero === undefined) !== (robosuite === undefined))
    throw new UsageError("expected --libero and --robosuite together, got only one");
  if ((suite === undefined) !== (task === undefined))
    throw new UsageError("expected --suite and --task together, got only one");
  const clones = libero !== undefined && robosuite !== undefined ? { libero, robosuite } : null;
  const folder = cache ?? mkdtempSync(join(tmpdir(), "nina-environment-"));
  const options: Options = { ...rest, sizes: wholeNumbers("size", size), cache: folder };
  try {
    if (!options.json) {
      console.log(machine());
      console.log(`${"case".padEnd(60)}${"min ms".padStart(9)}${"median ms".padStart(11)}`);
    }
    const table = new Map<string, Line>();
    for (const bench of casesOf(clones, suite, task)) {
      const line: Line = new Map();
      table.set(bench.name, line);
      for (const row of only === undefined ? ROWS : [only as Row]) await MEASURES[row](bench, options, line);
    }
    if (!options.json) console.log(`\n${tableOf(table)}`);
  } finally {
    if (cache === undefined) rmSync(folder, { recursive: true });
  }
});

function casesOf(clones: Roots | null, suite: string | undefined, task = 0): Case[] {
  const every = clones === null ? [] : ["libero_spatial", "libero_object", "libero_10"];
  return (suite === undefined ? [...every, MINI] : [suite]).map((name) => {
    const roots = clones === null || name === MINI ? miniRoots : clones;
    const found = findTask(loadSuite(roots.libero, name), task);
    const where = roots === miniRoots ? [] : ["--libero", roots.libero, "--robosuite", roots.robosuite];
    return {
      name: `${name} ${task}`,
      scene: composeScene({ ...roots, task: found }),
      start: readInitStates(found.initPath)[0],
      args: ["--suite", name, "--task", `${task}`, ...where],
    };
  });
}

/** An environment in its first state, its pictures of `size` pixels. */
async function openCase(
  { scene, start }: Case,
  cacheFolder: string | null,
  size: number,
): Promise<LiberoEnv> {
  const env = await LiberoEnv.open(scene, { cacheFolder, renderer: createRenderer, imageSize: size });
  env.start({ seed: 0, state: start });
  return env;
}

/** Up to the first pictures: compiled anew, then taken from the cache. */
async function opening(bench: Case, { json, sizes, cache }: Options, line: Line): Promise<void> {
  const open = async (folder: string | null): Promise<number> => {
    const begun = performance.now();
    using env = await openCase(bench, folder, sizes[0]);
    env.observe();
    return performance.now() - begun;
  };
  line.set("first open ms", report(`${bench.name} first open`, [await open(null)], json));
  await open(cache);
  const times: number[] = [];
  for (let i = 0; i < OPENED; i++) times.push(await open(cache));
  line.set("cached open ms", report(`${bench.name} cached open`, times, json));
}

async function resetting(bench: Case, { steps, json, sizes, cache }: Options, line: Line): Promise<void> {
  using env = await openCase(bench, cache, sizes[0]);
  const times = timed(steps, () => env.start({ seed: 0, state: bench.start }));
  line.set("reset ms", report(`${bench.name} reset`, times, json));
}

async function blind(bench: Case, { steps, json, sizes, cache }: Options, line: Line): Promise<void> {
  using env = await openCase(bench, cache, sizes[0]);
  const times = timed(steps, (i) => env.advance(wander(i)));
  report(`${bench.name} step`, times, json);
  line.set("steps/s blind", rate(times));
}

async function withPictures(bench: Case, { steps, json, sizes, cache }: Options, line: Line): Promise<void> {
  const stepping = async (size: number): Promise<number[]> => {
    using env = await openCase(bench, cache, size);
    return timed(steps, (i) => env.step(wander(i)));
  };
  for (const size of sizes) {
    const times = await stepping(size);
    report(`${bench.name} step, both cameras at ${size}`, times, json);
    line.set(`at ${size}`, rate(times));
  }
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

/** In a process of its own, which has compiled nothing and can be told to collect its garbage. */
async function memory(bench: Case, options: Options, line: Line): Promise<void> {
  if (globalThis.gc) return measureMemory(bench, options, globalThis.gc);
  (await openCase(bench, options.cache, options.sizes[0]))[Symbol.dispose](); // so that it is in the cache
  const { cold_ms: cold, megabytes } = await elsewhere(bench, options, "memory", ["--expose-gc"]);
  line.set("in a new process ms", report(`${bench.name} cached open in a new process`, [cold], options.json));
  const what = `${bench.name} memory of one more, MB`;
  line.set("one more MB", amount(what, "megabytes", megabytes, 0, options.json));
}

async function measureMemory(bench: Case, { sizes, cache }: Options, collect: () => void): Promise<void> {
  const play = async (): Promise<LiberoEnv> => {
    const env = await openCase(bench, cache, sizes[0]);
    for (let i = 0; i < 5; i++) env.step(wander(i));
    return env;
  };
  const resident = (): number => {
    collect();
    return process.memoryUsage.rss() / 1e6;
  };
  const begun = performance.now();
  const envs = [await openCase(bench, cache, sizes[0])];
  envs[0].observe();
  const cold_ms = performance.now() - begun;
  envs.push(await play()); // what a second one brings once and for all is not counted either
  const before = resident();
  for (let i = 0; i < MORE; i++) envs.push(await play());
  const megabytes = (resident() - before) / MORE;
  for (const env of envs) env[Symbol.dispose]();
  console.log(JSON.stringify({ cold_ms, megabytes }));
}

/** Control steps a second with both cameras, one process and two at the same time. */
async function workers(bench: Case, options: Options, line: Line): Promise<void> {
  const [size] = options.sizes;
  for (const count of [1, 2]) {
    const players = Array.from({ length: count }, () => elsewhere(bench, options, "pictures"));
    const rates = (await Promise.all(players)).map(({ median_ms }) => 1000 / median_ms);
    const sum = rates.reduce((total, each) => total + each, 0);
    const what = `${bench.name} steps a second, both cameras at ${size}, ${count} at once`;
    line.set(`${count} at once`, amount(what, "per_second", sum, 1, options.json));
  }
}

/** One row of one case, measured by another process with the first size of pictures: the line it prints. */
async function elsewhere(
  bench: Case,
  { steps, sizes, cache }: Options,
  row: Row,
  flags: readonly string[] = [],
): Promise<Record<string, number>> {
  const args = [...bench.args, "--size", `${sizes[0]}`, "--steps", `${steps}`, "--cache", cache];
  const script = fileURLToPath(import.meta.url);
  const command = [...flags, ...process.execArgv, script, ...args, "--only", row, "--json"];
  const child = spawn(process.execPath, command, { stdio: ["ignore", "pipe", "inherit"] });
  const said = await text(child.stdout);
  if (said === "") throw new Error(`environment: the process for ${bench.name} ${row} said nothing`);
  return JSON.parse(said);
}

function base(what: string): object {
  return { bench: "environment", case: what, who: "ours", threads: 1 };
}

/** Prints times; returns the least for the table. */
function report(what: string, times: readonly number[], json: boolean): string {
  const median = times.toSorted((a, b) => a - b)[times.length >> 1];
  const min = Math.min(...times);
  if (json) {
    const round = (ms: number): number => Math.round(1000 * ms) / 1000;
    console.log(JSON.stringify({ ...base(what), min_ms: round(min), median_ms: round(median) }));
  } else console.log(`${what.padEnd(60)}${min.toFixed(1).padStart(9)}${median.toFixed(1).padStart(11)}`);
  return min.toFixed(1);
}

/** Prints one number that is no time; returns it for the table. */
function amount(what: string, unit: string, value: number, digits: number, json: boolean): string {
  const shown = value.toFixed(digits);
  if (json) console.log(JSON.stringify({ ...base(what), [unit]: Number(shown) }));
  else console.log(`${what.padEnd(60)}${shown.padStart(9)}`);
  return shown;
}

function rate(times: readonly number[]): string {
  return (1000 / Math.min(...times)).toFixed(0);
}

/** A line per case; steps a second by the least times, but "at once" by the medians. */
function tableOf(lines: ReadonlyMap<string, Line>): string {
  const titles = [...new Set([...lines.values()].flatMap((line) => [...line.keys()]))];
  const columns = ["task", ...titles].map(
    (title, i) => ({ title, align: i === 0 ? "left" : "right" }) as const,
  );
  return renderTable(
    columns,
    [...lines].map(([name, line]) => [name, ...titles.map((title) => line.get(title) ?? "-")]),
  );
}
