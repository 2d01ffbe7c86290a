/** A call as kernels see it. */
export interface Task {
  readonly B: number;
  /** Queries, and keys, of a sample. */
  readonly T: number;
  readonly S: number;
  readonly heads: number;
  /** Width of a head. */
  readonly d: number;
  readonly scale: number;
  readonly causal: boolean;
  /** Queries, keys, values: the address of the first row, and bytes from row to row. */
  readonly places: readonly { readonly address: number; readonly row: number }[];
  /** Address of the factors (B, heads, T, S). */
  readonly mask: number | null;
  /** Address, and numbers from sample to sample, head to head, query to query, key to key. */
  readonly bias: { readonly address: number; readonly strides: readonly number[] } | null;
}
