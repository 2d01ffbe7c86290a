import { type Random, Tensor } from "../../core/index.ts";
import {
  constant,
  Dropout,
  gaussian,
  Lambda,
  Linear,
  Module,
  parameter,
  type RMSNorm,
  Sequential,
} from "../../nn/index.ts";
import { flag, objectOf, oneOf, orNull, real, whole } from "../check-config.ts";
import { CHUNK_RULES, type ChunkConfig, checkHeads, type Decoder, type DecoderKind } from "../decoder.ts";
import type { InferenceOptions } from "../inference/decoder.ts";
import { actionSpaces, spaceOf } from "./action-spaces.ts";
import type { Memory, Rotary } from "./attention.ts";
import { DitBlock } from "./block.ts";
import { ActionSpaceEmbedder, FrequencyEmbedder, TimestepEmbedder } from "./embedders.ts";
import { FlowerInference } from "./inference.ts";
import { makeNorm, type NormForm, standardise } from "./norm.ts";

export interface FlowerConfig extends ChunkConfig {
  /** Width of the tokens, D. */
  readonly width: number;
  readonly layers: number;
  readonly heads: number;
  /** Euler steps from noise to actions. */
  readonly samplingSteps: number;
  /** null: learnt positions are added to the tokens instead. */
  readonly rotary: Rotary | null;
  readonly crossAttention: boolean;
  readonly norm: NormForm;
  /** Training only: on attention weights, attention outputs and the feed-forward layer. */
  readonly dropout: number;
  /** How training draws the times on the paths. */
  readonly timeSampling: TimeSampling;
}

/**
 * Times in [0, 1) for training. "stratified": uniform, and spread evenly over a batch. "ln": logit-normal, each on its
 * own, so that the middle of the paths comes more often than their ends.
 */
export type TimeSampling = "stratified" | "ln";

const large = {
  steps: 10,
  actionWidth: actionSpaces.eef_delta,
  features: 1024,
  width: 1024,
  layers: 18,
  heads: 16,
  samplingSteps: 4,
  rotary: { theta: 32, length: 100 },
  crossAttention: true,
  norm: "mean square",
  tokenDropout: 0.1,
  dropout: 0.1,
  timeSampling: "stratified",
} as const satisfies FlowerConfig;

/** The two sizes NinA's paper compares with (arXiv:2508.16845). */
export const flowerPresets = {
  /** "330M" of the paper: 376,429,343 numbers, 354,091,015 of them on the path of end-effector actions. */
  large,
  /** "31M" of the paper: 31,000,991 numbers, 29,544,583 of them on that path. */
  small: { ...large, width: 256 },
} as const satisfies Record<string, FlowerConfig>;

/** The control frequency that LIBERO's actions are embedded with. */
const FREQUENCY = 3;

/** Random numbers of the training loss: the noise end of each path (B, T, A), and a time on it (B). */
export type FlowerNoise = { readonly z1: Tensor; readonly t: Tensor };

/**
 * The action decoder of FLOWER (arXiv:2509.04996): a rectified flow (arXiv:2209.03003). On the straight path
 *   z(t) = (1 − t) a + t z₁    from actions a at t = 0 to noise z₁ at t = 1
 * a diffusion transformer learns the velocity z₁ − a; a sample follows the velocity back from noise in Euler steps.
 * It sees every token of the features. The action space is the one whose width is `actionWidth`.
 */
export class FlowerDecoder extends Module implements Decoder<FlowerNoise> {
  positional_encoding: Tensor | null; // (1, T, D)
  action_encoders: Record<string, ActionEncoder>;
  action_decoders: Record<string, Linear>;
  adaln: Record<string, AdaLNController>;
  cond_linear: Linear;
  t_embedder: TimestepEmbedder;
  cond_norm: RMSNorm;
  frequency_embedder: FrequencyEmbedder;
  action_space_embedder: ActionSpaceEmbedder;
  dit: DitBlock[];
  readonly config: FlowerConfig;
  readonly tokenDropout: Dropout;
  readonly #space: string;

