import { fc, test } from "@fast-check/vitest";
import { describe, expect, it } from "vitest";
import { Random } from "../../core/index.ts";
import { philox } from "../../core/random.ts";

describe("philox", () => {
  // Known answers of Random123, the authors' library (kat_vectors, philox4x32-10).
  it.each([
    [
      [0, 0, 0, 0],
      [0, 0],
      [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8],
    ],
    [
      [0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff],
      [0xffffffff, 0xffffffff],
      [0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd],
    ],
    [
      [0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344],
      [0xa4093822, 0x299f31d0],
      [0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1],
    ],
  ])("counter %j with key %j", (counter, key, expected) => {
    const out = new Uint32Array(4);
    philox(out, counter, key);
    expect([...out]).toEqual(expected);
  });
});

describe("Random", () => {
  test.prop([fc.nat(), fc.nat()])("is a function of seed and stream", (seed, stream) => {
    const draw = (): number[] => {
      const random = new Random(seed, stream);
      return Array.from({ length: 9 }, () => random.uint32());
    };
    expect(draw()).toEqual(draw());
    expect(new Random(seed, stream + 1).uint32()).not.toBe(new Random(seed, stream).uint32());
  });

  it("has the moments of a standard normal", () => {
    const n = 40_000;
    const random = new Random(3);
    const x = Array.from({ length: n }, () => random.normal());
    const moment = (k: number): number => x.reduce((sum, value) => sum + value ** k, 0) / n;
    // Five standard errors of each moment: √(Var xᵏ / n) with Var x = 1, Var x² = 2, Var x³ = 15, Var x⁴ = 96.
    expect(Math.abs(moment(1))).toBeLessThan(5 * Math.sqrt(1 / n));
    expect(Math.abs(moment(2) - 1)).toBeLessThan(5 * Math.sqrt(2 / n));
    expect(Math.abs(moment(3))).toBeLessThan(5 * Math.sqrt(15 / n));
    expect(Math.abs(moment(4) - 3)).toBeLessThan(5 * Math.sqrt(96 / n));
  });

  test.prop([fc.nat(), fc.integer({ min: 0, max: 40 })])("permutes", (seed, n) => {
    const order = new Random(seed).permutation(n);
    expect([...order].sort((a, b) => a - b)).toEqual(Array.from({ length: n }, (_, i) => i));
  });

  it("sets numbers aside: what comes next is the same as if they had been drawn", () => {
    const [whole, split] = [new Random(4, 2), new Random(4, 2)];
    for (let i = 0; i < 4 * (1 + 5); i++) whole.uint32();
    split.uint32(); // a block that has been begun is left
    expect(split.take(5)).toEqual({ key: [4, 0], first: 1, rest: [0, 2, 0] });
    expect(split.uint32()).toBe(whole.uint32());
  });

  /** What a program may do with a stream, and what it sees of it. */
  const uses: Record<string, (random: Random) => unknown> = {
    uint32: (random) => random.uint32(),
    uniform: (random) => random.uniform(),
    normal: (random) => random.normal(),
    integer: (random) => random.integer(1000),
    permutation: (random) => random.permutation(5),
    take: (random) => {
      const { key, first, rest } = random.take(3);
      return [key, first, rest];
    },
    nextRound: (random) => random.nextRound(),
  };
  const program = fc.array(fc.constantFrom(...Object.keys(uses)), { maxLength: 20 });

  test.prop([fc.maxSafeNat(), fc.nat(), program, program])(
    "goes on from a saved state as if nothing had happened, whatever came before",
    (seed, stream, before, after) => {
      const random = new Random(seed, stream);
      for (const use of before) uses[use](random);
      const saved = JSON.parse(JSON.stringify(random.state));
      const other = new Random(seed, stream);
      for (const use of after) uses[use](other); // where it stood does not matter
      other.restore(saved);
      expect(other.state).toEqual(random.state);
      for (const use of after) expect(uses[use](other)).toEqual(uses[use](random));
    },
  );

  test.prop([fc.nat(), fc.integer({ min: 0, max: 5 })])(
    "a restored stream gives stretches that were taken before the restored round",
    (seed, rounds) => {
      const [random, other] = [new Random(seed), new Random(seed)];
      const [taken, again] = [random.take(2), other.take(2)];
      for (let i = 0; i < rounds; i++) random.nextRound();
      other.restore(random.state);
      expect(again.rest).toEqual(taken.rest);
    },
  );

  it("refuses states of other streams, and what is no state", () => {
    const random = new Random(3, 1);
    expect(() => random.restore(new Random(3, 2).state)).toThrow(
      "Random.restore: expected a state of seed 3, stream 1, got one of seed 3, stream 2",
    );
    const { state } = random;
    for (const wrong of [{ round: -1 }, { ready: 4 }, { block: 0.5 }, { ready: 1 }, { block: undefined }])
      expect(() => random.restore({ ...state, ...wrong } as typeof state)).toThrow("Random.restore");
    expect(() => random.restore(null as unknown as typeof state)).toThrow("Random.restore");
    expect(random.state).toEqual(state);
  });

  it("refuses a bad seed", () => {
    expect(() => new Random(-1)).toThrow("Random: expected a seed in [0, 2^53), got -1");
  });
});
