import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { engineInfo, kernel, usesFma, withoutFma } from "../../../core/cpu/kernels/engine.ts";
import { loadTail, storeTail, sumLanes } from "../../../core/cpu/kernels/lanes.ts";
import { signed, unsigned } from "../../../core/cpu/kernels/leb128.ts";
import { F32x4, F64x2, I32, I32x4, load, loadSplat } from "../../../core/cpu/kernels/values.ts";
import { addressOf } from "../../../core/cpu/storage.ts";
import { Scope } from "../../../core/scope.ts";
import { Tensor } from "../../../core/tensor.ts";
import { flavours } from "./support.ts";

describe("LEB128", () => {
  /** Σ (byte & 127) · 128ⁱ */
  const value = (bytes: readonly number[]): number =>
    bytes.reduce((sum, byte, i) => sum + (byte & 127) * 128 ** i, 0);
  /** Every byte but the last announces another. */
  const wellFormed = (bytes: readonly number[]): boolean =>
    bytes.every((byte, i) => byte >= 128 === i < bytes.length - 1);

  it("unsigned numbers come back, in as few bytes as possible", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 2 ** 32 - 1 }), (n) => {
        const bytes = unsigned(n);
        expect(wellFormed(bytes)).toBe(true);
        expect(value(bytes)).toBe(n);
        expect(bytes.length).toBe(Math.max(1, Math.ceil(Math.log2(n + 1) / 7)));
      }),
    );
  });

  it("signed numbers come back, in as few bytes as possible", () => {
    fc.assert(
      fc.property(fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }), (n) => {
        const bytes = signed(n);
        expect(wellFormed(bytes)).toBe(true);
        const negative = (bytes[bytes.length - 1] & 0x40) !== 0;
        expect(value(bytes) - (negative ? 128 ** bytes.length : 0)).toBe(n);
        // One byte less could hold numbers of magnitude below 64 · 128ⁱ only.
        const magnitude = n < 0 ? -n - 1 : n;
        expect(magnitude >= 64 * 128 ** (bytes.length - 2) || bytes.length === 1).toBe(true);
      }),
    );
  });

  it("known encodings", () => {
    expect(unsigned(624485)).toEqual([0xe5, 0x8e, 0x26]);
    expect(signed(-123456)).toEqual([0xc0, 0xbb, 0x78]);
  });
});

/** Runs a kernel of one argument, the address of 16 numbers, and returns what it leaves there. */
function onBlock(
  name: string,
  x: readonly number[],
  build: (f: Parameters<Parameters<typeof kernel>[2]>[0]) => void,
): number[] {
  using _ = new Scope();
  const block = Tensor.from([...x, ...new Array<number>(16 - x.length).fill(0)]);
  kernel(`test: ${name}`, 1, build).run([addressOf(block)], 0, 1);
  return block.toArray();
}

describe("assembled code", () => {
  it("runs loops, branches and conditions as they read", () => {
    using _ = new Scope();
    // Collatz steps until 1, for the tile numbers: loops in loops, both ways of a condition, a branch out of a block.
    const steps = kernel("test: collatz", 1, ({ f, args: [out], tileBegin, tileEnd }) => {
      const [tile, n, count] = f.locals(I32, 3);
      f.range(tile, tileBegin, tileEnd, 1, () => {
        f.set(n, tile.add(1));
        f.set(count, f.let(tile.sub(tile)));
        f.block((done) =>
          f.loop((again) => {
            f.branchIf(n.eq(1), done);
            f.if(
              n.and(1),
              () => f.set(n, n.mul(3).add(1)),
              () => f.set(n, n.shr(1)),
            );
            f.bump(count, 1);
            f.branch(again);
          }),
        );
        f.store(out.add(tile.shl(2)), count);
      });
    });
    const out = Tensor.full([30], -1, "int32");
    steps.run([addressOf(out)], 2, 28);
    const expected = (n: number): number => (n === 1 ? 0 : 1 + expected(n % 2 ? 3 * n + 1 : n / 2));
    expect(out.toArray()).toEqual(
      Array.from({ length: 30 }, (_, i) => (i >= 2 && i < 28 ? expected(i + 1) : -1)),
    );
  });

  it("reads and writes rests of vectors and nothing behind them", () => {
    for (let lanes = 1; lanes <= 3; lanes++) {
      const out = onBlock(`tail ${lanes}`, [1, 2, 3, 4, -1, -1, -1, -1], ({ f, args: [at] }) => {
        const count = f.let(at.sub(at).add(lanes));
        storeTail(f, at.add(16), loadTail(f, at, count), count);
      });
      expect(out.slice(4, 8)).toEqual([1, 2, 3].map((x) => (x <= lanes ? x : -1)).concat(-1));
    }
  });

  it("moves and combines lanes", () => {
    const out = onBlock("lanes", [1, 2, 3, 4, 10, 20, 30, 40], ({ f, args: [at] }) => {
      const [a, b] = [f.let(load(F32x4, at)), f.let(load(F32x4, at, 16))];
      f.store(at, a.shuffle(b, [0, 5, 2, 7]));
      f.store(at, sumLanes(f, b), 16);
      f.store(at, a.lt(f.constant(3)).select<F32x4>(a, b), 32);
      f.store(at, loadSplat(at, 44), 48);
    });
    expect(out).toEqual([1, 20, 3, 40, 100, 100, 100, 100, 1, 2, 30, 40, 40, 40, 40, 40]);
  });

  it("converts between kinds of numbers", () => {
    const out = onBlock("conversions", [1.5, -2.5, 3.5, -4.5], ({ f, args: [at] }) => {
      const x = f.let(load(F32x4, at));
      const halves = x.lowToF64().add(F64x2.splat(1));
      f.store(at, halves.toF32x4(), 16);
      f.store(at, x.lowToF64().toI32x4().toF32x4(), 32);
      f.store(at, I32x4.of(1, -2, 3, -4).shl(2).toF32x4(), 48);
    });
    expect(out.slice(4)).toEqual([2.5, -1.5, 0, 0, 1, -2, 0, 0, 4, -8, 12, -16]);
  });

  it("refuses a branch target and a store of the wrong kind at compile time", () => {
    // Types are the test: this must not compile without the directive.
    onBlock("types", [], ({ f, args: [at] }) => {
      const vector = f.local(F32x4);
      // @ts-expect-error a vector local does not take an integer
      const wrong = (): void => f.set(vector, at);
      expect(typeof wrong).toBe("function");
    });
  });
});

describe("the engine", () => {
  it("multiplies and adds with one rounding or with two, as it says", () => {
    for (const { run } of flavours) {
      run(() => {
        const x = 1 + 2 ** -12;
        const out = onBlock(
          "madd",
          [x, x, x, x, -1 - 2 ** -11, 0, 0, 0],
          ({ f, args: [at], madd, nmadd }) => {
            const v = f.let(load(F32x4, at));
            f.store(at, madd(v, v, load(F32x4, at, 16)), 32);
            f.store(at, nmadd(v, v, f.constant(1 + 2 ** -11)), 48);
          },
        );
        expect(out[8]).toBe(usesFma() ? 2 ** -24 : 0);
        expect(out[12]).toBe(usesFma() ? -(2 ** -24) : 0);
      });
    }
    expect(withoutFma(usesFma)).toBe(false);
    expect(engineInfo().fma).toBe(usesFma());
  });

  it("compiles a kernel once", () => {
    let built = 0;
    const make = () => kernel("test: once", 0, () => void built++);
    expect(make()).toBe(make());
    expect(built).toBe(1);
  });
});
