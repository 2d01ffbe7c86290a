import { join } from "node:path";
import type { Command } from "../../cli/index.ts";
import { EXPERIMENTS, type Experiment, SEEDS } from "./list.ts";

/** What all runs of a folder have in common. */
export interface Settings {
  /** The folder, as it was called when they were run: commands have it in them. */
  readonly out: string;
  /** Folder of demonstrations. */
  readonly data: string;
  /** The one encoder, frozen: a checkpoint folder. */
  readonly encoder: string;
  /** Updates of each run; their size is the recipe's. */
  readonly steps: number;
  /** Episodes of each task that a decoder of the main table plays, and those of an ablation. */
  readonly episodes: number;
  readonly ablationEpisodes: number;
  /** That training computes on. */
  readonly threads: number;
}

/** Part of a run: a command, and the file that is there when it is done. */
export interface Stage {
  readonly name: StageName;
  readonly command: Command;
  readonly file: string;
}

/** Training, then episodes sampled at temperature 1, as the paper does, and as the checkpoint says. */
export type StageName = "train" | "temperature-1" | "own-temperature";

/** One experiment with one seed. */
export interface Run {
  readonly name: string;
  readonly experiment: Experiment;
  readonly seed: number;
  readonly folder: string;
  readonly checkpoint: string;
  readonly stages: readonly Stage[];
}

/** All runs in a folder, seed by seed: whenever they are stopped, the tables are as complete as can be. */
export const runsOf = (settings: Settings): Run[] =>
  SEEDS.flatMap((seed) => EXPERIMENTS.map((experiment) => runOf(settings, experiment, seed)));

function runOf(settings: Settings, experiment: Experiment, seed: number): Run {
  const name = `${experiment.name}-seed-${seed}`;
  const folder = join(settings.out, name);
  const checkpoint = join(folder, "train", "last");
  const train: Stage = {
    name: "train",
    command: {
      script: "vla/train.ts",
      args: [
        ...["--data", settings.data, "--encoder", settings.encoder, "--frozen"],
        ...["--out", join(folder, "train"), "--decoder", experiment.decoder, ...experiment.flags],
        ...["--steps", `${settings.steps}`, "--seed", `${seed}`, "--threads", `${settings.threads}`],
        ...["--episodes", "0"], // the last weights are played, whatever they are worth
      ],
    },
    file: join(checkpoint, "model.safetensors"),
  };
  const episodes = experiment.title === null ? settings.ablationEpisodes : settings.episodes;
  const play = (name: StageName, ...sampling: string[]): Stage => {
    const file = join(folder, `${name}.json`);
    const args = [
      ...["--checkpoint", checkpoint, "--episodes", `${episodes}`, "--seed", `${seed}`, ...sampling],
      ...["--workers", `${settings.threads}`, "--json", file],
    ];
    return { name, command: { script: "vla/eval.ts", args }, file };
  };
  return {
    name,
    experiment,
    seed,
    folder,
    checkpoint,
    stages: [
      train,
      play("temperature-1", "--temperature", "1"),
      // The others' checkpoints say 1 as well.
      ...(experiment.decoder.startsWith("nina-") ? [play("own-temperature")] : []),
    ],
  };
}

/** Times of decoding, of the first seed's checkpoints: sizes, not weights, tell how long it takes. */
export const timingOf = (runs: readonly Run[]): Command => ({
  script: "benchmarks/checkpoints.ts",
  args: [...runs.map(({ checkpoint }) => checkpoint), "--json"],
});
