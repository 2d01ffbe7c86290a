import { basename } from "node:path";
import {
  concat,
  cpu,
  type Device,
  onDevice,
  Random,
  Plan as Replay,
  Tensor,
  tidy,
  unscoped,
  type WeightFormat,
} from "../../core/index.ts";
import { type Checkpoint, loadCheckpoint, type SamplingConfig } from "../checkpoint.ts";
import type { Decoder } from "../decoder.ts";
import { deviceInfo } from "../device-info.ts";
import type { FusedDecoder } from "../fused.ts";
import type { Image, Observation } from "../observation.ts";
import { Perception } from "../perception.ts";
import type { Plan, PlanRequest, Policy } from "../policy.ts";
import type { PolicySource } from "./source.ts";

/**
 * A checkpoint folder, whatever its decoder; its weights serve every episode.
 *
 * @param overrides what is not to be sampled as the checkpoint says
 * @param device what computes
 * @param weights what the encoder's weights are kept as
 */
export function ninaPolicy(
  dir: string,
  overrides: Partial<SamplingConfig> = {},
  device: Device = cpu,
  weights: WeightFormat = "float32",
): PolicySource {
  const checkpoint = loadCheckpoint(dir, weights);
  checkpoint.florence.to(device);
  checkpoint.decoder.to(device);
  const { decoder, perception, untrained } = checkpoint.config;
  const sampling = { ...checkpoint.config.sampling, ...overrides };
  if (sampling.actionsPerQuery > decoder.steps) {
    throw new Error(
      `checkpoint ${dir}: expected at most ${decoder.steps} actions per query, as many as it plans, ` +
        `got ${sampling.actionsPerQuery}`,
    );
  }
  const policy = new NinaPolicy(`nina ${basename(dir)}`, checkpoint, sampling);
  return {
    name: policy.name,
    untrained,
    cameraSize: perception.cameraSize,
    sampling,
    device: deviceInfo(device),
    hasDensity: checkpoint.decoder.logProbTerms !== undefined,
    forEpisode({ instruction }) {
      policy.prepare(instruction);
      return policy;
    },
  };
}

/**
 * NinA at work (arXiv:2508.16845, section 3): both camera pictures and the instruction go through the Florence-2
 * encoder, its features condition the decoder, and one sample z ~ N(0, temperature² I) becomes a chunk of actions, of
 * which the first `actionsPerQuery` are handed out. Other decoders than NinA's do the same in their own way. It computes
 * where the checkpoint's weights are.
 */
export class NinaPolicy implements Policy, Disposable {
  readonly name: string;
  readonly #sampling: SamplingConfig;
  readonly #perception: Perception;
  readonly #decoder: Decoder;
  readonly #device: Device;
  /** Samples on cpu, if the decoder has such a form; densities come from the checkpoint's own decoder. */
  readonly #fused: FusedDecoder | undefined;
  /** What cameras see, captured once for all prompts. */
  #look: Replay | null = null;
  /** The rest of the forward pass, captured for each prompt length, with log-probabilities and without. */
  readonly #replays = new Map<string, Replay>();
  readonly #prompts = new Map<string, Tensor>();
  #random = new Random(0);

  constructor(
    name: string,
    { florence, tokenizer, decoder, config }: Checkpoint,
    sampling: SamplingConfig = config.sampling,
  ) {
    this.name = name;
    this.#sampling = sampling;
    this.#perception = new Perception(florence, tokenizer, config.perception);
    this.#decoder = decoder;
    this.#device = decoder.device;
    this.#fused = this.#device === cpu ? decoder.fuse?.({ weights: "float32" }) : undefined;
  }

  /** Makes the prompt of an instruction ready. @throws Error for one that is too long. */
  prepare(instruction: string): void {
    this.#prompt(instruction);
  }

  reset(seed: number): void {
    this.#random = new Random(seed);
  }

  async act(
    seen: Observation,
    instruction: string,
    { logProb: asked = false }: PlanRequest = {},
  ): Promise<Plan> {
    const { actionWidth } = this.#decoder.config;
    const results = unscoped(() => onDevice(this.#device, () => this.#run(seen, instruction, asked)));
    try {
      const [chunk, terms] = await Promise.all(results.map((x) => x.read()));
      const actions = Array.from({ length: this.#sampling.actionsPerQuery }, (_unused, t) =>
        Float64Array.from(chunk.subarray(t * actionWidth, (t + 1) * actionWidth)),
      );
      if (!terms) return { actions };
      const [base, ...layers] = terms;
      const logProb = layers.reduce((sum, logDet) => sum + logDet, base);
      return { actions, logProb, logProbTerms: { base, layers } };
    } finally {
      for (const x of results) x.dispose();
    }
  }

  /** The chunk of actions (1, steps, width), and, if asked for, the terms of its log-probability. */
  #run(seen: Observation, instruction: string, withLogProb: boolean): readonly Tensor[] {
    const { steps, actionWidth } = this.#decoder.config;
    return tidy(() => {
      const pictures = [
        this.#pixels(seen.agentview_image, "agentview_image"),
        this.#pixels(seen.robot0_eye_in_hand_image, "robot0_eye_in_hand_image"),
      ];
      this.#look ??= new Replay((...[a, b]) => this.#perception.look(a, b), pictures);
      const inputs = [
        ...this.#look.run(...pictures),
        this.#prompt(instruction),
        this.#random.normals([1, steps, actionWidth]).scale(this.#sampling.temperature),
      ];
      return this.#replay(inputs, withLogProb).run(...inputs);
    });
  }

  #pixels(image: Image, camera: string): Tensor {
    const size = this.#perception.config.imageSize;
    try {
      return Tensor.from(this.#perception.pixels(image), [1, 3, size, size]);
    } catch (cause) {
      throw new Error(`${this.name}: ${camera}: ${(cause as Error).message}`, { cause });
    }
  }

  #prompt(instruction: string): Tensor {
    let ids = this.#prompts.get(instruction);
    if (!ids) {
      const list = this.#perception.tokens(instruction);
      const make = (): Tensor => Tensor.from(list, [1, list.length], "int32");
      ids = unscoped(() => onDevice(this.#device, make)); // outlives this call
      this.#prompts.set(instruction, ids);
    }
    return ids;
  }

  #replay(examples: readonly Tensor[], withLogProb: boolean): Replay {
    const key = `${examples[2].size} ${withLogProb}`;
    let replay = this.#replays.get(key);
    if (!replay) {
      const sampler = this.#fused ?? this.#decoder;
      const forward = (agentview: Tensor, wrist: Tensor, ids: Tensor, z: Tensor): Tensor[] => {
        const condition = sampler.condition(this.#perception.read([agentview, wrist], ids));
        const actions = sampler.sample(z, condition);
        const terms = withLogProb ? this.#decoder.logProbTerms?.(actions, condition) : undefined;
        return terms ? [actions, concat([terms.base, ...terms.layers], 0)] : [actions];
      };
      replay = new Replay(forward, examples);
      this.#replays.set(key, replay);
    }
    return replay;
  }

  /** Gives back the memory of what was made for inference; the checkpoint's own weights stay. */
  [Symbol.dispose](): void {
    for (const replay of [this.#look, ...this.#replays.values()]) replay?.[Symbol.dispose]();
    for (const ids of this.#prompts.values()) ids.dispose();
    this.#fused?.dispose();
  }
}
