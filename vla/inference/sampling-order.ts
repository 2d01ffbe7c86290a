import { Tensor, tidy } from "../../core/index.ts";
import { type Bijector, InvertiblePLU, Permutation } from "../../flows/index.ts";
import { inDType } from "../../nn/index.ts";
import type { Constants } from "./decoder.ts";

/** A map of chunks (B, N) → (B, N) without a condition. */
export type ChunkMap = (x: Tensor) => Tensor;

/** A flow in the order of sampling: a map before each coupling, and one after the last. */
export interface SamplingOrder<C> {
  readonly couplings: readonly C[];
  readonly maps: readonly ChunkMap[];
}

/**
 * Takes the layers of a flow apart, last first. Matrices and the permutations beside them become one matrix: what the
 * layers' own inverses, in float64, make of the unit vectors. Permutations without a matrix stay index maps.
 */
export function inSamplingOrder<C extends Bijector>(
  layers: readonly Bijector[],
  isCoupling: (layer: Bijector) => layer is C,
  event: readonly number[],
  constants: Constants,
): SamplingOrder<C> {
  const couplings: C[] = [];
  const runs: (InvertiblePLU | Permutation)[][] = [[]];
  for (const layer of layers.toReversed()) {
    if (isCoupling(layer)) {
      couplings.push(layer);
      runs.push([]);
    } else if (layer instanceof InvertiblePLU || layer instanceof Permutation) runs.at(-1)?.push(layer);
    else
      throw new Error(
        `inSamplingOrder: expected couplings, InvertiblePLU and Permutation, got ${layer.constructor.name}`,
      );
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
