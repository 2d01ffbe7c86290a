import type { Tensor } from "../../core/index.ts";
import { InvertiblePLU } from "../../flows/index.ts";
import type { InferenceOptions } from "../inference/decoder.ts";
import { type ChunkMap, inverseMap } from "../inference/sampling-order.ts";
import { InferenceNets } from "./inference-nets.ts";
import type { MseConfig, MseDecoder } from "./mse.ts";
import { NinaInference } from "./nina-inference.ts";

/**
 * The ablation without a flow for inference: the networks of `InferenceNets` in turn, each followed by its inverse
 * matrix.
 */
export class MseInference extends NinaInference<MseConfig> {
  readonly #nets: InferenceNets;
  /** What follows each network; nothing without `plu`. */
  readonly #maps: readonly ChunkMap[];

  constructor(decoder: MseDecoder, options: InferenceOptions) {
    super(decoder, options);
    const { config, nf } = decoder;
    const { constants } = this;
    const { steps, actionWidth } = config;
    const nets = nf.layers.flatMap((layer) => (layer instanceof InvertiblePLU ? [] : [layer.net]));
    this.#nets = new InferenceNets(nets, config, ["ff_mult"], constants);
    this.#maps = nf.layers
      .filter((layer) => layer instanceof InvertiblePLU)
      .map((layer) => inverseMap([layer], [steps, actionWidth], constants));
  }

  weightProducts(): number {
    const { steps, actionWidth, blocks, plu } = this.config;
    return this.#nets.products(steps) + (plu ? blocks * (steps * actionWidth) ** 2 : 0);
  }

  sample(z: Tensor, condition: Tensor): Tensor {
    const { steps, actionWidth } = this.config;
    const B = this.batch(z, condition);
    const conditions = this.#nets.conditions(condition);
    let x = z.reshape([1, B * steps, actionWidth]);
    for (let block = 0; block < this.#nets.count; block++) {
      x = this.#nets.run(block, x, conditions);
      const map = this.#maps.at(block);
      if (map) x = map(x.reshape([B, steps * actionWidth])).reshape(x.shape);
    }
    return x.clamp(-1, 1).reshape(z.shape);
  }
}
