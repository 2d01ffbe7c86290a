import type { DecoderName } from "../train/recipes.ts";

/** One way to train a policy, compared with others that differ from it in few things. */
export interface Experiment {
  /** Begins the names of its runs' folders. */
  readonly name: string;
  readonly decoder: DecoderName;
  /** Flags of vla/train.ts that make it what it is. */
  readonly flags: readonly string[];
  /** How the table of decoders calls it; null for one that changes one thing of the reference, in the ablations. */
  readonly title: string | null;
}

/** Each experiment is run once with each: a seed draws weights, batches, noise, and what is sampled in episodes. */
export const SEEDS = [0, 1, 2] as const;

/** What the ablations change one thing of. */
const REFERENCE = "nina-mlp";

const compared = (name: string, title: string, decoder: DecoderName, ...flags: string[]): Experiment => ({
  name,
  title,
  decoder,
  flags,
});
const changed = (name: string, ...flags: string[]): Experiment => ({
  name,
  title: null,
  decoder: "nina-mlp",
  flags,
});

/** In the order in which they run. Sizes that no flag names are those of the preset `mini` of vla/train/recipes.ts. */
export const EXPERIMENTS: readonly Experiment[] = [
  compared(REFERENCE, "NinA MLP", "nina-mlp"),
  compared("nina-transformer", "NinA Transformer", "nina-transformer"),
  compared("mse", "MSE", "mse"),
  compared("flower-small", "FLOWER, small", "flower", "--width", "32"),
  changed("mlp-noise-0", "--noise", "0"),
  changed("mlp-no-plu", "--no-plu"),
  changed("mlp-5-blocks", "--blocks", "5"),
  changed("mlp-20-blocks", "--blocks", "20"),
  changed("mlp-64-wide", "--width", "64"),
  changed("mlp-256-wide", "--width", "256"),
  // Last, since it takes longer than all the others of a seed together.
  compared("flower-large", "FLOWER, large", "flower", "--width", "128"),
];

/** A table in which one thing varies. */
export interface Ablation {
  readonly heading: string;
  /** What its first column is about. */
  readonly varied: string;
  /** Names of experiments, and what that thing is in them. */
  readonly rows: readonly (readonly [experiment: string, title: string])[];
}

export const ABLATIONS: readonly Ablation[] = [
  {
    heading: "Noise injection",
    varied: "noise on actions",
    rows: [
      ["mlp-noise-0", "0"],
      [REFERENCE, "0.03"],
    ],
  },
  {
    heading: "Invertible matrices (PLU)",
    varied: "matrices",
    rows: [
      ["mlp-no-plu", "without"],
      [REFERENCE, "with"],
    ],
  },
  {
    heading: "Depth",
    varied: "blocks, 128 wide",
    rows: [
      ["mlp-5-blocks", "5"],
      [REFERENCE, "10"],
      ["mlp-20-blocks", "20"],
    ],
  },
  {
    heading: "Width",
    varied: "width, 10 blocks",
    rows: [
      ["mlp-64-wide", "64"],
      [REFERENCE, "128"],
      ["mlp-256-wide", "256"],
    ],
  },
];
