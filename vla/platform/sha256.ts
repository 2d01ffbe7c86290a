import type { Digest } from "./platform.ts";

const BLOCK = 64;
/** The first 32 bits of the fractions of the square roots of 8 primes, and of the cube roots of 64. */
const START = Uint32Array.from(primes(8), (p) => fraction(Math.sqrt(p)));
const ROUNDS = Uint32Array.from(primes(64), (p) => fraction(Math.cbrt(p)));

function primes(count: number): number[] {
  const found: number[] = [];
  for (let n = 2; found.length < count; n++) if (found.every((p) => n % p !== 0)) found.push(n);
  return found;
}

function fraction(root: number): number {
  return (root % 1) * 2 ** 32;
}

/** SHA-256 (FIPS 180-4), for where there is no Node: what browsers have of it does not answer at once. */
export class Sha256 implements Digest {
  readonly #state: Uint32Array;
  /** What does not fill a block yet. */
  readonly #rest: Uint8Array;
  #length: number;

  constructor(state: Uint32Array = START, rest: Uint8Array = new Uint8Array(BLOCK), length = 0) {
    this.#state = state.slice();
    this.#rest = rest.slice();
    this.#length = length;
  }

  update(data: Uint8Array | string): this {
    const bytes = typeof data === "string" ? new TextEncoder().encode(data) : data;
    for (let at = 0; at < bytes.length; ) {
      const begin = this.#length % BLOCK;
      const piece = bytes.subarray(at, at + BLOCK - begin);
      this.#rest.set(piece, begin);
      this.#length += piece.length;
      at += piece.length;
      if (this.#length % BLOCK === 0) this.#mix();
    }
    return this;
  }

  copy(): Sha256 {
    return new Sha256(this.#state, this.#rest, this.#length);
  }

  bytes(): Uint8Array {
    const bits = this.#length * 8;
    // A one, zeros up to the last eight bytes of a block, and there the length.
    const padding = new Uint8Array(BLOCK - ((this.#length + 8) % BLOCK));
    padding[0] = 0x80;
    const end = new DataView(new ArrayBuffer(8));
    end.setUint32(0, Math.floor(bits / 2 ** 32));
    end.setUint32(4, bits);
    this.update(padding).update(new Uint8Array(end.buffer));
    const out = new DataView(new ArrayBuffer(32));
    for (const [i, word] of this.#state.entries()) out.setUint32(4 * i, word);
    return new Uint8Array(out.buffer);
  }

  hex(): string {
    return Array.from(this.bytes(), (byte) => byte.toString(16).padStart(2, "0")).join("");
  }

  /** Mixes a full block into the state: FIPS 180-4, section 6.2.2. */
  #mix(): void {
    const { buffer, byteOffset } = this.#rest;
    const block = new DataView(buffer, byteOffset);
    const w = new Uint32Array(64);
    for (let t = 0; t < 16; t++) w[t] = block.getUint32(4 * t);
    for (let t = 16; t < 64; t++) {
      const [x, y] = [w[t - 15], w[t - 2]];
      const s0 = turned(x, 7) ^ turned(x, 18) ^ (x >>> 3);
      const s1 = turned(y, 17) ^ turned(y, 19) ^ (y >>> 10);
      w[t] = w[t - 16] + s0 + w[t - 7] + s1;
    }
    let [a, b, c, d, e, f, g, h] = this.#state;
    for (let t = 0; t < 64; t++) {
      const choice = (e & f) ^ (~e & g);
      const majority = (a & b) ^ (a & c) ^ (b & c);
      const first = h + (turned(e, 6) ^ turned(e, 11) ^ turned(e, 25)) + choice + ROUNDS[t] + w[t];
      const second = (turned(a, 2) ^ turned(a, 13) ^ turned(a, 22)) + majority;
      [h, g, f, e, d, c, b, a] = [g, f, e, (d + first) | 0, c, b, a, (first + second) | 0];
    }
    for (const [i, value] of [a, b, c, d, e, f, g, h].entries()) this.#state[i] += value;
  }
}

const turned = (x: number, by: number): number => (x >>> by) | (x << (32 - by));
