/** How far one computation is from its golden file. */
export interface ParityResult {
  /** The largest difference found, in the units of `tolerance`. */
  readonly error: number;
  readonly tolerance: number;
  readonly pass: boolean;
  readonly note?: string;
}

/** One comparison with a golden file. */
export interface ParityCase {
  readonly name: string;
  /** What is compared; results are summed up per kind. */
  readonly kind: string;
  /** undefined: the product does not compute this yet. */
  readonly run: (() => Promise<ParityResult> | ParityResult) | undefined;
}

/** Where cases find what is not in their folder: clones of LIBERO and robosuite. */
export interface ParityOptions {
  readonly libero: string | undefined;
  readonly robosuite: string | undefined;
}
