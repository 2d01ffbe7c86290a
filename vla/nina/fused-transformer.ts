import type { FrozenWeights, Tensor } from "../../core/index.ts";
import { type Bijector, JointAffineCoupling } from "../../flows/index.ts";
import {
  affine,
  centred,
  type Numbers,
  numbersOf,
  product,
  scaledColumns,
  type Unfolded,
  unfold,
} from "../fold.ts";
import { Constants, type FusedDecoder, type FuseOptions } from "../fused.ts";
import { poolTokens } from "./decoder.ts";
import type { TransformerConfig, TransformerDecoder } from "./transformer.ts";

/** nn.LayerNorm's, which the networks use. */
const EPS = 1e-5;

/**
 * NinA's Transformer decoder for inference. Per block of the flow, last first:
 *   z ← z R                                       R: the inverse matrix, and the permutation of the block after it
 *   h = W z₁ + b                                  a token for each of the first T/2 steps
 *   h ← h + Wₒ attend(W_qkv n(h)) + (M c + m)     `depth` times, n(h) = h / √(mean h² + ε)
 *   [s, t] = W₂ GELU(W₁ n(h))                     both heads at once
 *   z₂ ← (z₂ − t) exp(−tanh s)                    z₁ stays
 * Exactly the decoder's algebra:
 * - Cross-attention sees one key, so its softmax is 1 and it adds the same vector to every token, affine in the
 *   condition: M = Wₒ Wᵥ W_c. All of them are one product.
 * - Every reader of h is a LayerNorm, which ignores the mean over features. So whatever is added to h is centred ahead,
 *   h stays centred, and only the division is left. The gains and biases are part of the matrices that follow, and so
 *   is the attention's 1/√d.
 */
export class FusedTransformer implements FusedDecoder {
  readonly config: TransformerConfig;
  readonly #constants: Constants;
  readonly #projection: FrozenWeights;
  readonly #projectionBias: Tensor;
  readonly #flow: Unfolded<JointAffineCoupling>;
  /** (blocks · depth, E, C): what cross-attention adds, first block sampled first; with the self-attention's bias. */
  readonly #conditionWeights: FrozenWeights;
  readonly #conditionBias: Tensor;
  readonly #nets: readonly Net[];
  readonly #ones: Tensor;
  readonly #zeros: Tensor;

  constructor(decoder: TransformerDecoder, { weights }: FuseOptions) {
    const { config, cond_proj, nf } = decoder;
    const { condition: C, width: E, features, depth } = config;
    const constants = new Constants(cond_proj.weight.dtype, weights);
    this.config = config;
    this.#constants = constants;
    const own = numbersOf(cond_proj);
    this.#projection = constants.weights([own("weight")], C, features);
    this.#projectionBias = constants.tensor(own("bias"), [1, 1, C]);
    this.#ones = constants.tensor(new Float64Array(E).fill(1), [1, E]);
    this.#zeros = constants.tensor(new Float64Array(E), [1, E]);

    this.#flow = unfold(nf.layers, isCoupling, nf.base.event, constants);
    const nets = this.#flow.couplings.map((coupling) => numbersOf(coupling.net));
    const added = nets.flatMap((net) =>
      Array.from({ length: depth }, (_, j) => crossAttention((name) => net(`subblocks.${j}.${name}`), E, C)),
    );
    this.#conditionWeights = constants.weights(
      added.map(({ matrix }) => matrix),
      E,
      C,
    );
    this.#conditionBias = constants.tensor(
      added.flatMap(({ bias }) => [...bias]),
      [added.length, 1, E],
    );
    this.#nets = nets.map((net) => foldNet(net, config, constants));
  }

  get weightError(): number {
    return this.#constants.error;
  }

  get weightBytes(): number {
    return this.#constants.bytes - this.#projection.bytes;
  }

  weightProducts(): number {
    const { condition: C, features, depth, width, actionWidth, steps, blocks, plu } = this.config;
    const total = this.#constants.products - C * features;
    const once = blocks * (depth * width * C + (plu ? (steps * actionWidth) ** 2 : 0));
    return once + (total - once) * (steps / 2); // the rest meets every token of the first half
  }

  condition(features: Tensor): Tensor {
    const { B } = features.dims(`B S ${this.config.features}`, "FusedTransformer.condition");
    const pooled = poolTokens(features).reshape([1, B, this.config.features]);
    const bias = this.#projectionBias;
    return pooled.frozenLinear(this.#projection, { bias }).reshape([B, this.config.condition]);
  }

  sample(z: Tensor, condition: Tensor): Tensor {
    const { steps, actionWidth, condition: C, depth } = this.config;
    const { B } = z.dims(`B ${steps} ${actionWidth}`, "FusedTransformer.sample");
    condition.dims(`${B} ${C}`, "FusedTransformer.sample: condition");
    const { maps } = this.#flow;
    const conditions = condition
      .reshape([1, B, C])
      .frozenLinear(this.#conditionWeights, { bias: this.#conditionBias }); // (blocks · depth, B, E)
    let x = z.reshape([B, steps * actionWidth]);
    this.#nets.forEach((net, block) => {
      x = maps[block](x);
      x = x.uncouple(this.#scaleShift(net, x, conditions, block * depth));
    });
    return maps[this.#nets.length](x).clamp(-1, 1).reshape(z.shape);
  }

  /** x (B, N), of which the first half is read → [s, t] (2, B, N/2). */
  #scaleShift(net: Net, x: Tensor, conditions: Tensor, from: number): Tensor {
    const { actionWidth: A, width: E, heads } = this.config;
    const [B, N] = x.shape;
    const L = N / 2 / A;
    const kept = x.slice(1, 0, N / 2).reshape([1, B * L, A]);
    let h = kept.frozenLinear(net.input, { bias: net.inputBias }); // (1, B L, E)
    net.subblocks.forEach(({ qkv, qkvBias, out }, j) => {
      const rows = this.#normal(h)
        .frozenLinear(qkv, { bias: qkvBias })
        .reshape([B, L, 3 * E]);
      const seen = rows.attention(rows, rows, { heads, width: E, keysAt: E, valuesAt: 2 * E });
      h = seen
        .reshape([1, B * L, E])
        .frozenLinear(out, { bias: conditions, biasFrom: from + j, residual: h });
    });
    const hidden = this.#normal(h).frozenLinear(net.first, { bias: net.firstBias }).gelu(); // (2, B L, 2 E)
    return hidden.frozenLinear(net.last, { bias: net.lastBias }).reshape([2, B, N / 2]);
  }

  #normal(h: Tensor): Tensor {
    return h.rmsNorm(this.#ones, this.#zeros, EPS);
  }

  dispose(): void {
    this.#constants.dispose();
  }
}

