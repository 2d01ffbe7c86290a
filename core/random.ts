import { checkFinite, checkInteger, checkOptions, refuse } from "./check.ts";
import type { DType } from "./dtype.ts";
import { refuseInCapture } from "./recorder.ts";
import { checkShape, type Shape, sizeOf } from "./shape.ts";
import { Tensor } from "./tensor.ts";

/**
 * Multipliers and key increments of Philox4x32 (Salmon et al., "Parallel Random Numbers: As Easy as 1, 2, 3", SC 2011).
 */
const M0 = 0xd2511f53;
const M1 = 0xcd9e8d57;
const W0 = 0x9e3779b9;
const W1 = 0xbb67ae85;

/** The high 32 bits of a · b for unsigned 32-bit numbers. */
function highProduct(a: number, b: number): number {
  const al = a & 0xffff;
  const ah = a >>> 16;
  const bl = b & 0xffff;
  const bh = b >>> 16;
  const middle = ah * bl + ((al * bl) >>> 16);
  const low = al * bh + (middle & 0xffff);
  return (ah * bh + (middle - (middle & 0xffff)) / 65_536 + (low - (low & 0xffff)) / 65_536) | 0;
}

/** Philox4x32-10: four 32-bit numbers from a 128-bit counter and a 64-bit key, written to `out`. */
export function philox(out: Uint32Array, counter: readonly number[], key: readonly number[]): void {
  let c0 = counter[0] | 0;
  let c1 = counter[1] | 0;
  let c2 = counter[2] | 0;
  let c3 = counter[3] | 0;
  let k0 = key[0] | 0;
  let k1 = key[1] | 0;
  for (let round = 0; round < 10; round++) {
    const high0 = highProduct(M0, c0 >>> 0);
    const high1 = highProduct(M1, c2 >>> 0);
    const low0 = Math.imul(M0, c0);
    const low1 = Math.imul(M1, c2);
    c0 = high1 ^ c1 ^ k0;
    c1 = low1;
    c2 = high0 ^ c3 ^ k1;
    c3 = low0;
    k0 = (k0 + W0) | 0;
    k1 = (k1 + W1) | 0;
  }
  out[0] = c0;
  out[1] = c1;
  out[2] = c2;
  out[3] = c3;
}

/** Where a stretch of a stream lies: `first`, `first + 1`, … are the counters' lowest words. */
export interface Stretch {
  readonly key: readonly [number, number];
  readonly first: number;
  /** The other three words of the counters; the last is the stream's round. */
  readonly rest: readonly [number, number, number];
}

/** Where a stream stands, as plain JSON: see `Random.state`. */
export interface RandomState {
  readonly seed: number;
  readonly stream: number;
  /** The next block of four numbers, and the round that all blocks are of. */
  readonly block: number;
  readonly round: number;
  /** How many numbers of the block before are still to be given, 0 to 3. */
  readonly ready: number;
}

/**
 * A stream of random numbers that is a pure function of (seed, position): the same on every machine, with any number
 * of threads. Streams with different `stream` numbers are independent.
 */
export class Random {
  readonly #seed: number;
  readonly #key: readonly [number, number];
  readonly #stream: number;
  #block = 0;
  #round = 0;
  readonly #numbers = new Uint32Array(4);
  /** How many of the numbers are still to be given. */
  #ready = 0;

  /** `seed` and `stream` are integers in [0, 2⁵³) and [0, 2³²). */
  constructor(seed: number, stream = 0) {
    if (!Number.isSafeInteger(seed) || seed < 0) refuse("Random", "a seed in [0, 2^53)", seed);
    checkInteger(stream, 0, "Random", "stream", 2 ** 32 - 1);
    this.#seed = seed;
    this.#key = [seed >>> 0, Math.floor(seed / 2 ** 32)];
    this.#stream = stream;
  }

  /** A uniform integer in [0, 2³²). */
  uint32(): number {
    refuseInCapture("Random", "draw outside the plan and give it the numbers as an input");
    if (this.#ready === 0) {
      this.#fill(this.#block++);
      this.#ready = 4;
    }
    return this.#numbers[4 - this.#ready--];
  }

