import {
  concat,
  cpu,
  type Device,
  onDevice,
  Plan,
  Random,
  Tensor,
  tidy,
  unscoped,
} from "../../core/index.ts";
import type { Checkpoint, SamplingConfig } from "../checkpoint.ts";
import type { Decoder } from "../decoder.ts";
import type { InferenceDecoder } from "../inference/decoder.ts";
import type { Image, Observation } from "../observation.ts";
import { Perception } from "../perception.ts";
import { Batcher } from "./batcher.ts";
import type { ActionChunk, Policy } from "./policy.ts";

/** Queries that are answered as one batch, at most: each size of batch is a plan with room of its own. */
const MOST_TOGETHER = 4;

/**
 * Forward passes that stay captured, and prompts that stay made: enough for every length and batch of an evaluation.
 * Beyond that the oldest goes, since those who ask a server may think of ever new words.
 */
const MOST_CAPTURES = 32;
const MOST_PROMPTS = 1024;

/** What an episode asks. */
interface Query {
  /** Both cameras' pixels, (3, S, S) each. */
  readonly pixels: readonly [agentview: Float32Array, wrist: Float32Array];
  /** The prompt, (L). */
  readonly ids: Int32Array;
  /** The episode's own: what it is asked next does not depend on other episodes. */
  readonly random: Random;
  readonly logProb: boolean;
}

/**
 * NinA at work (arXiv:2508.16845, section 3): both camera pictures and the instruction go through the Florence-2
 * encoder, its features condition the decoder, and one sample z ~ N(0, temperature² I) becomes a chunk of actions, of
 * which the first `actionsPerQuery` are handed out. Other decoders than NinA's do the same in their own way. It
 * computes where the checkpoint's weights are.
 *
 * Episodes that are played at the same time have a `policy()` each. What they ask while others wait is answered as one
 * batch, to the same bits as alone.
 */