/** The network of one coupling. */
interface Net {
  readonly input: FrozenWeights;
  readonly inputBias: Tensor;
  readonly subblocks: readonly {
    readonly qkv: FrozenWeights;
    readonly qkvBias: Tensor;
    readonly out: FrozenWeights;
  }[];
  /** Scale head, shift head. */
  readonly first: FrozenWeights;
  readonly firstBias: Tensor;
  readonly last: FrozenWeights;
  readonly lastBias: Tensor;
}

type Named = (name: string) => Numbers;

/** Cross-attention to one token, and the bias of the self-attention before it: h gains `matrix` c + `bias`. */
function crossAttention(sub: Named, E: number, C: number): { matrix: Numbers; bias: Numbers } {
  const [out, value] = [
    sub("cross_attn.out_proj.weight"),
    sub("cross_attn.in_proj_weight").subarray(2 * E * E),
  ];
  const token = affine(value, sub("cond_proj.bias"), sub("cross_attn.in_proj_bias").subarray(2 * E));
  const added = affine(out, token, sub("cross_attn.out_proj.bias"));
  const selfBias = sub("self_attn.out_proj.bias");
  return {
    matrix: centred(product(out, product(value, sub("cond_proj.weight"), E), E), C),
    bias: centred(
      added.map((x, i) => x + selfBias[i]),
      1,
    ),
  };
}

function foldNet(net: Named, config: TransformerConfig, constants: Constants): Net {
  const { width: E, heads, depth, actionWidth: A } = config;
  const subblocks = Array.from({ length: depth }, (_, j) => {
    const sub: Named = (name) => net(`subblocks.${j}.${name}`);
    const matrix = sub("self_attn.in_proj_weight");
    const bias = affine(matrix, sub("norm1.bias"), sub("self_attn.in_proj_bias"));
    const gained = scaledColumns(matrix, sub("norm1.weight"));
    const scale = Math.sqrt(heads / E);
    for (let i = 0; i < E * E; i++) gained[i] *= scale;
    for (let i = 0; i < E; i++) bias[i] *= scale;
    return {
      qkv: constants.weights([gained], 3 * E, E),
      qkvBias: constants.tensor(bias, [1, 1, 3 * E]),
      out: constants.weights([centred(sub("self_attn.out_proj.weight"), E)], E, E),
    };
  });
  const heads2 = ["ff_mult", "ff_shift"];
  const both = (name: string): number[] => heads2.flatMap((head) => [...net(`${head}.${name}`)]);
  return {
    input: constants.weights([centred(net("input_proj.weight"), A)], E, A),
    inputBias: constants.tensor(centred(net("input_proj.bias"), 1), [1, 1, E]),
    subblocks,
    first: constants.weights(
      heads2.map((head) => scaledColumns(net(`${head}.0.weight`), net("norm3.weight"))),
      2 * E,
      E,
    ),
    firstBias: constants.tensor(
      heads2.flatMap((head) => [
        ...affine(net(`${head}.0.weight`), net("norm3.bias"), net(`${head}.0.bias`)),
      ]),
      [2, 1, 2 * E],
    ),
    last: constants.weights(
      heads2.map((head) => net(`${head}.3.weight`)),
      A,
      2 * E,
    ),
    lastBias: constants.tensor(both("3.bias"), [2, 1, A]),
  };
}

const isCoupling = (layer: Bijector): layer is JointAffineCoupling => layer instanceof JointAffineCoupling;
