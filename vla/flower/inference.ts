import { concat, type FrozenWeights, noGrad, Tensor, tidy } from "../../core/index.ts";
import { rotate } from "../../nn/index.ts";
import { Constants, type InferenceDecoder, type InferenceOptions } from "../inference/decoder.ts";
import { numbersOf, scaledColumns } from "../inference/matrices.ts";
import { spaceOf } from "./action-spaces.ts";
import type { DitBlock } from "./block.ts";
import type { FlowerConfig, FlowerDecoder } from "./flower.ts";
import { standardise } from "./norm.ts";

/**
 * FLOWER's decoder for inference. Nothing but the actions changes from sample to sample, so ahead of it:
 * - the time embedding depends on the step alone, and with it every shift, scale and gate: vectors for each block and
 *   step, while the layers that made them (a third of the small model's weights) are gone;
 * - (1 + scale) w and shift become one gain and one bias per step; other norm weights, the attention's 1/√d and the
 *   Euler step's 1/N are part of the matrices beside them;
 * - keys and values of the context, which all steps share, are computed once per sample.
 */
export class FlowerInference implements InferenceDecoder {
  readonly config: FlowerConfig;
  readonly #constants: Constants;
  readonly #context: FrozenWeights;
  readonly #encoder: { first: FrozenWeights; bias: Tensor; second: FrozenWeights; secondBias: Tensor };
  readonly #positions: Tensor | null;
  readonly #blocks: readonly Block[];
  /** Minus the velocity over N: what an Euler step adds. */
  readonly #decoder: FrozenWeights;
  readonly #decoderBias: Tensor;
  /** Gain 1 and bias 0 for rows of a width. */
  readonly #plain: ReadonlyMap<number, Affine>;
  readonly #eps: number;

  constructor(decoder: FlowerDecoder, { weights }: InferenceOptions) {
    const { config } = decoder;
    const { width: D, features, actionWidth: A, steps: T, samplingSteps } = config;
    const constants = new Constants(decoder.cond_linear.weight.dtype, weights);
    const own = numbersOf(decoder);
    this.config = config;
    this.#constants = constants;
    this.#eps = decoder.cond_norm.eps;
    const plain = [D, features].map((n): [number, Affine] => [
      n,
      {
        gain: constants.tensor(new Float64Array(n).fill(1), [1, n]),
        bias: constants.tensor(new Float64Array(n), [1, n]),
      },
    ]);
    this.#plain = new Map(plain);
    this.#context = constants.weights(
      [scaledColumns(own("cond_linear.weight"), own("cond_norm.weight"))],
      D,
      features,
    );