  #fill(block: number): void {
    philox(this.#numbers, [block >>> 0, Math.floor(block / 2 ** 32), this.#stream, this.#round], this.#key);
  }

  /** Where the stream stands: `new Random(seed, stream).restore(state)` goes on with the same numbers. */
  get state(): RandomState {
    return {
      seed: this.#seed,
      stream: this.#stream,
      block: this.#block,
      round: this.#round,
      ready: this.#ready,
    };
  }

  /**
   * Goes on where a stream of the same seed and number stood. Stretches that were taken of this one before stand for
   * the numbers of the state's round, so that a plan that holds them draws as the other stream's plan would.
   */
  restore(state: RandomState): this {
    checkOptions(state, ["seed", "stream", "block", "round", "ready"], "Random.restore");
    const { seed, stream, block, round, ready } = state;
    checkInteger(seed, 0, "Random.restore", "seed");
    checkInteger(stream, 0, "Random.restore", "stream");
    if (seed !== this.#seed || stream !== this.#stream)
      throw new Error(
        `Random.restore: expected a state of seed ${this.#seed}, stream ${this.#stream}, ` +
          `got one of seed ${seed}, stream ${stream}`,
      );
    checkInteger(round, 0, "Random.restore", "round", 2 ** 32 - 1);
    checkInteger(ready, 0, "Random.restore", "ready", 3);
    checkInteger(block, Math.sign(ready), "Random.restore", "block");
    this.#block = block;
    this.#round = round;
    this.#ready = ready;
    if (ready > 0) this.#fill(block - 1);
    return this;
  }

  /**
   * Sets the next `blocks` blocks of four numbers aside for a kernel, which computes them itself. They never cross a
   * multiple of 2³² blocks.
   */
  take(blocks: number): Stretch {
    const LINE = 2 ** 32;
    const left = LINE - (this.#block % LINE);
    if (left < blocks) this.#block += left;
    const first = this.#block;
    this.#block += blocks;
    this.#ready = 0;
    const round = (): number => this.#round;
    const stream = this.#stream;
    return {
      key: this.#key,
      first: first % LINE,
      get rest(): [number, number, number] {
        return [Math.floor(first / LINE), stream, round()];
      },
    };
  }

  /**
   * Goes on to the next round, in which stretches that were taken before stand for other numbers: so a plan that holds
   * some draws anew at each replay.
   */
  nextRound(): void {
    this.#round = (this.#round + 1) % 2 ** 32;
    this.#ready = 0;
  }

  /** Uniform in [0, 1), a multiple of 2⁻⁵³. */
  uniform(): number {
    const high = this.uint32() >>> 5;
    return (high * 67_108_864 + (this.uint32() >>> 6)) / 2 ** 53;
  }

  /** A uniform integer in [0, bound), without bias. */
  integer(bound: number): number {
    checkInteger(bound, 1, "Random.integer", "bound", 2 ** 32);
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
    checkInteger(n, 0, "Random.permutation", "n", 2 ** 32);
    const order = Array.from({ length: n }, (_, i) => i);
    for (let i = n - 1; i > 0; i--) {
      const j = this.integer(i + 1);
      [order[i], order[j]] = [order[j], order[i]];
    }
    return order;
  }

  /** A tensor of standard normal numbers. */
  normals(shape: Shape, dtype: DType = "float32"): Tensor {
    return this.#filled(shape, dtype, "Random.normals", () => this.normal());
  }

  /** A tensor of numbers uniform in [low, high). */
  uniforms(shape: Shape, low: number, high: number, dtype: DType = "float32"): Tensor {
    checkFinite(low, "Random.uniforms", "low");
    checkFinite(high, "Random.uniforms", "high", low);
    return this.#filled(shape, dtype, "Random.uniforms", () => low + (high - low) * this.uniform());
  }

  #filled(shape: Shape, dtype: DType, who: string, draw: () => number): Tensor {
    checkShape(shape, who);
    if (dtype !== "float32" && dtype !== "float64") refuse(who, "float32 or float64", dtype);
    return Tensor.from(Float64Array.from({ length: sizeOf(shape) }, draw), shape, dtype);
  }
}
