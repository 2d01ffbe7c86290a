import { quoteWord } from "../../cli/index.ts";
import { printable } from "../../core/index.ts";
import { formatDuration } from "../eval/progress.ts";
import type { Column } from "../eval/table.ts";
import type { Findings, Found } from "./collect.ts";
import { ABLATIONS, EXPERIMENTS, SEEDS } from "./list.ts";
import { markdownTable } from "./markdown.ts";
import { rateOf, showRate, showSeeds } from "./rate.ts";
import type { CheckpointTime } from "./record.ts";
import { runsOf, type Settings, type StageName } from "./runs.ts";

/** Parts of the page that are written by hand. */
export interface HandWritten {
  /** What is compared, and how. */
  readonly setup: string;
  /** What agrees with the paper and what does not. */
  readonly agreement: string;
}

/** Stands for a number that nothing was measured for. */
const ABSENT = "-";

/** Experiments by name, and what a table calls them. */
type Rows = readonly (readonly [experiment: string, title: string])[];

/** The page: the texts as they are, and between them tables of what was found, each with the commands that made it. */
export function reportPage(findings: Findings, { setup, agreement }: HandWritten): string {
  const compared = EXPERIMENTS.flatMap(({ name, title }) => (title === null ? [] : [[name, title] as const]));
  const parts = [
    "<!-- Written by `npx tsx vla/results.ts`. Its texts are those of docs/results/: change them there. -->",
    setup.trim(),
    "## Decoders",
    budgetOf(findings),
    ...comparison(findings, "decoder", compared),
    "### Task by task, temperature 1",
    tasksTable(findings, compared),
    ...ABLATIONS.flatMap(({ heading, varied, rows }) => [
      `## ${heading}`,
      ...comparison(findings, varied, rows),
    ]),
    "## Where",
    placesOf(findings),
    agreement.trim(),
  ];
  return `${parts.join("\n\n")}\n`;
}

/** What every run was given. */
function budgetOf({ settings, runs }: Findings): string {
  const samples = new Set(runs.flatMap(({ training }) => training?.samples ?? []));
  const seen = [...samples].map((count) => count.toLocaleString("en")).join(" or ");
  return (
    `Trained for ${settings.steps.toLocaleString("en")} updates${seen === "" ? "" : `, ${seen} examples`}; ` +
    `${settings.episodes} episodes per task and seed, ${settings.ablationEpisodes} in the ablations below.`
  );
}

const right = (title: string): Column => ({ title, align: "right" });

/** A table of experiments, what it lacks, and its commands. */
function comparison(findings: Findings, first: string, rows: Rows): string[] {
  const columns: Column[] = [
    { title: first, align: "left" },
    ...["parameters", "episodes", "temperature 1, % [95 %]", "seeds, %"].map(right),
    ...["own temperature, % [95 %]", "seeds, %"].map(right),
    ...["ms per decode", "samples per s"].map(right),
  ];
  const table = markdownTable(
    columns,
    rows.map(([name, title]) => [title, ...cellsOf(findings, name)]),
  );
  const gaps = rows.flatMap(([name, title]) => gapsOf(findings, name, title));
  return [table, ...(gaps.length > 0 ? [gaps.join("\n")] : []), commandsOf(findings, rows)];
}

const foundOf = ({ runs }: Findings, name: string): readonly Found[] =>
  runs.filter(({ run }) => run.experiment.name === name);

function cellsOf(findings: Findings, name: string): string[] {
  const found = foundOf(findings, name);
  const playedAt = (stage: StageName) => found.flatMap(({ played }) => played[stage] ?? []);
  const plain = rateOf(playedAt("temperature-1"));
  const own = playedAt("own-temperature");
  const ownRate = rateOf(own);
  const hasOwn = found.some(({ run }) => run.stages.some((stage) => stage.name === "own-temperature"));
  const temperature = own[0]?.sampling?.temperature;
  const paces = found.flatMap(({ training }) => training?.samplesPerSecond ?? []);
  const time = timeOf(findings, found);
  const cells = [
    time && `${(time.parameters / 1e6).toFixed(2)} M`,
    plain.episodes > 0 ? `${plain.episodes}` : null,
    ...[showRate(plain), showSeeds(plain)],
    ...(hasOwn
      ? [ownRate.episodes > 0 ? `at ${temperature}: ${showRate(ownRate)}` : null, showSeeds(ownRate)]
      : ["the same", "the same"]),
    time?.min_ms.toFixed(2),
    paces.length === 0 ? null : `${Math.round(Math.max(...paces))}`,
  ];
  return cells.map((cell) => cell ?? ABSENT);
}