  constructor(config: FlowerConfig) {
    super();
    const { steps, width, features, rotary, crossAttention } = config;
    const spaces = Object.entries(actionSpaces);
    const forSpaces = <T>(make: (actionWidth: number) => T): Record<string, T> =>
      Object.fromEntries(spaces.map(([name, actionWidth]) => [name, make(actionWidth)]));
    if (rotary && rotary.length < steps)
      throw new Error(
        `FlowerDecoder: expected rotary tables of at least ${steps} rows, one for each step, got ${rotary.length}`,
      );

    this.config = config;
    this.tokenDropout = new Dropout(config.tokenDropout);
    this.#space = spaceOf(config.actionWidth);
    this.positional_encoding = rotary ? null : parameter([1, steps, width], gaussian(0.1));
    this.action_encoders = forSpaces((actionWidth) => new ActionEncoder(actionWidth, width));
    this.action_decoders = forSpaces((actionWidth) => new Linear(width, actionWidth));
    this.adaln = forSpaces(() => new AdaLNController(width, crossAttention ? 9 : 6));
    this.cond_linear = new Linear(features, width, { bias: false });
    this.t_embedder = new TimestepEmbedder(width);
    this.cond_norm = makeNorm(config.norm, features);
    this.frequency_embedder = new FrequencyEmbedder(width);
    this.action_space_embedder = new ActionSpaceEmbedder(spaces.length, width);
    this.dit = Array.from({ length: config.layers }, () => new DitBlock(config));
  }

  /** Features (B, S, H) → the context of the cross-attention, (B, S, D). */
  condition(features: Tensor): Tensor {
    features.dims(`B S ${this.config.features}`, "FlowerDecoder.condition");
    return this.cond_linear.forward(this.cond_norm.forward(this.tokenDropout.forward(features)));
  }

  sample(z: Tensor, condition: Tensor): Tensor {
    const { states } = this.trajectory(z, condition);
    return states[states.length - 1].clamp(-1, 1);
  }

  /**
   * The way from noise z (B, T, A) to actions in N Euler steps, z ← z − v(z, i/N)/N for i = N … 1: the N + 1 states,
   * the last one not yet clamped, and the N velocities.
   */
  trajectory(z: Tensor, condition: Tensor): { readonly states: Tensor[]; readonly velocities: Tensor[] } {
    const N = this.config.samplingSteps;
    const memories = this.#remember(condition);
    const states = [z];
    const velocities: Tensor[] = [];
    for (let i = N; i >= 1; i--) {
      const state = states[states.length - 1];
      const velocity = this.#velocity(state, Tensor.full([1], i / N, z.dtype), memories);
      velocities.push(velocity);
      states.push(state.sub(velocity.scale(1 / N)));
    }
    return { states, velocities };
  }

  /** dz/dt as the network sees it: z (B, T, A), t (B) in [0, 1] → (B, T, A). */
  velocity(z: Tensor, t: Tensor, condition: Tensor): Tensor {
    return this.#velocity(z, t, this.#remember(condition));
  }

  /** mean (z₁ − a − v(z(t), t))² */
  loss(actions: Tensor, condition: Tensor, { z1, t }: FlowerNoise): Tensor {
    const velocity = this.velocity(between(actions, z1, t), t, condition);
    return z1.sub(actions).sub(velocity).square().mean();
  }

  drawNoise(batch: number, random: Random): FlowerNoise {
    const { steps, actionWidth, timeSampling } = this.config;
    const times =
      timeSampling === "ln" ? logitNormalTimes(random, batch) : stratifiedTimes(random.uniform(), batch);
    return { z1: random.normals([batch, steps, actionWidth]), t: Tensor.from(times) };
  }

  forInference(options: InferenceOptions): FlowerInference {
    return new FlowerInference(this, options);
  }

  /** The embedded control frequency, the same for every sample: (1, D). */
  embedFrequency(): Tensor {
    return this.frequency_embedder.forward(Tensor.full([1], FREQUENCY, this.cond_linear.weight.dtype));
  }

