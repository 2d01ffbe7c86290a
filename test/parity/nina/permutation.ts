import { Scope } from "../../../core/index.ts";
import { Permutation } from "../../../flows/index.ts";
import type { ParityResult } from "../case.ts";
import { Worst } from "../florence2/worst.ts";
import { Golden, type GoldenCase } from "./golden.ts";

interface PermutationCase extends GoldenCase {
  readonly config: { readonly dims: readonly number[] };
}

/** Moved numbers are the same numbers: no difference at all is allowed. */
const EXACT = Number.MIN_VALUE;

/** Both directions, of vectors and of sequences of vectors. */
export function permutationCase(dir: string, one: PermutationCase): () => ParityResult {
  return () => {
    using _ = new Scope();
    const golden = new Golden(dir, one.file);
    const worst = new Worst();
    for (const length of one.config.dims) {
      const at = (name: string): string => `d${length}.${name}`;
      const layer = new Permutation(length).load(
        new Map(["perm", "inv_perm"].map((name) => [name, golden.host(at(name))])),
      );
      for (const rank of ["", "3"]) {
        const x = golden.tensor(at(`x${rank}`), "float32");
        for (const direction of ["forward", "inverse"] as const) {
          const name = at(direction + rank);
          const { out, logDet } = layer[direction](x);
          worst.compare(name, out.data, golden.numbers(name), EXACT);
          worst.compare(`${name} log_det`, logDet.data, new Float32Array(x.shape[0]), EXACT);
        }
      }
      layer.dispose();
    }
    return worst.result();
  };
}
