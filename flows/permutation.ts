import { type Random, refuse, Tensor } from "../core/index.ts";
import { buffer } from "../nn/index.ts";
import { Bijector, type Mapped } from "./bijector.ts";
import { checkLength, takeSlices } from "./split.ts";

/**
 * A fixed permutation of the entries along axis 1, whole slices staying intact:
 *   z[:, i] = x[:, perm[i]]    x[:, i] = z[:, inv_perm[i]]    log |det J| = 0
 */
export class Permutation extends Bijector {
  perm: Tensor; // int32 (N)
  inv_perm: Tensor; // int32 (N), stored beside `perm` as checkpoints do

  /** The order is drawn by `init` unless it is given. */
  constructor(length: number, given?: readonly number[]) {
    super();
    if (given && !isPermutation(given, length))
      refuse("Permutation", `each number below ${length} once`, given);
    const draw = (perm: Tensor, random: Random): void => {
      const order = given ?? random.permutation(length);
      const inverse = new Int32Array(length);
      order.forEach((from, to) => {
        inverse[from] = to;
      });
      perm.write(order);
      this.inv_perm.write(inverse);
    };
    this.perm = buffer([length], draw, "int32");
    this.inv_perm = buffer([length], () => {}, "int32"); // drawn with `perm`
  }

  /** Throws unless `inv_perm` is the inverse of `perm`, as what comes out of a file need not be. On cpu. */
  check(who: string): void {
    const [perm, inverse] = [this.perm.data, this.inv_perm.data];
    const at = perm.findIndex((from, to) => inverse[from] !== to);
    if (at !== -1)
      throw new Error(`${who}: expected inv_perm[perm[${at}]] = ${at}, found ${inverse[perm[at]]}`);
  }

  forward(x: Tensor): Mapped {
    checkLength(x, this.perm.size, "Permutation");
    return { out: takeSlices(x, this.perm), logDet: Tensor.zeros([x.shape[0]], x.dtype) };
  }

  inverse(z: Tensor): Mapped {
    checkLength(z, this.perm.size, "Permutation");
    return { out: takeSlices(z, this.inv_perm), logDet: Tensor.zeros([z.shape[0]], z.dtype) };
  }
}

const isPermutation = (order: readonly number[], length: number): boolean =>
  order.length === length && [...order].sort((a, b) => a - b).every((from, i) => from === i);
