import type { Shape } from "./shape.ts";
import { sizeOf } from "./shape.ts";
import { type DType, Tensor } from "./tensor.ts";

/** Multipliers and key increments of Philox4x32 (Salmon et al., "Parallel Random Numbers: As Easy as 1, 2, 3", SC 2011). */
const M0 = 0xd2511f53;
const M1 = 0xcd9e8d57;
const W0 = 0x9e3779b9;
const W1 = 0xbb67ae85;

/** The high 32 bits of a · b for unsigned 32-bit numbers. */
function highProduct(a: number, b: number): number {
  const [al, ah, bl, bh] = [a & 0xffff, a >>> 16, b & 0xffff, b >>> 16];
  const middle = ah * bl + ((al * bl) >>> 16);
  const low = al * bh + (middle & 0xffff);
  return (ah * bh + Math.floor(middle / 65_536) + Math.floor(low / 65_536)) >>> 0;
}

/** Philox4x32-10: four 32-bit numbers from a 128-bit counter and a 64-bit key. */
export function philox(counter: readonly number[], key: readonly number[]): [number, number, number, number] {
  let [c0, c1, c2, c3] = counter;
  let [k0, k1] = key;
  for (let round = 0; round < 10; round++) {
    const [h0, l0] = [highProduct(M0, c0), Math.imul(M0, c0) >>> 0];
    const [h1, l1] = [highProduct(M1, c2), Math.imul(M1, c2) >>> 0];
    [c0, c1, c2, c3] = [(h1 ^ c1 ^ k0) >>> 0, l1, (h0 ^ c3 ^ k1) >>> 0, l0];
    [k0, k1] = [(k0 + W0) >>> 0, (k1 + W1) >>> 0];
  }
  return [c0, c1, c2, c3];
}

/**
 * A stream of random numbers that is a pure function of (seed, position): the same on every machine, with any number
 * of threads. Streams with different `stream` numbers are independent.
 */
export class Random {
  readonly #key: readonly [number, number];
  readonly #stream: number;
  #block = 0;
  #ready: number[] = [];

  /** `seed` and `stream` are integers in [0, 2⁵³) and [0, 2³²). */
  constructor(seed: number, stream = 0) {
    if (!Number.isSafeInteger(seed) || seed < 0)
      throw new Error(`Random: expected a seed in [0, 2^53), got ${seed}`);
    this.#key = [seed >>> 0, Math.floor(seed / 2 ** 32)];
    this.#stream = stream;
  }

  /** A uniform integer in [0, 2³²). */
  uint32(): number {
    if (this.#ready.length === 0) {
      const counter = [this.#block >>> 0, Math.floor(this.#block / 2 ** 32), this.#stream, 0];
      this.#ready = philox(counter, this.#key).reverse();
      this.#block++;
    }
    return this.#ready.pop() as number;
  }

  /** Uniform in [0, 1), a multiple of 2⁻⁵³. */
  uniform(): number {
    const high = this.uint32() >>> 5;
    return (high * 67_108_864 + (this.uint32() >>> 6)) / 2 ** 53;
  }

  /** A uniform integer in [0, bound), without bias. */
  integer(bound: number): number {
    if (!Number.isInteger(bound) || bound < 1 || bound > 2 ** 32) {
      throw new Error(`Random.integer: expected a bound in [1, 2^32], got ${bound}`);
    }
    const limit = 2 ** 32 - (2 ** 32 % bound);
    for (;;) {
      const x = this.uint32();
      if (x < limit) return x % bound;
    }
  }

  /** Standard normal, by Box and Muller's method (one number per pair is used). */
  normal(): number {
    const radius = Math.sqrt(-2 * Math.log(1 - this.uniform()));
    return radius * Math.cos(2 * Math.PI * this.uniform());
  }

  /** The numbers 0 … n − 1 in random order. */
  permutation(n: number): number[] {
    const order = Array.from({ length: n }, (_, i) => i);
    for (let i = n - 1; i > 0; i--) {
      const j = this.integer(i + 1);
      [order[i], order[j]] = [order[j], order[i]];
    }
    return order;
  }

  /** A tensor of standard normal numbers. */
  normals(shape: Shape, dtype: DType = "float32"): Tensor {
    return Tensor.from(
      Float64Array.from({ length: sizeOf(shape) }, () => this.normal()),
      shape,
      dtype,
    );
  }

  /** A tensor of numbers uniform in [low, high). */
  uniforms(shape: Shape, low: number, high: number, dtype: DType = "float32"): Tensor {
    return Tensor.from(
      Float64Array.from({ length: sizeOf(shape) }, () => low + (high - low) * this.uniform()),
      shape,
      dtype,
    );
  }
}
