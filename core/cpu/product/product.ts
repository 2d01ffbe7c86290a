/**
 * Matrix products: the door to their kernels. Which one runs was decided when the weights were packed (choose.ts);
 * those that are not packed go to the kernel for many rows. docs/products.md climbs from three plain loops to these
 * kernels.
 *
 * Every element is one sum in the order of k, whatever the kernel, the tile, the blocks and the number of threads:
 * results are the same bit for bit.
 */
import type { Ready } from "../../device.ts";
import { chosenTile } from "./choose-tile.ts";
import { fewRowsWasm } from "./few-rows.ts";
import { PackedWeights } from "./layout.ts";
import { manyRowsWasm } from "./many-rows.ts";
import { someRowsWasm } from "./some-rows.ts";
import type { PackedProduct, Product } from "./task.ts";

/** C = op(A) · op(B), with bias, activation and residual. Makes the product ready to run; null where K is 0. */
export function productWasm(task: Product): Ready | null {
  const { a, b, M, N, K, batch = 1 } = task;
  if (K === 0 || M * N * batch === 0) return null;
  if (!(b instanceof PackedWeights)) return manyRowsWasm(task, chosenTile());
  checkPacked(task, b);
  const { tile } = b.layout;
  return tile ? manyRowsWasm(task, tile) : packedProductWasm({ ...task, x: a, rowLength: K, weights: b });
}

/**
 * out = activation(x W + bias) + residual for each of G matrices. Makes the product ready to run; null where K is 0.
 */
export function packedProductWasm(task: PackedProduct): Ready | null {
  if (task.weights.K === 0 || task.out.size === 0) return null;
  return task.weights.layout.rows === "few" ? fewRowsWasm(task) : someRowsWasm(task);
}

function checkPacked({ M, N, K, transA, transB, batch = 1 }: Product, b: PackedWeights): void {
  if (b.K !== K || b.N !== N) {
    throw new Error(
      `productWasm: weights packed for K = ${b.K}, N = ${b.N} used in a product of ${M} × ${K} × ${N}`,
    );
  }
  if (transA || transB)
    throw new Error("productWasm: packed weights go with an A that is not transposed, and have their layout");
  if (batch > 1) throw new Error("productWasm: packed weights serve one product, not a batch");
}
