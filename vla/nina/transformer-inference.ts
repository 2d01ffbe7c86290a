import type { Tensor } from "../../core/index.ts";
import { type Bijector, invertCoupling, JointAffineCoupling } from "../../flows/index.ts";
import type { InferenceOptions } from "../inference/decoder.ts";
import { type ChunkMap, inSamplingOrder } from "../inference/sampling-order.ts";
import { InferenceNets } from "./inference-nets.ts";
import { NinaInference } from "./nina-inference.ts";
import type { TransformerConfig, TransformerDecoder, TransformerNet } from "./transformer.ts";

/**
 * NinA's Transformer decoder for inference. Per block of the flow, last first:
 *   z ← z R                       R: the inverse matrix, and the permutation of the block after it
 *   [s, t] = net(z₁, c)           as in `InferenceNets`
 *   z₂ ← (z₂ − t) exp(−tanh s)    z₁ stays
 */
export class TransformerInference extends NinaInference<TransformerConfig> {
  readonly #maps: readonly ChunkMap[];
  /** First block sampled first. */
  readonly #nets: InferenceNets;

  constructor(decoder: TransformerDecoder, options: InferenceOptions) {
    super(decoder, options);
    const { config, nf } = decoder;
    const { constants } = this;
    const { couplings, maps } = inSamplingOrder(nf.layers, isCoupling, nf.base.event, constants);
    this.#maps = maps;
    const nets = couplings.map((coupling) => coupling.net as TransformerNet);
    this.#nets = new InferenceNets(nets, config, ["ff_mult", "ff_shift"], constants);
  }

  weightProducts(): number {
    const { steps, actionWidth, blocks, plu } = this.config;
    return this.#nets.products(steps / 2) + (plu ? blocks * (steps * actionWidth) ** 2 : 0);
  }

  sample(z: Tensor, condition: Tensor): Tensor {
    const { steps, actionWidth } = this.config;
    const B = this.batch(z, condition);
    const conditions = this.#nets.conditions(condition);
    const half = (steps * actionWidth) / 2;
    let x = z.reshape([B, 2 * half]);
    for (let block = 0; block < this.#nets.count; block++) {
      x = this.#maps[block](x);
      const kept = x.slice(1, 0, half).reshape([1, (B * steps) / 2, actionWidth]);
      x = invertCoupling(x, this.#nets.run(block, kept, conditions).reshape([2, B, half]));
    }
    return this.#maps[this.#nets.count](x).clamp(-1, 1).reshape(z.shape);
  }
}

const isCoupling = (layer: Bijector): layer is JointAffineCoupling => layer instanceof JointAffineCoupling;
