/** Trains and evaluates all policies that docs/results.md compares: `npx tsx vla/experiments.ts --help`. */
import { existsSync } from "node:fs";
import { type CliSchema, parseCli, runMain, showCommand, UsageError } from "../cli/index.ts";
import { INTERRUPTED, Interrupt } from "./eval/interrupt.ts";
import { Launcher } from "./experiments/launch.ts";
import { EXPERIMENTS, SEEDS } from "./experiments/list.ts";
import { openFolder } from "./experiments/record.ts";
import { runAll, timeDecoders } from "./experiments/runner.ts";
import { runsOf, type Settings, timingOf } from "./experiments/runs.ts";
import { Watcher } from "./experiments/watcher.ts";

const names = EXPERIMENTS.map(({ name }) => name);

const schema = {
  usage: "npx tsx vla/experiments.ts --data DIR --encoder DIR --out DIR [options]",
  description:
    `Trains every decoder with ${SEEDS.length} seeds on the features of one frozen encoder, lets it play the embedded suite, and times\n` +
    "it, for docs/results.md, which vla/results.ts writes. The same command goes on where it was stopped or killed. A run that\n" +
    `fails is recorded, and the others go on. Exit code: 0 when all is done, 1 when a run failed, ${INTERRUPTED} after Ctrl-C.`,
  options: {
    data: { type: "string", help: "folder of demonstrations, as vla/collect.ts writes it" },
    encoder: { type: "string", help: "a checkpoint folder, or the folder of a run of vla/pretrain.ts" },
    out: { type: "string", help: "folder of all runs" },
    only: { type: "string", help: `some experiments, separated by commas: ${names.join(", ")}` },
    steps: {
      type: "integer",
      least: 1,
      default: 2000,
      help: "updates of 256 examples that every decoder is trained for",
    },
    episodes: { type: "integer", least: 1, default: 50, help: "per task, of the decoders compared" },
    "ablation-episodes": { type: "integer", least: 1, default: 20, help: "per task, of ablations" },
    threads: { type: "integer", least: 1, default: 1, help: "that training computes on" },
    "dry-run": { type: "boolean", help: "prints the commands of all runs, and runs none" },
  },
} as const satisfies CliSchema;

await runMain(async () => {
  const args = parseCli(schema, process.argv.slice(2));
  const { data, encoder, out, steps, episodes, "ablation-episodes": ablationEpisodes, threads } = args;
  if (data === undefined) throw new UsageError("expected --data, the demonstrations");
  if (encoder === undefined) throw new UsageError("expected --encoder, a folder with an encoder in it");
  if (out === undefined) throw new UsageError("expected --out, the folder of all runs");
  const settings: Settings = { out, data, encoder, steps, episodes, ablationEpisodes, threads };
  const all = runsOf(settings);
  const chosen = chooseFrom(args.only);
  const runs = all.filter(({ experiment }) => chosen.includes(experiment.name));
  if (args["dry-run"]) {
    const commands = runs.flatMap(({ stages }) => stages.map(({ command }) => command));
    for (const command of [...commands, timingOf(all.filter(({ seed }) => seed === SEEDS[0]))])
      console.log(showCommand(command));
    return;
  }

  for (const folder of [data, encoder])
    if (!existsSync(folder)) throw new Error(`${folder}: expected a folder, found none`);
  openFolder(settings);
  using interrupt = new Interrupt("ending the run at work, which the same command takes up again");
  using launcher = new Launcher();
  using watcher = new Watcher(interrupt);
  const trained = await runAll(runs, launcher.launch, watcher);
  const timed = trained && (await timeDecoders(out, all, launcher.launch, watcher));
  process.exitCode = trained && timed ? Number(trained.failed + timed.failed > 0) : INTERRUPTED;
});

function chooseFrom(only: string | undefined): readonly string[] {
  const chosen = only === undefined ? names : only.split(",").map((name) => name.trim());
  const unknown = chosen.find((name) => !names.includes(name));
  if (unknown !== undefined)
    throw new UsageError(`--only: expected names of ${names.join(", ")}, got ${JSON.stringify(unknown)}`);
  return chosen;
}