    const space = spaceOf(A);
    this.#encoder = {
      first: constants.weights([own(`action_encoders.${space}.fc1.weight`)], D, A),
      bias: constants.tensor(own(`action_encoders.${space}.fc1.bias`), [1, 1, D]),
      second: constants.weights([own(`action_encoders.${space}.fc2.weight`)], D, D),
      secondBias: constants.tensor(own(`action_encoders.${space}.fc2.bias`), [1, 1, D]),
    };
    const { positional_encoding } = decoder;
    this.#positions = positional_encoding
      ? constants.tensor(Float64Array.from(positional_encoding.data), [1, T, D])
      : null;
    const modulations = times(samplingSteps).map((t) => modulationAt(decoder, space, t));
    this.#blocks = decoder.dit.map((block, i) =>
      foldBlock(
        block,
        modulations.map((step) => step[i]),
        config,
        constants,
      ),
    );
    const scale = (x: number): number => -x / samplingSteps;
    this.#decoder = constants.weights([own(`action_decoders.${space}.weight`).map(scale)], A, D);
    this.#decoderBias = constants.tensor(own(`action_decoders.${space}.bias`).map(scale), [1, 1, A]);
  }

  get weightError(): number {
    return this.#constants.error;
  }

  get weightBytes(): number {
    const onceBytes = this.#remembered().reduce((sum, weights) => sum + weights.bytes, 0);
    return onceBytes + this.config.samplingSteps * (this.#constants.bytes - this.#context.bytes - onceBytes);
  }

  weightProducts(tokens: number): number {
    const size = ({ groups, inputs, outputs }: FrozenWeights): number => groups * inputs * outputs;
    const once = this.#remembered().reduce((sum, weights) => sum + size(weights), 0);
    const { steps, samplingSteps } = this.config;
    return once * tokens + samplingSteps * steps * (this.#constants.products - size(this.#context) - once);
  }

  /** Weights that meet the context. */
  #remembered(): FrozenWeights[] {
    return this.#blocks.flatMap(({ cross }) => (cross ? [cross.keys, cross.values] : []));
  }

  condition(features: Tensor): Tensor {
    const { features: H, width } = this.config;
    const { B, S } = features.dims(`B S ${H}`, "FlowerInference.condition");
    const normal = this.#norm(features.reshape([1, B * S, H]));
    return normal.frozenLinear(this.#context).reshape([B, S, width]);
  }

  sample(z: Tensor, condition: Tensor): Tensor {
    const { steps: T, actionWidth: A, width: D, samplingSteps } = this.config;
    const { B } = z.dims(`B ${T} ${A}`, "FlowerInference.sample");
    condition.dims(`${B} S ${D}`, "FlowerInference.sample: condition");
    const memories = this.#blocks.map(({ cross }) => (cross ? this.#remember(cross, condition) : null));
    const { first, bias, second, secondBias } = this.#encoder;
    let actions = z.reshape([1, B * T, A]);
    for (let step = 0; step < samplingSteps; step++) {
      let x = actions.frozenLinear(first, { bias }).gelu().frozenLinear(second, { bias: secondBias });
      if (this.#positions) x = x.reshape([B, T, D]).add(this.#positions).reshape(x.shape);
      this.#blocks.forEach((block, i) => {
        x = this.#block(block, block.modulations[step], x, memories[i], B);
      });
      actions = x.frozenLinear(this.#decoder, { bias: this.#decoderBias, residual: actions });
    }
    return actions.clamp(-1, 1).reshape(z.shape);
  }

  /** x (1, B T, D) → same */
  #block(block: Block, by: Modulation, x: Tensor, memory: Memory | null, B: number): Tensor {
    const { width: D, heads, steps: T } = this.config;
    const seen = this.#norm(x, by.first);
    const turned = this.#turned(
      this.#headNorm(seen.frozenLinear(block.queriesKeys), block.headNorms),
      block.turn,
      B,
    );
    const [q, k] = turned.chunk(2, 0).map((part) => part.reshape([B, T, D]));
    const v = seen.frozenLinear(block.values).reshape([B, T, D]);
    const attended = q.attention(k, v, { heads, scale: 1, causal: true }).reshape(x.shape);
    let y = attended.frozenLinear(block.out).mul(by.gate1).add(x);
    if (block.cross && memory) {
      const { queries, queryNorm, out } = block.cross;
      const asked = this.#headNorm(this.#norm(y).frozenLinear(queries), queryNorm).reshape([B, T, D]);
      const found = asked.attention(memory.keys, memory.values, { heads, scale: 1 }).reshape(x.shape);
      y = found.frozenLinear(out, { residual: y });
    }
    const last = this.#norm(y, by.second);
    const hidden = last.frozenLinear(block.gate).silu().mul(last.frozenLinear(block.up));
    return hidden.frozenLinear(block.down).mul(by.gate2).add(y);
  }

  #remember({ keys, keyNorm, values }: Cross, context: Tensor): Memory {
    const { B, S, D } = context.dims("B S D", "FlowerInference");
    const rows = context.reshape([1, B * S, D]);
    return {
      keys: this.#headNorm(rows.frozenLinear(keys), keyNorm).reshape([B, S, D]),
      values: rows.frozenLinear(values).reshape([B, S, D]),
    };
  }

  /** Normalises each head: x (G, M, D) → same, with a gain for each of the G parts. */
  #headNorm(x: Tensor, affine: Affine): Tensor {
    const [G, M, D] = x.shape;
    const { heads } = this.config;
    return this.#norm(x.reshape([G, M * heads, D / heads]), affine).reshape(x.shape);
  }

  /** Queries and keys (2, B T, D) turned by their position. */
  #turned(x: Tensor, turn: Turn | null, B: number): Tensor {
    if (!turn) return x;
    const { width: D, heads, steps: T } = this.config;
    const apart = x.reshape([2 * B, T, heads, D / heads]);
    return rotate(apart, turn.cos, turn.sin).reshape(x.shape);
  }

  /** x (G, M, n) by gains (G, n), in the form that the decoder was trained with. */
  #norm(x: Tensor, { gain, bias } = this.#plain.get(x.shape[2]) as Affine): Tensor {
    if (this.config.norm === "mean square") return x.rmsNorm(gain, bias, this.#eps);
    const [G, , n] = x.shape;
    const centred = x.sub(x.mean([-1], true));
    const variance = centred
      .square()
      .sum([-1], true)
      .scale(1 / (n - 1));
    const normal = x.div(variance.shift(this.#eps).sqrt());
    return normal.mul(gain.reshape([G, 1, n])).add(bias.reshape([G, 1, n]));
  }

  dispose(): void {
    this.#constants.dispose();
  }
}

/** Gains and biases (G, n). */
interface Affine {
  readonly gain: Tensor;
  readonly bias: Tensor;
}

/** What the time does to one block in one step. */
interface Modulation {
  /** Norm before self-attention, its gate (D); norm before the feed-forward layer, its gate. */
  readonly first: Affine;
  readonly gate1: Tensor;
  readonly second: Affine;
  readonly gate2: Tensor;
}

interface Cross {
  readonly queries: FrozenWeights;
  readonly queryNorm: Affine;
  readonly keys: FrozenWeights;
  readonly keyNorm: Affine;
  readonly values: FrozenWeights;
  readonly out: FrozenWeights;
}

/** Cosines and sines of the positions, (T, 1, half a head). */
interface Turn {
  readonly cos: Tensor;
  readonly sin: Tensor;
}

interface Block {
  readonly modulations: readonly Modulation[];
  readonly queriesKeys: FrozenWeights;
  readonly headNorms: Affine;
  readonly turn: Turn | null;
  readonly values: FrozenWeights;
  readonly out: FrozenWeights;
  readonly cross: Cross | null;
  readonly gate: FrozenWeights;
  readonly up: FrozenWeights;
  readonly down: FrozenWeights;
}

/** (B, S, D) */
interface Memory {
  readonly keys: Tensor;
  readonly values: Tensor;
}

/** Times of the Euler steps: 1, 1 − 1/N, …, 1/N. */
const times = (N: number): number[] => Array.from({ length: N }, (_, i) => (N - i) / N);

/** Shift, scale, gate, shift, scale, gate of each block at time t: (6 D) each. */
function modulationAt(decoder: FlowerDecoder, space: string, t: number): Float64Array[] {
  const { width: D } = decoder.config;
  const whole = tidy(() =>
    noGrad(() => {
      const time = decoder.t_embedder.forward(Tensor.full([1], t, decoder.cond_linear.weight.dtype));
      const g = standardise(time).add(standardise(decoder.embedFrequency())); // (1, D)
      const shared = decoder.adaln[space].forward(g).slice(1, 0, 6 * D);
      const rows = decoder.dit.map((block) => block.adaLN_modulation.forward(g).add(shared));
      return concat(rows, 0); // (layers, 6 D)
    }),
  );
  const all = Float64Array.from(whole.data);
  whole.dispose();
  return decoder.dit.map((_, i) => all.subarray(i * 6 * D, (i + 1) * 6 * D));
}

function foldBlock(
  block: DitBlock,
  modulations: readonly Float64Array[],
  { width: D, heads, steps: T }: FlowerConfig,
  constants: Constants,
): Block {
  const own = numbersOf(block);
  const head = D / heads;
  const qkv = own("self_attn.qkv.weight");
  const part = (i: number): Float64Array => qkv.subarray(i * D * D, (i + 1) * D * D);
  const scaled = (gain: Float64Array): Float64Array => gain.map((x) => x / Math.sqrt(head));
  const gains = (...parts: Float64Array[]): Affine => ({
    gain: constants.tensor(
      parts.flatMap((gain) => [...gain]),
      [parts.length, head],
    ),
    bias: constants.tensor(new Float64Array(parts.length * head), [parts.length, head]),
  });
  const square = (matrix: Float64Array): FrozenWeights => constants.weights([matrix], D, D);
  const cross = block.cross_attn
    ? {
        queries: square(scaledColumns(own("cross_attn.q_proj.weight"), own("norm2.weight"))),
        queryNorm: gains(scaled(own("cross_attn.q_norm.weight"))),
        keys: square(own("cross_attn.k_proj.weight")),
        keyNorm: gains(own("cross_attn.k_norm.weight")),
        values: square(own("cross_attn.v_proj.weight")),
        out: square(own("cross_attn.proj.weight")),
      }
    : null;
  const table = (name: string): Tensor =>
    constants.tensor(own(`self_attn.${name}`).subarray(0, (T * head) / 2), [T, 1, head / 2]);
  const hidden = own("mlp.fc1.weight").length / D;
  const [first, second] = [own("norm1.weight"), own(block.norm3 ? "norm3.weight" : "norm2.weight")];
  return {
    modulations: modulations.map((all) => {
      const chunk = (i: number): Float64Array => all.subarray(i * D, (i + 1) * D);
      const modulated = (gain: Float64Array, shift: Float64Array, scale: Float64Array): Affine => ({
        gain: constants.tensor(
          gain.map((x, i) => x * (1 + scale[i])),
          [1, D],
        ),
        bias: constants.tensor(shift, [1, D]),
      });
      return {
        first: modulated(first, chunk(0), chunk(1)),
        gate1: constants.tensor(chunk(2), [D]),
        second: modulated(second, chunk(3), chunk(4)),
        gate2: constants.tensor(chunk(5), [D]),
      };
    }),
    queriesKeys: constants.weights([part(0), part(1)], D, D),
    headNorms: gains(scaled(own("self_attn.q_norm.weight")), own("self_attn.k_norm.weight")),
    turn: block.self_attn.cos ? { cos: table("cos"), sin: table("sin") } : null,
    values: square(part(2)),
    out: square(own("self_attn.proj.weight")),
    cross,
    gate: constants.weights([own("mlp.fc1.weight")], hidden, D),
    up: constants.weights([own("mlp.fc2.weight")], hidden, D),
    down: constants.weights([own("mlp.proj.weight")], D, hidden),
  };
}
