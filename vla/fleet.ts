/** Evaluates a policy on many machines, over Redis: `npx tsx vla/fleet.ts --help`. */
import { setTimeout } from "node:timers/promises";
import { parseCli, runMain, UsageError } from "../cli/index.ts";
import { differences, inOneLine } from "./differences.ts";
import { assembleRun, refuseUsedFolder } from "./eval/assemble.ts";
import { INTERRUPTED, Interrupt } from "./eval/interrupt.ts";
import type { Manifest } from "./eval/manifest.ts";
import { labelOf, type Prepared, policyOf, prepareRun, settingOf } from "./eval/prepare.ts";
import { formatDuration, Progress } from "./eval/progress.ts";
import type { Job } from "./eval/schedule.ts";
import { type EpisodeId, episodeKey } from "./eval/setup.ts";
import type { Board, Counts } from "./fleet/board.ts";
import { commands, general, readEnqueue, readWork, redisUrl } from "./fleet/options.ts";
import { type EpisodeRecord, type PackedRecord, unpacked } from "./fleet/record.ts";
import { Slots } from "./fleet/slots.ts";
import { endPolicies } from "./policies/index.ts";

await runMain(async () => {
  const [command, ...argv] = process.argv.slice(2);
  if (command === "enqueue") return enqueue(argv);
  if (command === "work") return work(argv);
  if (command === "watch") return watch(argv);
  if (command === "collect") return collect(argv);
  const { positionals } = parseCli(general, process.argv.slice(2));
  throw new UsageError(
    `expected ${Object.keys(commands).join(", ")}, got ${JSON.stringify(positionals.COMMAND)}`,
  );
});

/** What talks to Redis is loaded when it is needed: not everybody who asks for help has installed it. */
async function openBoard(run: string): Promise<Board> {
  const { Board } = await import("./fleet/board.ts");
  return Board.open(redisUrl(process.env), run);
}

async function enqueue(argv: readonly string[]): Promise<void> {
  const { name, options } = readEnqueue(argv, process.env);
  const { policies, manifest } = await prepareRun(options);
  await endPolicies(policies);
  await using board = await openBoard(name);
  refuseOther(name, await board.claim(manifest), manifest);
  await board.fill(manifest);
  console.log(describe(name, await board.counts(manifest)));
}

async function work(argv: readonly string[]): Promise<void> {
  const { name, options, lostAfter } = readWork(argv, process.env);
  // Whoever has nothing to do here learns it before weights are loaded.
  await using board = await openBoard(name);
  const theirs = await board.manifest();
  const { policies, setups, manifest }: Prepared = await prepareRun(options);
  await using _ = { [Symbol.asyncDispose]: () => endPolicies(policies) };
  refuseOther(name, theirs, manifest);

  const jobs = new Map<string, Job>(
    setups.flatMap((setup) =>
      setup.episodes.map((episode): [string, Job] => [
        episodeKey({ ...setup, ...episode }),
        { setup, episode },
      ]),
    ),
  );
  const jobOf = (id: EpisodeId): Job => {
    const job = jobs.get(episodeKey(id));
    if (!job) throw new Error(`expected an episode of the run, found ${episodeKey(id)}`);
    return job;
  };
  const before = await board.counts(manifest);
  const progress = new Progress(before.planned, process.stderr, before.done);
  using interrupt = new Interrupt("giving back the episodes that are being played");
  using slots = new Slots(manifest.run, settingOf(options, manifest.run.cameraSize), options.workers, {
    policyFor: (job) => policyOf(job, options, policies),
    stepped: (job, steps) => progress.step(labelOf(job), steps / options.maxSteps, labelOf(job)),
  });
  interrupt.signal.addEventListener("abort", () => slots.interrupt());
  let played = 0;
  try {
    const { takeEpisodes } = await import("./fleet/work.ts");
    await takeEpisodes(
      board,
      manifest,
      async (id) => {
        const record = await slots.play(jobOf(id));
        progress.episodeDone(labelOf(jobOf(id)));
        if (record !== null) played++;
        return record;
      },
      { slots: options.workers, lostAfter, signal: interrupt.signal },
    );
  } finally {
    progress.clear();
  }
  console.log(`${name}: played ${played} episodes here`);
  if (interrupt.requested) process.exitCode = INTERRUPTED;
}

async function watch(argv: readonly string[]): Promise<void> {
  const { positionals } = parseCli(commands.watch, argv);
  await using board = await openBoard(positionals.RUN);
  const manifest = await board.manifest();
  const since = performance.now();
  const before = await board.counts(manifest);
  using interrupt = new Interrupt("leaving the run to itself");
  let counts = before;
  while (!counts.isOver && !interrupt.requested) {
    const each = (performance.now() - since) / (counts.done - before.done);
    const left = formatDuration(each * (counts.planned - counts.done - counts.failed));
    if (process.stderr.isTTY)
      process.stderr.write(`\r\x1b[K${describe(positionals.RUN, counts)}, ETA ${left}`);
    await setTimeout(1000, undefined, { signal: interrupt.signal }).catch(() => {});
    counts = await board.counts(manifest);
  }
  if (process.stderr.isTTY) process.stderr.write("\r\x1b[K");
  console.log(describe(positionals.RUN, counts));
  for (const reason of await board.failures()) console.log(`GIVEN UP: ${reason}`);
  process.exitCode = interrupt.requested ? INTERRUPTED : Number(counts.failed > 0);
}

async function collect(argv: readonly string[]): Promise<void> {
  const { positionals, remove } = parseCli(commands.collect, argv);
  const { RUN: name, OUT: out } = positionals;
  refuseUsedFolder(out);
  await using board = await openBoard(name);
  const manifest = await board.manifest();
  const { planned, done } = await board.counts(manifest);
  if (remove && done < planned)
    throw new Error(`${name}: expected all episodes before they are removed, found ${done} of ${planned}`);
  const records = await board.records(manifest);
  process.exitCode = assembleRun(out, manifest, {
    episodes: linesOf(records, ({ line }) => line),
    timings: linesOf(records, ({ timing }) => timing),
  });
  if (remove) await board.remove();
}

function* linesOf(
  records: readonly PackedRecord[],
  part: (record: EpisodeRecord) => object,
): Generator<Uint8Array> {
  for (const packed of records) yield Buffer.from(`${JSON.stringify(part(unpacked(packed)))}\n`);
}

/** @throws Error that says in what the run in Redis is not the one that would be played here. */
function refuseOther(name: string, theirs: Manifest, ours: Manifest): void {
  const differing = differences(theirs, JSON.parse(JSON.stringify(ours)));
  if (differing.length === 0) return;
  throw new Error(`${name}: expected the run that is in Redis, found another here: ${inOneLine(differing)}`);
}

function describe(name: string, { planned, done, active, failed }: Counts): string {
  const givenUp = failed > 0 ? `, ${failed} given up` : "";
  return `${name}: ${done} of ${planned} episodes done, ${active} being played${givenUp}`;
}
