/**
 * NumPy's legacy random stream (`numpy.random.seed`, `random_sample`, `uniform`, `randn`, `randint`), bit for bit.
 * The reference environment places its fixtures with it, so equal seeds give equal scenes.
 *
 * Generator: MT19937, M. Matsumoto and T. Nishimura, "Mersenne Twister", ACM TOMACS 8(1), 1998.
 */

const N = 624;
const M = 397;

export class Mt19937 {
  readonly #key = new Uint32Array(N);
  #position = N;
  /** Second value of the last polar pair, waiting for the next call of `gauss`. */
  #spare: number | null = null;

  /** `numpy.random.seed(seed)` for an integer in [0, 2³²). */
  constructor(seed: number) {
    if (!Number.isInteger(seed) || seed < 0 || seed >= 2 ** 32) {
      throw new Error(`Mt19937: expected a seed that is an integer in [0, 2^32), got ${seed}`);
    }
    const key = this.#key;
    key[0] = seed;
    for (let i = 1; i < N; i++) key[i] = Math.imul(1812433253, key[i - 1] ^ (key[i - 1] >>> 30)) + i;
  }

  /** Next 32 bits, in [0, 2³²). */
  uint32(): number {
    if (this.#position === N) this.#twist();
    let y = this.#key[this.#position++];
    y ^= y >>> 11;
    y ^= (y << 7) & 0x9d2c5680;
    y ^= (y << 15) & 0xefc60000;
    y ^= y >>> 18;
    return y >>> 0;
  }

  /** `random_sample()`: 53 random bits, in [0, 1). */
  random(): number {
    const high = this.uint32() >>> 5;
    const low = this.uint32() >>> 6;
    return (high * 67108864 + low) / 9007199254740992;
  }

  /** `uniform(low, high)`: one draw, also when the range is empty or turned round. */
  uniform(low: number, high: number): number {
    return low + (high - low) * this.random();
  }

  /** `randn()`: Marsaglia's polar method, which makes two values at a time and keeps one. */
  gauss(): number {
    if (this.#spare !== null) {
      const kept = this.#spare;
      this.#spare = null;
      return kept;
    }
    let x: number, y: number, r2: number;
    do {
      x = 2 * this.random() - 1;
      y = 2 * this.random() - 1;
      r2 = x * x + y * y;
    } while (r2 >= 1 || r2 === 0);
    const scale = Math.sqrt((-2 * Math.log(r2)) / r2);
    this.#spare = scale * x;
    return scale * y;
  }

  /**
   * `randint(count)`: in [0, count), count from 1 to 2³². Draws until a masked value fits; draws nothing for count 1.
   */
  integer(count: number): number {
    if (!Number.isInteger(count) || count < 1 || count > 2 ** 32)
      throw new Error(`Mt19937: expected a count from 1 to 2^32, found ${count}`);
    const largest = count - 1;
    if (largest === 0) return 0;
    const mask = 2 ** (32 - Math.clz32(largest)) - 1;
    for (;;) {
      const value = (this.uint32() & mask) >>> 0;
      if (value <= largest) return value;
    }
  }

  #twist(): void {
    const key = this.#key;
    for (let i = 0; i < N; i++) {
      const y = (key[i] & 0x80000000) | (key[(i + 1) % N] & 0x7fffffff);
      key[i] = key[(i + M) % N] ^ (y >>> 1) ^ (y & 1 ? 0x9908b0df : 0);
    }
    this.#position = 0;
  }
}
