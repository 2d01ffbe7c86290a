import { FormatError, type LazyTensor } from "../../core/index.ts";
import type { DecoderConfig } from "../decoders.ts";
import { actionSpaces } from "../flower/action-spaces.ts";
import { flowerPresets, type TimeSampling } from "../flower/flower.ts";
import type { NormForm } from "../flower/norm.ts";
import { mlpPresets } from "../nina/mlp.ts";
import { transformerPresets } from "../nina/transformer.ts";

/** What a checkpoint's shapes do not say, and its settings only where Lightning wrote it. */
export interface Told {
  /** Heads of each attention of NinA's networks. */
  readonly heads?: number;
  /** Actions per chunk. */
  readonly steps?: number;
  /** Which of the two things called RmsNorm FLOWER was trained with. */
  readonly norm?: NormForm;
}

type Settings = ReadonlyMap<string, unknown>;

/** Settings of the reference that its code knows and ours does not: what they must be, where they are given. */
const SUPPORTED: Readonly<Record<string, unknown>> = {
  vlm_prompt_style: "default",
  use_second_view: true,
  use_proprio: false,
  use_adaln_cond: false,
  action_type_adaln: true,
  use_nope: false,
};

/** Settings that no policy of ours can have: one line each. */
export const unsupported = (settings: Settings): string[] =>
  Object.entries(SUPPORTED).flatMap(([name, expected]) => {
    const found = settings.get(name) ?? expected;
    return found === expected ? [] : [`${name}: expected ${expected}, found ${found}`];
  });

/**
 * The sizes of the decoder whose tensors these are, as the public code of NinA and FLOWER names them: from the shapes,
 * from the settings that the checkpoint was trained with, from what is told, and else as published. What the shapes
 * contradict is found when the tensors are compared with the decoder of these sizes.
 *
 * @throws FormatError for tensors of another model; `who` is for the message
 */
export function readDecoder(
  who: string,
  tensors: ReadonlyMap<string, LazyTensor>,
  settings: Settings,
  told: Told = {},
): DecoderConfig {
  const names = [...tensors.keys()];
  const has = (pattern: RegExp): boolean => names.some((name) => pattern.test(name));
  /** Size of an axis; `otherwise` where there is no such tensor, which the comparison then misses. */
  const size = (name: string, axis: number, otherwise: number): number =>
    tensors.get(name)?.shape[axis] ?? otherwise;
  /** How many numbers there are in the place of the group. */
  const count = (pattern: RegExp): number =>
    new Set(names.flatMap((name) => pattern.exec(name)?.[1] ?? [])).size;
  const number = (name: string): number | undefined => {
    const value = settings.get(name);
    return typeof value === "number" ? value : undefined;
  };
  const steps = told.steps ?? number("act_window_size");
  const tokenDropout = number("token_dropout") ?? mlpPresets.paper.tokenDropout;

  if (has(/^dit\.\d+\./)) {
    const published = flowerPresets.large;
    const [width, cos] = [size("cond_linear.weight", 0, published.width), "dit.0.self_attn.cos"];
    const rows = size(cos, 0, 0);
    const theta = number("rope_theta") ?? published.rotary.theta;
    return {
      kind: "flower",
      steps: steps ?? size("positional_encoding", 1, published.steps),
      actionWidth: actionSpaces.eef_delta,
      features: size("cond_linear.weight", 1, published.features),
      tokenDropout,
      width,
      layers: count(/^dit\.(\d+)\./),
      heads: Math.max(1, Math.floor(width / size("dit.0.self_attn.q_norm.weight", 0, width))),
      samplingSteps: number("num_sampling_steps") ?? published.samplingSteps,
      rotary: rows === 0 ? null : { theta, length: rows },
      crossAttention: has(/^dit\.\d+\.cross_attn\./),
      norm: told.norm ?? published.norm,
      dropout: number("attn_pdrop") ?? published.dropout,
      timeSampling: timesOf(settings.get("sampling_type")),
    };
  }

  const layer = /^nf\.layers\.(\d+)\.(?:net|scale_net)\./;
  const first = names.flatMap((name) => layer.exec(name)?.[1] ?? []).map(Number);
  if (first.length === 0) {
    const some = names.slice(0, 3);
    const wanted = "a decoder of NinA (nf.layers.…) or FLOWER (dit.…)";
    throw new FormatError(who, wanted, some.join(", ") || "an encoder alone");
  }
  const net = `nf.layers.${Math.min(...first)}`;
  const paper = transformerPresets.paper;
  const common = {
    tokenDropout,
    features: size("cond_proj.weight", 1, paper.features),
    condition: size("cond_proj.weight", 0, paper.condition),
    actionNoise: number("action_noise_mult") ?? paper.actionNoise,
    blocks: new Set(first).size,
    plu: has(/^nf\.layers\.\d+\.s$/),
  };
  const permuted = tensors.get("nf.layers.0.perm")?.shape[0];
  if (has(/^nf\.layers\.\d+\.scale_net\./)) {
    const actionWidth = number("action_dim") ?? paper.actionWidth;
    return {
      kind: "mlp",
      ...common,
      actionWidth,
      steps: steps ?? Math.floor((permuted ?? paper.steps * actionWidth) / actionWidth),
      width: size(`${net}.scale_net.net.0.weight`, 0, mlpPresets.paper.width),
    };
  }
  const actionWidth = size(`${net}.net.input_proj.weight`, 1, paper.actionWidth);
  const matrix = [...tensors].find(([name]) => /^nf\.layers\.\d+\.s$/.test(name))?.[1].shape[0];
  return {
    kind: permuted === undefined ? "mse" : "transformer",
    ...common,
    actionWidth,
    steps: steps ?? permuted ?? (matrix === undefined ? paper.steps : Math.floor(matrix / actionWidth)),
    width: size(`${net}.net.input_proj.weight`, 0, paper.width),
    heads: told.heads ?? number("n_heads") ?? paper.heads,
    depth: count(new RegExp(`^${net.replaceAll(".", "\\.")}\\.net\\.subblocks\\.(\\d+)\\.`)),
    dropout: number("attn_pdrop") ?? paper.dropout,
  };
}

/** How the reference calls them: "uniform" is spread evenly over a batch. */
const timesOf = (sampling: unknown): TimeSampling => (sampling === "ln" ? "ln" : "stratified");
