import type { TensorView } from "../../device.ts";
import type { Expr } from "../../formula/expr.ts";

import type { PackedWeights } from "./layout.ts";

/** What follows a product before its result is stored. */
interface After {
  /** Formula of one input, applied after the bias. */
  readonly activation?: Expr;
  /** Shaped like `out`, added last. */
  readonly residual?: TensorView;
}

/** A product of matrices as they are. All are contiguous float32 blocks, row-major. */
export interface Product extends After {
  /** (M, N), `batch` of them. */
  readonly out: TensorView;
  /** (M, K), or (K, M) with `transA`. */
  readonly a: TensorView;
  /** (K, N), or (N, K) with `transB`, or weights packed for this K and N. */
  readonly b: TensorView | PackedWeights;
  readonly M: number;
  readonly N: number;
  readonly K: number;
  readonly transA?: boolean;
  readonly transB?: boolean;
  /** Number of products; `strides` are the steps from one to the next, in elements (0: the same matrix again). */
  readonly batch?: number;
  readonly strides?: { readonly a: number; readonly b: number; readonly out: number };
  /** (N), added to every row. */
  readonly bias?: TensorView;
}

/** Products of some rows with each of G packed matrices. All tensors are contiguous float32 blocks, row-major. */
export interface PackedProduct extends After {
  /** (G, M, N) */
  readonly out: TensorView;
  /** G · M rows, or M for all groups, of `rowLength` numbers; of each row the first K count. */
  readonly x: TensorView;
  readonly rowLength: number;
  readonly weights: PackedWeights;
  readonly M: number;
  /**
   * (…, R, N): R, `biasRows`, is a divisor of M; each bias row serves M / R rows; the first group's is number
   * `biasFrom`.
   */
  readonly bias?: TensorView;
  readonly biasRows?: number;
  readonly biasFrom?: number;
}
