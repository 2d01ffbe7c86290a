import type { ParityResult } from "../case.ts";

/** Collects comparisons and reports the one that comes nearest to its tolerance, or exceeds it most. */
export class Worst {
  #name = "nothing compared";
  #error = 0;
  #tolerance = 0;
  #ratio = -1;

  add(name: string, error: number, tolerance: number): void {
    const ratio = Number.isNaN(error) ? Number.POSITIVE_INFINITY : error / tolerance;
    if (ratio <= this.#ratio) return;
    this.#ratio = ratio;
    this.#name = name;
    this.#error = error;
    this.#tolerance = tolerance;
  }

  /** The largest absolute difference of two lists of one length. */
  compare(name: string, got: ArrayLike<number>, expected: ArrayLike<number>, tolerance: number): void {
    if (got.length !== expected.length) {
      throw new Error(`${name}: expected ${expected.length} numbers, got ${got.length}`);
    }
    let error = 0;
    for (let i = 0; i < got.length; i++) error = worse(error, Math.abs(got[i] - expected[i]));
    this.add(name, error, tolerance);
  }

  result(): ParityResult {
    return {
      error: this.#error,
      tolerance: this.#tolerance,
      pass: this.#ratio >= 0 && this.#ratio <= 1,
      note: this.#name,
    };
  }
}

/** The larger of two errors; NaN stays. */
const worse = (a: number, b: number): number => (b > a || Number.isNaN(b) ? b : a);