export class NinaModel implements Disposable {
  readonly name: string;
  readonly #sampling: SamplingConfig;
  readonly #perception: Perception;
  readonly #decoder: Decoder;
  readonly #device: Device;
  /** Samples on cpu, if the decoder has such a form; densities come from the checkpoint's own decoder. */
  readonly #fast: InferenceDecoder | undefined;
  /** What cameras see, captured once for all prompts, by size of batch. */
  readonly #looks = new Map<number, Plan>();
  /** The rest of the forward pass, captured for each shape of prompts, with log-probabilities and without. */
  readonly #replays = new Map<string, Plan>();
  readonly #prompts = new Map<string, Int32Array>();
  readonly #batcher: Batcher<Query, ActionChunk>;

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
    this.#fast = this.#device === cpu ? decoder.forInference?.({ weights: "float32" }) : undefined;
    this.#batcher = new Batcher((queries) => this.#answer(queries), {
      together: ({ ids, logProb }) => `${ids.length} ${logProb}`,
      most: MOST_TOGETHER,
    });
  }

  /** Makes the prompt of an instruction ready. @throws Error for one that is too long. */
  prepare(instruction: string): void {
    this.#prompt(instruction);
  }

  /** A policy with random numbers of its own. */
  policy(): Policy {
    let random = new Random(0);
    return {
      name: this.name,
      reset: (seed) => {
        random = new Random(seed);
      },
      act: async (seen, instruction, { logProb = false } = {}) =>
        this.#batcher.ask({
          pixels: [this.#pixels(seen, "agentview_image"), this.#pixels(seen, "robot0_eye_in_hand_image")],
          ids: this.#prompt(instruction),
          random,
          logProb,
        }),
    };
  }

  #pixels(seen: Observation, camera: "agentview_image" | "robot0_eye_in_hand_image"): Float32Array {
    const image: Image = seen[camera];
    try {
      return this.#perception.pixels(image);
    } catch (cause) {
      throw new Error(`${this.name}: ${camera}: ${(cause as Error).message}`, { cause });
    }
  }

  #prompt(instruction: string): Int32Array {
    let ids = this.#prompts.get(instruction);
    if (!ids) {
      ids = this.#perception.tokens(instruction);
      makeRoom(this.#prompts, MOST_PROMPTS);
      this.#prompts.set(instruction, ids);
    }
    return ids;
  }

  async #answer(queries: readonly Query[]): Promise<ActionChunk[]> {
    const { steps, actionWidth } = this.#decoder.config;
    const results = unscoped(() => onDevice(this.#device, () => this.#run(queries)));
    try {
      const [chunks, terms] = await Promise.all(results.map((x) => x.read()));
      return queries.map((_query, b): ActionChunk => {
        const actions = Array.from({ length: this.#sampling.actionsPerQuery }, (_unused, t) => {
          const at = (b * steps + t) * actionWidth;
          return Float64Array.from(chunks.subarray(at, at + actionWidth));
        });
        if (!terms) return { actions };
        const [base, ...layers] = Array.from(terms).filter((_term, i) => i % queries.length === b);
        const logProb = layers.reduce((sum, logDet) => sum + logDet, base);
        return { actions, logProb, logProbTerms: { base, layers } };
      });
    } finally {
      for (const x of results) x.dispose();
    }
  }

  /** The chunks of actions (B, steps, width), and, if asked for, the terms of their log-probability, (terms · B). */
  #run(queries: readonly Query[]): readonly Tensor[] {
    const { steps, actionWidth } = this.#decoder.config;
    const B = queries.length;
    const size = this.#perception.config.imageSize;
    return tidy(() => {
      const pictures = [0, 1].map((camera) =>
        Tensor.from(joined(queries.map(({ pixels }) => pixels[camera])), [B, 3, size, size]),
      );
      const noise = queries.map(({ random }) => random.normals([1, steps, actionWidth]));
      const inputs = [
        ...this.#look(pictures).run(...pictures),
        Tensor.from(
          queries.flatMap(({ ids }) => [...ids]),
          [B, queries[0].ids.length],
          "int32",
        ),
        concat(noise, 0).scale(this.#sampling.temperature),
      ];
      return this.#replay(inputs, queries[0].logProb).run(...inputs);
    });
  }

  #look(pictures: readonly Tensor[]): Plan {
    const [B] = pictures[0].shape;
    let look = this.#looks.get(B);
    if (!look) {
      look = new Plan((agentview, wrist) => this.#perception.look(agentview, wrist), pictures);
      this.#looks.set(B, look);
    }
    return look;
  }

  #replay(examples: readonly Tensor[], withLogProb: boolean): Plan {
    const key = `${examples[2].shape} ${withLogProb}`;
    let replay = this.#replays.get(key);
    if (!replay) {
      const sampler = this.#fast ?? this.#decoder;
      const forward = (agentview: Tensor, wrist: Tensor, ids: Tensor, z: Tensor): Tensor[] => {
        const condition = sampler.condition(this.#perception.read([agentview, wrist], ids));
        const actions = sampler.sample(z, condition);
        const terms = withLogProb ? this.#decoder.logProbTerms?.(actions, condition) : undefined;
        return terms ? [actions, concat([terms.base, ...terms.layers], 0)] : [actions];
      };
      makeRoom(this.#replays, MOST_CAPTURES)?.[Symbol.dispose]();
      replay = new Plan(forward, examples);
      this.#replays.set(key, replay);
    }
    return replay;
  }

  /** Gives back the memory of what was made for inference; the checkpoint's own weights stay. */
  [Symbol.dispose](): void {
    for (const replay of [...this.#looks.values(), ...this.#replays.values()]) replay[Symbol.dispose]();
    this.#fast?.dispose();
  }
}

/** Takes the oldest out of a map that has `most` entries. @returns what it was. */
function makeRoom<T>(map: Map<string, T>, most: number): T | undefined {
  if (map.size < most) return undefined;
  const [[key, oldest]] = map;
  map.delete(key);
  return oldest;
}

/** Arrays of one length, one behind the other. */
function joined([first, ...others]: readonly Float32Array[]): Float32Array {
  if (others.length === 0) return first;
  const all = new Float32Array(first.length * (1 + others.length));
  for (const [i, array] of [first, ...others].entries()) all.set(array, i * first.length);
  return all;
}
