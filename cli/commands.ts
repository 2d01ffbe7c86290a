/** A command of this project. */
export interface CommandEntry {
  /** Its module below the project's folder. */
  readonly script: string;
  /** What it does, in one line. */
  readonly about: string;
  /** Packages beside nina-ts that it needs: not everybody who installs nina-ts does. */
  readonly needs?: readonly string[];
}

const MUJOCO = "@mujoco/mujoco";
const HDF5 = "h5wasm";

/** What `nina-ts` has behind its door, by name. */
export const COMMANDS: Readonly<Record<string, CommandEntry>> = {
  eval: { script: "vla/eval.ts", about: "evaluate a policy on LIBERO tasks", needs: [MUJOCO] },
  report: { script: "vla/report.ts", about: "write a run as a page to look at" },
  verify: { script: "vla/verify.ts", about: "play recorded episodes of a run again", needs: [MUJOCO] },
  compare: { script: "vla/compare.ts", about: "set two runs side by side, start by start" },
  merge: { script: "vla/merge.ts", about: "put the parts of a run together" },
  fleet: {
    script: "vla/fleet.ts",
    about: "evaluate on many machines, over Redis",
    needs: [MUJOCO, "bullmq", "ioredis"],
  },
  serve: { script: "vla/serve.ts", about: "serve a checkpoint to clients of openpi" },
  likelihood: {
    script: "vla/likelihood.ts",
    about: "ask whether log p(chunk | seen) warns of failures",
    needs: [MUJOCO],
  },
  collect: {
    script: "vla/collect.ts",
    about: "record scripted experts as demonstrations",
    needs: [MUJOCO, HDF5],
  },
  inspect: { script: "vla/inspect.ts", about: "show what files of demonstrations hold", needs: [HDF5] },
  pretrain: {
    script: "vla/pretrain.ts",
    about: "teach a small encoder what is where",
    needs: [MUJOCO, HDF5],
  },
  train: { script: "vla/train.ts", about: "train a policy on demonstrations", needs: [MUJOCO, HDF5] },
  recipe: {
    script: "vla/suites/mini/recipe.ts",
    about: "train a policy for the embedded suite from nothing",
    needs: [MUJOCO, HDF5],
  },
  import: {
    script: "vla/import.ts",
    about: "turn a training checkpoint of NinA or FLOWER into one that plays",
  },
  convert: { script: "vla/convert.ts", about: "convert PyTorch checkpoints and safetensors files" },
  "export-encoder": {
    script: "vla/florence2/export.ts",
    about: "write the encoder of Florence-2 as a slim folder",
  },
  certify: { script: "flows/certify.ts", about: "try the laws of flows on the flow in a checkpoint" },
  "make-starts": {
    script: "vla/make-starts.ts",
    about: "sample initial states for a suite of one's own",
    needs: [MUJOCO],
  },
  devices: { script: "core/devices.ts", about: "list what this machine can compute on" },
  cache: { script: "vla/cache.ts", about: "show what is kept between runs, and remove it" },
};
