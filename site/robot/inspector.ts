import { concat, noGrad, Random, Tensor, tidy } from "../../core/index.ts";
import { type Bijector, InvertiblePLU, Permutation } from "../../flows/index.ts";
import { type Checkpoint, loadCheckpoint } from "../../vla/checkpoint.ts";
import { FlowDecoder, type NinaConfig } from "../../vla/nina/flow-decoder.ts";
import type { Observation } from "../../vla/observation.ts";
import { Perception } from "../../vla/perception.ts";
import type { Layers, Stage } from "./messages.ts";

/** Draws beside the policy's own, at temperature 1: what the flow makes of any noise. */
const OTHERS = 11;

/** A chunk to look into. */
export interface Moment {
  readonly seen: Observation;
  readonly words: string;
  /** The policy's own noise, before its temperature: steps · width numbers. */
  readonly noise: Float32Array;
}

/** Opens a policy's flow: what noise has become after each layer, with the weights that the policy has. */
export class Inspector {
  readonly #perception: Perception;
  readonly #decoder: FlowDecoder<NinaConfig>;
  readonly temperature: number;

  constructor(dir: string) {
    const checkpoint: Checkpoint = loadCheckpoint(dir, "float32");
    const { florence, tokenizer, decoder, config } = checkpoint;
    if (!(decoder instanceof FlowDecoder))
      throw new Error(`Inspector: expected a decoder with a flow, got ${config.decoder.kind}`);
    this.#decoder = decoder;
    this.#perception = new Perception(florence, tokenizer, config.perception);
    this.temperature = config.sampling.temperature;
  }

  /** Numbers of a chunk. */
  get size(): number {
    const { steps, actionWidth } = this.#decoder.config;
    return steps * actionWidth;
  }

  layers(chunk: number, { seen, words, noise }: Moment): Layers {
    const { steps, actionWidth } = this.#decoder.config;
    const flow = this.#decoder.nf;
    const stages: Stage[] = [];
    noGrad(() =>
      tidy(() => {
        const others = new Random(1).normals([OTHERS, this.size]);
        const own = Tensor.from(noise, [1, this.size]).scale(this.temperature);
        let x = concat([own, others], 0).reshape([1 + OTHERS, ...flow.base.event]);
        const condition = this.#condition(seen, words).broadcastTo([
          1 + OTHERS,
          this.#decoder.config.condition,
        ]);
        const undone = flow.layers.toReversed();
        const places = placesOf(undone, this.size);
        stages.push(stageOf(null, 0, x, places[0]));
        for (const [i, layer] of undone.entries()) {
          const { out, logDet } = layer.inverse(x, condition);
          x = out;
          stages.push(stageOf(layer.constructor.name, logDet.data[0], x, places[i + 1]));
        }
        return [];
      }),
    );
    return { chunk, steps, width: actionWidth, temperature: this.temperature, stages };
  }

  #condition(seen: Observation, words: string): Tensor {
    const size = this.#perception.config.imageSize;
    const [agentview, wrist] = [seen.agentview_image, seen.robot0_eye_in_hand_image].map((image) =>
      Tensor.from(this.#perception.pixels(image), [1, 3, size, size]),
    );
    const ids = this.#perception.tokens(words);
    const features = this.#perception.features(agentview, wrist, Tensor.from(ids, [1, ids.length], "int32"));
    return this.#decoder.condition(features);
  }
}

/**
 * Where each entry ends up: layers permute the entries again and again, and a curve is only one if its entries stand
 * side by side. So each stage is drawn with the permutations that are still to come already done: those of the layers
 * of this name, and those within `InvertiblePLU`.
 */
function placesOf(undone: readonly Bijector[], size: number): number[][] {
  const places = [Array.from({ length: size }, (_, i) => i)];
  for (const layer of undone.toReversed()) {
    const [after] = places;
    const sources = sourcesOf(layer, size);
    const before = new Array<number>(size);
    for (let to = 0; to < size; to++) before[sources[to]] = after[to];
    places.unshift(before);
  }
  return places;
}

/** The entry of z that stands at each entry of x = inverse(z), as far as the layer permutes. */
function sourcesOf(layer: Bijector, size: number): ArrayLike<number> {
  const identity = Array.from({ length: size }, (_, i) => i);
  if (layer instanceof Permutation) {
    const { data } = layer.inv_perm;
    if (data.length === size) return data;
    const width = size / data.length; // whole steps are permuted
    return identity.map((i) => data[Math.floor(i / width)] * width + (i % width));
  }
  if (!(layer instanceof InvertiblePLU)) return identity;
  const inverse = layer.P_inv.data;
  return identity.map((to) => identity.find((from) => inverse[from * size + to] === 1)!);
}

function stageOf(layer: string | null, logDet: number, x: Tensor, places: readonly number[]): Stage {
  const [count, size] = [x.shape[0], places.length];
  const draws = Array.from({ length: count }, (_, draw) => {
    const placed = new Float32Array(size);
    for (let i = 0; i < size; i++) placed[places[i]] = x.data[draw * size + i];
    return placed;
  });
  return { layer, logDet, draws };
}
