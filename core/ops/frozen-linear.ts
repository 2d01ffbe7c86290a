import { checkInteger, checkOptions, refuse } from "../check.ts";
import { each, sum } from "../formula/launch.ts";
import { FrozenWeights } from "../frozen-weights.ts";
import { apply, defineOp, sample } from "../op.ts";
import { showShape } from "../shape.ts";
import { Tensor } from "../tensor.ts";

export interface FrozenLinearOptions {
  /** (≥ G, R, N): each of the R bias rows of a group serves M / R rows of it. */
  readonly bias?: Tensor;
  /** Which of the bias's groups goes with the first matrix; 0 unless given. */
  readonly biasFrom?: number;
  /** (G, M, N), added to the result. */
  readonly residual?: Tensor;
}

interface Attrs {
  readonly weights: FrozenWeights;
  readonly bias: boolean;
  readonly biasFrom: number;
  readonly residual: boolean;
}

/** The optional inputs by name. */
export function named<T>(
  ins: readonly T[],
  { bias, residual }: Attrs,
): { readonly x: T; readonly bias?: T; readonly residual?: T } {
  return {
    x: ins[0],
    bias: bias ? ins[1] : undefined,
    residual: residual ? ins[bias ? 2 : 1] : undefined,
  };
}

export const op = defineOp<Attrs>({
  name: "frozenLinear",
  shape(ins, attrs) {
    if (attrs.weights.disposed) throw new Error("frozenLinear: the frozen weights were disposed of");
    const { groups: G, inputs: K, outputs: N } = attrs.weights;
    const { x, bias, residual } = named(ins, attrs);
    const { G: given, M, W } = x.dims("G M W", "frozenLinear");
    if ((given !== 1 && given !== G) || W < K) {
      throw new Error(
        `frozenLinear: expected (1 or ${G}, M, at least ${K}) for ${G} matrices of ${K} inputs, ` +
          `got ${showShape(x.shape)}`,
      );
    }
    if (bias) {
      const { B, R } = bias.dims(`B R ${N}`, "frozenLinear: bias");
      if (B < attrs.biasFrom + G || R === 0 || M % R !== 0) {
        throw new Error(
          `frozenLinear: expected a bias of ${attrs.biasFrom + G} groups at least, its rows a divisor of ${M}, ` +
            `got ${showShape(bias.shape)}`,
        );
      }
    }
    residual?.dims(`${G} ${M} ${N}`, "frozenLinear: residual");
    return [G, M, N];
  },
  formula(operands, attrs) {
    const { x, bias, residual } = named(operands, attrs);
    const weights = operands[operands.length - 1];
    const [G, N, K] = weights.shape;
    const [given, M] = x.shape;
    return each([G, M, N], (g, m, n) => {
      let y = sum(K, (k) => x.at(given === 1 ? 0 : g, m, k).mul(weights.at(g, n, k)));
      if (bias) y = y.add(bias.at(g.add(attrs.biasFrom), m.div(M / bias.shape[1]), n));
      return residual ? y.add(residual.at(g, m, n)) : y;
    });
  },
  structure: ({ bias, biasFrom, residual }) => [bias, biasFrom, residual],
  hosted: (_ins, { weights }) => [
    { shape: [weights.groups, weights.outputs, weights.inputs], numbers: () => weights.values() },
  ],
  shared: ({ weights }) => weights,
  backward(dy, ins, _out, attrs, wants) {
    const { x, bias } = named(ins, attrs);
    const { groups: G, inputs: K, outputs: N } = attrs.weights;
    const [, M] = dy.shape;
    const dx = (): Tensor => {
      const perGroup = dy.matmul(Tensor.from(attrs.weights.values(), [G, N, K], dy.dtype));
      return perGroup.sumTo([x.shape[0], M, K]).pad(2, 0, x.shape[2] - K);
    };
    const dBias = (b: Tensor): Tensor => {
      const R = b.shape[1];
      const rows = dy.reshape([G, R, M / R, N]).sum([2]);
      return rows.pad(0, attrs.biasFrom, b.shape[0] - attrs.biasFrom - G);
    };
    return [
      wants[0] ? dx() : null,
      ...(bias ? [wants[1] ? dBias(bias) : null] : []),
      ...(attrs.residual ? [dy] : []),
    ];
  },
  samples: [
    {
      ...sample([1, 3, 4]),
      get attrs() {
        return { weights: sampleWeights(1, 5, 4), bias: false, biasFrom: 0, residual: false };
      },
    },
    {
      // Rows longer than the matrix has inputs, one bias row for two rows of x.
      ...sample([2, 4, 5], [3, 2, 9], [2, 4, 9]),
      get attrs() {
        return { weights: sampleWeights(2, 9, 3), bias: true, biasFrom: 1, residual: true };
      },
    },
  ],
});

const sampleWeights = (groups: number, outputs: number, inputs: number): FrozenWeights =>
  new FrozenWeights(
    Array.from({ length: groups }, (_, g) =>
      Float64Array.from({ length: outputs * inputs }, (_unused, i) => Math.sin(7 * i + g)),
    ),
    outputs,
    inputs,
  );

/**
 * Products with frozen matrices, x Wᵀ + bias + residual for each of G groups, for inference: x (G, M, W), or (1, M, W)
 * when all groups read the same, → (G, M, N). Rows of x may be longer than the matrices have inputs: their first
 * numbers are read. Gradients flow to x, bias and residual; the weights have none.
 */
export function frozenLinear(x: Tensor, weights: FrozenWeights, options?: FrozenLinearOptions): Tensor {
  if (!(weights instanceof FrozenWeights)) refuse("frozenLinear", "FrozenWeights", weights);
  if (options !== undefined) checkOptions(options, ["bias", "biasFrom", "residual"], "frozenLinear");
  const { bias, biasFrom = 0, residual } = options ?? {};
  checkInteger(biasFrom, 0, "frozenLinear", "biasFrom");
  const ins = [x, ...(bias ? [bias] : []), ...(residual ? [residual] : [])];
  return apply(op, ins, { weights, bias: bias !== undefined, biasFrom, residual: residual !== undefined });
}