/** Of the first seed's checkpoint, the one that is timed. */
function timeOf({ timing, settings }: Findings, [{ run }]: readonly Found[]): CheckpointTime | undefined {
  const then = runsOf(settings).find(({ name }) => name === run.name)?.checkpoint;
  return timing?.lines.find(({ who }) => who === then);
}

/** What has failed or has not been done of an experiment, a line for all seeds of which the same is true. */
function gapsOf(findings: Findings, name: string, title: string): string[] {
  const seeds = new Map<string, number[]>();
  for (const { run, done, failed } of foundOf(findings, name)) {
    const missing = run.stages.filter((stage) => done[stage.name] === undefined);
    if (missing.length === 0) continue;
    const [said] = missing.flatMap((stage) => failed[stage.name] ?? []);
    const which = missing.map((stage) => stage.name).join(", ");
    const gap = `without ${which}${said === undefined ? "" : ` (failed: ${printable(said, 200)})`}`;
    seeds.set(gap, [...(seeds.get(gap) ?? []), run.seed]);
  }
  return [...seeds].map(([gap, of]) => `- ${title}, seed ${of.join(", ")}: ${gap}`);
}

function tasksTable(findings: Findings, rows: Rows): string {
  const results = rows.map(([name]) =>
    foundOf(findings, name).flatMap(({ played }) => played["temperature-1"] ?? []),
  );
  const tasks = [...new Set(results.flat().flatMap((one) => one.tasks.map(({ task }) => task)))];
  if (tasks.length === 0) return "Nothing has been played yet.";
  const table = markdownTable(
    [{ title: "successes", align: "left" }, ...rows.map(([, title]) => right(title))],
    tasks.map((task) => [
      task,
      ...results.map((of) => {
        const { successes, episodes } = rateOf(of, task);
        return episodes === 0 ? ABSENT : `${successes} of ${episodes}`;
      }),
    ]),
  );
  return `${table}\n\nOf the same episodes as the table before, so by the same commands.`;
}

/** The commands as they were run, with words in place of this machine's folders and of the seed. */
function commandsOf(findings: Findings, rows: Rows): string {
  const { timing, settings } = findings;
  const lines = rows.flatMap(([name]) =>
    foundOf(findings, name).flatMap(({ run, done }) =>
      Object.values(done).map(({ command }) =>
        withoutFolders(command, settings)
          .replace(` --seed ${run.seed} `, " --seed SEED ")
          .replaceAll(run.name, `${run.experiment.name}-seed-SEED`),
      ),
    ),
  );
  if (timing) lines.push(withoutFolders(timing.command, settings));
  if (lines.length === 0) return "No command has ended yet.";
  const block = ["```sh", ...new Set(lines), "```"].join("\n");
  const summary = `<summary>Commands, with SEED in turn ${SEEDS.join(", ")}</summary>`;
  return `<details>${summary}\n\n${block}\n\n</details>`;
}

/** DATA, ENCODER and RUNS in place of the folders that were given. */
function withoutFolders(command: string, settings: Settings): string {
  const general = command
    .replace(` --data ${quoteWord(settings.data)} `, " --data DATA ")
    .replace(` --encoder ${quoteWord(settings.encoder)} `, " --encoder ENCODER ");
  return runsOf(settings).reduce(
    (text, { name, folder }) => text.replaceAll(`${folder}/`, `RUNS/${name}/`),
    general,
  );
}

/** Machines, versions, the encoder's checksum, and hours. */
function placesOf({ runs, timing }: Findings): string {
  const ended = [...runs.flatMap(({ done }) => Object.values(done)), ...(timing ? [timing] : [])];
  const machines = new Set(
    ended.map(({ machine: { cpu, cores, node } }) => `${cpu}, ${cores} cores, Node ${node}`),
  );
  const played = runs.flatMap((found) => Object.values(found.played));
  const engines = new Set(
    played.map(
      ({ suite, protocol, cameraSize, engine: { mujoco, contacts, fma } }) =>
        `suite ${suite}, protocol ${protocol}, pictures of ${cameraSize} pixels, MuJoCo ${mujoco}, contacts ${contacts}, ` +
        `${fma ? "fused" : "separate"} multiply-add`,
    ),
  );
  const seconds = (of: (stage: string) => boolean): number =>
    runs
      .flatMap(({ done }) => Object.entries(done))
      .reduce((sum, [stage, one]) => sum + (of(stage) ? one.seconds : 0), 0);
  const hours = [
    `training ${formatDuration(1000 * seconds((stage) => stage === "train"))}, features and start included; ` +
      "what a process had computed that was stopped is not in it",
    `episodes ${formatDuration(1000 * seconds((stage) => stage !== "train"))}`,
  ];
  const encoders = new Set(runs.flatMap(({ training }) => (training ? `encoder ${training.encoder}` : [])));
  return [...machines, ...engines, ...encoders, ...hours].map((line) => `- ${line}`).join("\n");
}
