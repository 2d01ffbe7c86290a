/** Weights multiplied out ahead of inference, in float64 on the host. Matrices are row-major, (outputs, inputs). */
import { Tensor, tidy } from "../../core/index.ts";
import { type Bijector, InvertiblePLU, Permutation } from "../../flows/index.ts";
import { inDType, type Module } from "../../nn/index.ts";
import type { Constants } from "./fused.ts";

export type Numbers = Float64Array;

/** The tensors of a module by name, as float64 numbers. Throws for a name it does not have. */
export function numbersOf(module: Module): (name: string) => Numbers {
  const tensors = new Map(module.namedTensors());
  return (name) => {
    const tensor = tensors.get(name);
    if (!tensor) throw new Error(`${module.constructor.name}: has no tensor ${name}`);
    return new Float64Array(tensor.data);
  };
}

/** A B for A (M, K) and B (K, N): four rows of B at a time, so that sums are stored a quarter as often. */
export function product(a: Numbers, b: Numbers, K: number): Numbers {
  const [M, N] = [a.length / K, b.length / K];
  const out = new Float64Array(M * N);
  const fours = K - (K % 4);
  for (let m = 0; m < M; m++) {
    const [to, from] = [m * N, m * K];
    for (let k = 0; k < fours; k += 4) {
      const [x0, x1, x2, x3] = [a[from + k], a[from + k + 1], a[from + k + 2], a[from + k + 3]];
      const b0 = k * N;
      const [b1, b2, b3] = [b0 + N, b0 + 2 * N, b0 + 3 * N];
      for (let n = 0; n < N; n++)
        out[to + n] += x0 * b[b0 + n] + x1 * b[b1 + n] + x2 * b[b2 + n] + x3 * b[b3 + n];
    }
    for (let k = fours; k < K; k++) {
      const x = a[from + k];
      for (let n = 0; n < N; n++) out[to + n] += x * b[k * N + n];
    }
  }
  return out;
}

/** A x + b */
export function affine(a: Numbers, x: Numbers, b: Numbers): Numbers {
  return product(a, x, x.length).map((value, i) => value + b[i]);
}

/** Columns `from` to `to` of a matrix of `width` columns. */
export function columns(a: Numbers, width: number, from: number, to: number): Numbers {
  const out = new Float64Array((a.length / width) * (to - from));
  for (let row = 0; row * width < a.length; row++)
    out.set(a.subarray(row * width + from, row * width + to), row * (to - from));
  return out;
}

/** Every column less its mean: outputs that LayerNorm would centre anyway. */
export function centred(a: Numbers, width: number): Numbers {
  const rows = a.length / width;
  const means = new Float64Array(width);
  for (let i = 0; i < a.length; i++) means[i % width] += a[i] / rows;
  return a.map((value, i) => value - means[i % width]);
}

/** Column j times factors[j]: a LayerNorm's gain moved into the matrix that reads its output. */
export function scaledColumns(a: Numbers, factors: Numbers): Numbers {
  return a.map((value, i) => value * factors[i % factors.length]);
}

/** A map of chunks (B, N) → (B, N) without a condition. */
export type ChunkMap = (x: Tensor) => Tensor;

/** A flow in the order of sampling: a map before each coupling, and one after the last. */
export interface Unfolded<C> {
  readonly couplings: readonly C[];
  readonly maps: readonly ChunkMap[];
}

/**
 * Takes the layers of a flow apart, last first. Matrices and the permutations beside them become one matrix: what the
 * layers' own inverses, in float64, make of the unit vectors. Permutations without a matrix stay index maps.
 */
export function unfold<C extends Bijector>(
  layers: readonly Bijector[],
  isCoupling: (layer: Bijector) => layer is C,
  event: readonly number[],
  constants: Constants,
): Unfolded<C> {
  const couplings: C[] = [];
  const runs: (InvertiblePLU | Permutation)[][] = [[]];
  for (const layer of layers.toReversed()) {
    if (isCoupling(layer)) {
      couplings.push(layer);
      runs.push([]);
    } else if (layer instanceof InvertiblePLU || layer instanceof Permutation) runs.at(-1)?.push(layer);
    else throw new Error(`unfold: cannot fold a layer of kind ${layer.constructor.name}`);
  }
  return { couplings, maps: runs.map((run) => inverseMap(run, event, constants)) };
}

/** The layers' inverses, first one first, as one map: a matrix when one of them is, else the permutations. */
export function inverseMap(
  run: readonly (InvertiblePLU | Permutation)[],
  event: readonly number[],
  constants: Constants,
): ChunkMap {
  const permutations = run.filter((layer) => layer instanceof Permutation);
  if (permutations.length === run.length) {
    // Copies of the index buffers: the decoder may go.
    const own = permutations.map((layer) =>
      constants.own(new Permutation(layer.perm.size).load(layer.stateDict())),
    );
    return (x) =>
      own.reduce((y, layer) => layer.inverse(y).out, x.reshape([x.shape[0], ...event])).reshape(x.shape);
  }
  const N = event.reduce((a, b) => a * b, 1);
  const matrix = tidy(() => {
    const unit = Float64Array.from({ length: N * N }, (_, i) => (i % (N + 1) === 0 ? 1 : 0));
    const image = run.reduce(inverseInFloat64, Tensor.from(unit, [N, ...event], "float64"));
    return image.reshape([N, N]).t(); // row i was what unit vector i becomes; a weight has outputs as rows
  });
  const weights = constants.exactWeights([matrix.data], N, N);
  matrix.dispose();
  return (x) =>
    x
      .reshape([1, ...x.shape])
      .frozenLinear(weights)
      .reshape(x.shape);
}

function inverseInFloat64(z: Tensor, layer: InvertiblePLU | Permutation): Tensor {
  if (layer instanceof Permutation) return layer.inverse(z).out;
  const exact = inDType("float64", () => new InvertiblePLU(layer.s.size)).load(layer.stateDict());
  const { out } = exact.inverse(z);
  exact.dispose();
  return out;
}
