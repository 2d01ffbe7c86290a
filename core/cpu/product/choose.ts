/**
 * Which kernel serves a product: one table, by the number of rows and the format of the weights.
 *
 *     rows                      1 … 9      10 … 32      33 and more
 *     float32, known rows       few        many         not packed: many, a block of B packed at a time
 *     float32, frozen           some       some         some
 *     bfloat16, frozen          some       some         some
 *     int8, frozen              few        few          few
 *
 * Weights of a plan are packed once the number of rows is known. Frozen weights are packed before that and serve any
 * number of rows. `npx tsx benchmarks/products.ts` times every kernel for every cell and marks the choice beside the
 * fastest.
 */
import type { TensorView } from "../../device.ts";
import { rounded, type WeightFormat } from "../../weight-format.ts";
import { chosenTile } from "./choose-tile.ts";
import { forFewRows, forManyRows, forSomeRows, type Layout, PackedWeights } from "./layout.ts";

/** Up to so many rows, a product takes as long as it takes to read its weights from memory. */
const FEW_ROWS = 9;
/** Up to so many rows, packing B anew takes more than a tenth of the product's time. */
const PACKING_PAYS = 32;

/**
 * The layout of float32 weights that stay as they are, for products of so many rows; null when packing does not pay.
 */
export function layoutForRows(rows: number): Layout | null {
  if (rows <= FEW_ROWS) return forFewRows("float32");
  return rows <= PACKING_PAYS ? forManyRows(chosenTile()) : null;
}

/** The layout of frozen weights, for any number of rows. */
export function layoutForFrozen(format: WeightFormat): Layout {
  return format === "int8" ? forFewRows(format) : forSomeRows(format);
}

/** Lays B, which is (K, N), or (N, K) with `transB`, out for a product, rounded to the layout's format. */
export function packWeights(
  b: TensorView,
  K: number,
  N: number,
  transB: boolean,
  layout: Layout,
): PackedWeights {
  if (b.dtype !== "float32" || b.size !== K * N) {
    throw new Error(`packWeights: expected ${K} × ${N} float32 numbers, got ${b.size} of ${b.dtype}`);
  }
  const packed = new PackedWeights(1, K, N, layout);
  const [stepK, stepN] = transB ? [1, K] : [N, 1];
  const column = new Float32Array(K);
  for (let n = 0; n < N; n++) {
    for (let k = 0; k < K; k++) column[k] = b.data[k * stepK + n * stepN];
    packed.setColumn(0, n, rounded(column, layout.format));
  }
  return packed;
}