  /** Each block's keys and values of the context; none without cross-attention. */
  #remember(context: Tensor): (Memory | undefined)[] {
    return this.dit.map((block) => block.cross_attn?.remember(context));
  }

  /** t (B), or (1) for one time for all samples. */
  #velocity(z: Tensor, t: Tensor, memories: readonly (Memory | undefined)[]): Tensor {
    const { steps, actionWidth, width } = this.config;
    z.dims(`B ${steps} ${actionWidth}`, "FlowerDecoder");
    const g = standardise(this.t_embedder.forward(t)).add(standardise(this.embedFrequency())); // (B or 1, D)
    const shared = this.adaln[this.#space].forward(g).slice(1, 0, 6 * width); // the rest is not used

    let x = this.action_encoders[this.#space].forward(z); // (B, T, D)
    if (this.positional_encoding) x = x.add(this.positional_encoding);
    this.dit.forEach((block, i) => {
      x = block.forward(x, { g, shared, memory: memories[i] });
    });
    return this.action_decoders[this.#space].forward(x);
  }
}

/** Linear – GELU – Linear on every action: (B, T, A) → (B, T, D). */
class ActionEncoder extends Module {
  fc1: Linear;
  fc2: Linear;

  constructor(actionWidth: number, width: number) {
    super();
    this.fc1 = new Linear(actionWidth, width);
    this.fc2 = new Linear(width, width);
  }

  forward(actions: Tensor): Tensor {
    return this.fc2.forward(this.fc1.forward(actions).gelu());
  }
}

/** The part of the modulation that all blocks share, of its own for each action space: (B, D) → (B, parts · D). */
class AdaLNController extends Module {
  modCX: Sequential;

  constructor(width: number, parts: number) {
    super();
    const linear = new Linear(width, parts * width, { bias: false });
    linear.weight.dispose(); // starts at zero instead
    linear.weight = parameter([parts * width, width], constant(0));
    this.modCX = new Sequential(new Lambda((g) => g.silu()), linear);
  }

  forward(g: Tensor): Tensor {
    return this.modCX.forward(g);
  }
}

/** Times spread evenly over a batch from one uniform number u: tᵢ = (u + i/B) mod (1 − 1e-5). */
export const stratifiedTimes = (u: number, batch: number): Float64Array =>
  Float64Array.from({ length: batch }, (_, i) => (u + i / batch) % (1 - 1e-5));

/** Times t = min(sigmoid(n), 0.999) of standard normal n, each on its own. */
export const logitNormalTimes = (random: Random, batch: number): Float64Array =>
  Float64Array.from({ length: batch }, () => Math.min(1 / (1 + Math.exp(-random.normal())), 0.999));

/** The straight path (1 − t) a + t z₁: actions and z₁ (B, T, A), t (B) → (B, T, A). */
export function between(actions: Tensor, z1: Tensor, t: Tensor): Tensor {
  const { B } = t.dims("B", "between: times");
  const time = t.reshape([B, 1, 1]);
  return time.neg().shift(1).mul(actions).add(time.mul(z1));
}

export const flowerKind: DecoderKind<FlowerConfig> = {
  rules: {
    ...CHUNK_RULES,
    width: whole(1, 16_384),
    layers: whole(1, 1000),
    heads: whole(1, 1024),
    samplingSteps: whole(1, 100),
    rotary: orNull(objectOf({ theta: real(1e-6, 1e6), length: whole(1, 1000) })),
    crossAttention: flag,
    norm: oneOf(["mean square", "variance"] satisfies NormForm[]),
    dropout: real(0, 0.999),
    timeSampling: oneOf(["stratified", "ln"] satisfies TimeSampling[]),
  },
  faults(config) {
    const { width, heads, steps, actionWidth, rotary } = config;
    const widths: number[] = Object.values(actionSpaces);
    const wrong = checkHeads(config);
    if (rotary && (width / heads) % 2 !== 0)
      wrong.push(`decoder.heads: expected heads of even width for rotary positions, found ${width / heads}`);
    if (rotary && rotary.length < steps)
      wrong.push(`decoder.rotary.length: expected at least steps = ${steps}, found ${rotary.length}`);
    if (!widths.includes(actionWidth))
      wrong.push(`decoder.actionWidth: expected ${widths.join(", ")}, found ${actionWidth}`);
    return wrong;
  },
  make: (config) => new FlowerDecoder(config),
};
