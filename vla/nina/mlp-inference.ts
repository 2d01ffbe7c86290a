import type { FrozenWeights, Tensor } from "../../core/index.ts";
import { AffineCoupling, type Bijector, invertCoupling } from "../../flows/index.ts";
import type { InferenceOptions } from "../inference/decoder.ts";
import { centred, columns, numbersOf } from "../inference/matrices.ts";
import { inSamplingOrder, type SamplingOrder } from "../inference/sampling-order.ts";
import type { MlpConfig, MlpDecoder } from "./mlp.ts";
import { NinaInference } from "./nina-inference.ts";

/**
 * NinA's MLP decoder for inference. Per block of the flow, last first:
 *   z ← z R                                     R: the inverse matrix, and the permutation of the block after it
 *   [s, t] = W₃ g(W₂ g(W₁ z₁ + (V c + b)))      both networks at once, g(u) = GELU(u / √(mean u² + ε) · γ + β)
 *   z₂ ← (z₂ − t) exp(−tanh s)                  z₁ stays
 * V c + b is one product for all blocks and both networks. LayerNorm's centring is part of W₁, V, b and W₂, so that
 * only its division is left.
 */
export class MlpInference extends NinaInference<MlpConfig> {
  readonly #flow: SamplingOrder<AffineCoupling>;
  /** (2 blocks, E, C): scale and shift network of the first block sampled, of the second, … */
  readonly #conditionWeights: FrozenWeights;
  readonly #conditionBias: Tensor;
  readonly #nets: readonly NetPair[];

  constructor(decoder: MlpDecoder, options: InferenceOptions) {
    super(decoder, options);
    const { config, nf } = decoder;
    const { constants } = this;
    const { condition: C, width: E } = config;
    const half = (config.steps * config.actionWidth) / 2;

    this.#flow = inSamplingOrder(nf.layers, isCoupling, nf.base.event, constants);
    const nets = this.#flow.couplings.flatMap((coupling) =>
      [coupling.scale_net, coupling.shift_net].map(numbersOf),
    );
    const first = nets.map((net) => centred(net("net.0.weight"), half + C)); // (E, half + C)
    this.#conditionWeights = constants.weights(
      first.map((matrix) => columns(matrix, half + C, half, half + C)),
      E,
      C,
    );
    const conditionBias = nets.flatMap((net) => [...centred(net("net.0.bias"), 1)]);
    this.#conditionBias = constants.tensor(conditionBias, [nets.length, 1, E]);

    this.#nets = this.#flow.couplings.map((_, block) => {
      const pair = nets.slice(2 * block, 2 * block + 2);
      const both = (name: string): number[] => pair.flatMap((net) => [...net(name)]);
      return {
        first: constants.weights(
          first.slice(2 * block, 2 * block + 2).map((matrix) => columns(matrix, half + C, 0, half)),
          E,
          half,
        ),
        gain1: constants.tensor(both("net.1.weight"), [2, E]),
        bias1: constants.tensor(both("net.1.bias"), [2, E]),
        second: constants.weights(
          pair.map((net) => centred(net("net.3.weight"), E)),
          E,
          E,
        ),
        secondBias: constants.tensor(
          pair.flatMap((net) => [...centred(net("net.3.bias"), 1)]),
          [2, 1, E],
        ),
        gain2: constants.tensor(both("net.4.weight"), [2, E]),
        bias2: constants.tensor(both("net.4.bias"), [2, E]),
        last: constants.weights(
          pair.map((net) => net("net.6.weight")),
          half,
          E,
        ),
        lastBias: constants.tensor(both("net.6.bias"), [2, 1, half]),
      };
    });
  }

  weightProducts(): number {
    const { condition: C, features } = this.config;
    return this.constants.products - C * features;
  }

  sample(z: Tensor, condition: Tensor): Tensor {
    const { steps, actionWidth, condition: C } = this.config;
    const B = this.batch(z, condition);
    const { maps } = this.#flow;
    const conditions = condition
      .reshape([1, B, C])
      .frozenLinear(this.#conditionWeights, { bias: this.#conditionBias }); // (2 blocks, B, E)
    let x = z.reshape([B, steps * actionWidth]);
    this.#nets.forEach((net, block) => {
      x = maps[block](x);
      x = invertCoupling(x, scaleShift(net, x, conditions, 2 * block));
    });
    return maps[this.#nets.length](x).clamp(-1, 1).reshape(z.shape);
  }
}

/** Scale and shift network of one coupling: matrices and biases in pairs. */
interface NetPair {
  readonly first: FrozenWeights;
  readonly gain1: Tensor;
  readonly bias1: Tensor;
  readonly second: FrozenWeights;
  readonly secondBias: Tensor;
  readonly gain2: Tensor;
  readonly bias2: Tensor;
  readonly last: FrozenWeights;
  readonly lastBias: Tensor;
}

/** nn.LayerNorm's, which the networks use. */
const EPS = 1e-5;

/** x (B, N), of which the first half is read, and the condition's part from group `from` on → [s, t] (2, B, N/2). */
function scaleShift(net: NetPair, x: Tensor, conditions: Tensor, from: number): Tensor {
  const rows = x.reshape([1, ...x.shape]);
  const first = rows.frozenLinear(net.first, { bias: conditions, biasFrom: from }); // (2, B, E)
  const second = first
    .rmsNorm(net.gain1, net.bias1, EPS)
    .gelu()
    .frozenLinear(net.second, { bias: net.secondBias });
  return second.rmsNorm(net.gain2, net.bias2, EPS).gelu().frozenLinear(net.last, { bias: net.lastBias });
}

const isCoupling = (layer: Bijector): layer is AffineCoupling => layer instanceof AffineCoupling;
