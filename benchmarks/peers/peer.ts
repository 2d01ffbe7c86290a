/** Work that every contender does on the same numbers. */
export type Work =
  | {
      readonly kind: "matmul";
      readonly M: number;
      readonly K: number;
      readonly N: number;
      /** (M, K) */
      readonly x: Float32Array;
      /** (K, N), constant: it may be packed beforehand. */
      readonly weight: Float32Array;
    }
  | {
      readonly kind: "softmax" | "layerNorm" | "gelu";
      readonly rows: number;
      readonly columns: number;
      readonly x: Float32Array;
    };

/** Another library. */
export interface Peer {
  readonly name: string;
  readonly threads: number;
  /** Whether it runs in JavaScript engines, or is native code. */
  readonly native: boolean;
  /** Makes the work ready; the function returned does it once and returns its result's first number. */
  prepare(work: Work): Promise<() => Promise<number> | number>;
}
