import type { FrozenWeights, Tensor } from "../../core/index.ts";
import type { Constants } from "../inference/decoder.ts";
import { affine, centred, type Numbers, numbersOf, product, scaledColumns } from "../inference/matrices.ts";
import type { TransformerNet, TransformerNetConfig } from "./transformer.ts";

/** nn.LayerNorm's, which the networks use. */
const EPS = 1e-5;

/** Heads of the network: what it is asked for. */
export type Head = "ff_mult" | "ff_shift";

/**
 * The networks of a Transformer decoder, their constants multiplied out, exactly:
 *   h = W x + b                                   a token for each step
 *   h ← h + Wₒ attention(W_qkv n(h)) + (M c + m)     `depth` times, n(h) = h / √(mean h² + ε)
 *   out = W₂ GELU(W₁ n(h))                        all heads at once
 * - Cross-attention sees one key, so its softmax is 1 and it adds the same vector to every token, affine in the
 *   condition: M = Wₒ Wᵥ W_c. Those of all networks are one product.
 * - Every reader of h is a LayerNorm, which ignores the mean over features. So whatever is added to h is centred ahead,
 *   h stays centred, and only the division is left. The gains and biases are part of the matrices that follow, and so
 *   is the attention's 1/√d.
 */
export class InferenceNets {
  readonly #config: TransformerNetConfig;
  /** (networks · depth, E, C): what cross-attention adds, together with the self-attention's bias. */
  readonly #conditionWeights: FrozenWeights;
  readonly #conditionBias: Tensor;
  readonly #nets: readonly Net[];
  readonly #ones: Tensor;
  readonly #zeros: Tensor;

  constructor(
    nets: readonly TransformerNet[],
    config: TransformerNetConfig,
    heads: readonly Head[],
    constants: Constants,
  ) {
    const { width: E, condition: C, depth } = config;
    this.#config = config;
    this.#ones = constants.tensor(new Float64Array(E).fill(1), [1, E]);
    this.#zeros = constants.tensor(new Float64Array(E), [1, E]);
    const own = nets.map(numbersOf);
    const added = own.flatMap((net) =>
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
    this.#nets = own.map((net) => foldNet(net, config, heads, constants));
  }

  get count(): number {
    return this.#nets.length;
  }

  /** Multiplications with a weight for one chunk of which each network sees `tokens` tokens. */
  products(tokens: number): number {
    const size = ({ groups, inputs, outputs }: FrozenWeights): number => groups * inputs * outputs;
    const perToken = this.#nets
      .flatMap(({ input, subblocks, first, last }) => [
        input,
        ...subblocks.flatMap(({ qkv, out }) => [qkv, out]),
        first,
        last,
      ])
      .reduce((sum, weights) => sum + size(weights), 0);
    return size(this.#conditionWeights) + tokens * perToken;
  }

  /** Condition (B, C) → its part in all networks, (networks · depth, B, E). */
  conditions(condition: Tensor): Tensor {
    const rows = condition.reshape([1, ...condition.shape]);
    return rows.frozenLinear(this.#conditionWeights, { bias: this.#conditionBias });
  }

  /** Network `index` on tokens (1, B L, A), with what `conditions` gave → (heads, B L, A). */
  run(index: number, tokens: Tensor, conditions: Tensor): Tensor {
    const { width: E, heads, depth } = this.#config;
    const B = conditions.shape[1];
    const M = tokens.shape[1];
    const net = this.#nets[index];
    let h = tokens.frozenLinear(net.input, { bias: net.inputBias }); // (1, B L, E)
    net.subblocks.forEach(({ qkv, qkvBias, out }, j) => {
      const rows = this.#normal(h)
        .frozenLinear(qkv, { bias: qkvBias })
        .reshape([B, M / B, 3 * E]);
      const seen = rows.attention(rows, rows, { heads, width: E, scale: 1, keysAt: E, valuesAt: 2 * E });
      h = seen
        .reshape([1, M, E])
        .frozenLinear(out, { bias: conditions, biasFrom: index * depth + j, residual: h });
    });
    const hidden = this.#normal(h).frozenLinear(net.first, { bias: net.firstBias }).gelu(); // (heads, B L, 2 E)
    return hidden.frozenLinear(net.last, { bias: net.lastBias });
  }

  #normal(h: Tensor): Tensor {
    return h.rmsNorm(this.#ones, this.#zeros, EPS);
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
  /** A matrix for each head. */
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

function foldNet(
  net: Named,
  { width: E, heads, depth, actionWidth: A }: TransformerNetConfig,
  wanted: readonly Head[],
  constants: Constants,
): Net {
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
  const both = (name: string): number[] => wanted.flatMap((head) => [...net(`${head}.${name}`)]);
  return {
    input: constants.weights([centred(net("input_proj.weight"), A)], E, A),
    inputBias: constants.tensor(centred(net("input_proj.bias"), 1), [1, 1, E]),
    subblocks,
    first: constants.weights(
      wanted.map((head) => scaledColumns(net(`${head}.0.weight`), net("norm3.weight"))),
      2 * E,
      E,
    ),
    firstBias: constants.tensor(
      wanted.flatMap((head) => [
        ...affine(net(`${head}.0.weight`), net("norm3.bias"), net(`${head}.0.bias`)),
      ]),
      [wanted.length, 1, 2 * E],
    ),
    last: constants.weights(
      wanted.map((head) => net(`${head}.3.weight`)),
      A,
      2 * E,
    ),
    lastBias: constants.tensor(both("3.bias"), [wanted.length, 1, A]),
  };
}
