import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Library, Nothing } from "../../../core/cpu/kernels/assembler.ts";
import { engineInfo, kernel, usesFma, withoutFma } from "../../../core/cpu/kernels/engine.ts";
import { loadTail, storeTail, sumLanes } from "../../../core/cpu/kernels/lanes.ts";
import { signed, unsigned } from "../../../core/cpu/kernels/leb128.ts";
import { load, loadByte, loadSplat } from "../../../core/cpu/kernels/loads.ts";
import { double, F32x4, F64, F64x2, I32, I32x4, int } from "../../../core/cpu/kernels/values.ts";
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

/** The exports of a library over 4 KiB of its own, and that memory as float64. */
function opened(build: (library: Library) => void, imports: Record<string, unknown> = {}) {
  const library = new Library();
  build(library);
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
  const module = new WebAssembly.Module(library.bytes({ minimum: 1, maximum: 1, shared: true }));
  const { exports } = new WebAssembly.Instance(module, { env: { memory, ...imports } });
  return {
    exports: exports as Record<string, (...args: number[]) => number>,
    numbers: new Float64Array(memory.buffer),
  };
}

describe("a library", () => {
  it("has functions that call each other and the host, of parameters and results of several types", () => {
    const { exports } = opened(
      (library) => {
        const third = library.import("third", [F64], F64);
        const seen = library.import("seen", [I32], Nothing);
        const sum = library.define("sum", [F64, I32], F64, (f, x, n) => {
          f.if(n.eq(0), () => f.return(double(-1)));
          return x.add(n.toF64());
        });
        library.define("both", [F64, I32], F64, (f, x, n) => {
          f.do(seen(n));
          return sum(third(x), n);
        });
      },
      { third: (x: number) => x / 3, seen: (n: number) => calls.push(n) },
    );
    const calls: number[] = [];
    expect(exports.both(7, -2)).toBe(7 / 3 - 2);
    expect(exports.both(7, 0)).toBe(-1);
    expect(calls).toEqual([-2, 0]);
    expect(() =>
      opened((library) => {
        library.define("first", [], Nothing, () => {});
        library.import("late", [], Nothing);
      }),
    ).toThrow('Library: "late" is imported after the first function');
  });

  /** Two zeros are told apart by Math.min and not by a comparison. */
  const number = fc.double({ noNaN: true }).filter((x) => x !== 0);
  it("computes in double precision as JavaScript does", () => {
    const operations: [string, (a: F64, b: F64) => F64, (a: number, b: number) => number][] = [
      ["add", (a, b) => a.add(b), (a, b) => a + b],
      ["sub", (a, b) => a.sub(b), (a, b) => a - b],
      ["mul", (a, b) => a.mul(b), (a, b) => a * b],
      ["div", (a, b) => a.div(b), (a, b) => a / b],
      ["abs", (a) => a.abs(), Math.abs],
      ["neg", (a) => a.neg(), (a) => -a],
      ["ceil", (a) => a.ceil(), Math.ceil],
      ["floor", (a) => a.floor(), Math.floor],
      ["single", (a) => a.toF32().toF64(), Math.fround],
      ["least", (a, b) => a.lt(b).pick<F64>(a, b), Math.min],
      ["most", (a, b) => a.le(b).pick<F64>(b, a), Math.max],
      ["same", (a, b) => a.eq(b).or(a.gt(b)).or(a.ge(b)).toF64(), (a, b) => (a >= b ? 1 : 0)],
    ];
    const pairs: [string, (a: F64x2, b: F64x2) => F64x2, (a: number, b: number) => number][] = [
      ["sqrt of a pair", (a) => a.sqrt(), Math.sqrt],
      ["neg of a pair", (a) => a.neg(), (a) => -a],
      ["ceil of a pair", (a) => a.ceil(), Math.ceil],
      ["floor of a pair", (a) => a.floor(), Math.floor],
      ["pmin", (a, b) => a.pmin(b), Math.min],
      ["pmax", (a, b) => a.pmax(b), Math.max],
      ["swapped, one replaced", (a, b) => b.swapped().withLane(0, a.lane(0)), (a) => a],
      ["chosen", (a, b) => a.lt(b).select<F64x2>(a, b), Math.min],
    ];
    const { exports, numbers } = opened((library) => {
      for (const [name, build] of operations) library.define(name, [F64, F64], F64, (_, a, b) => build(a, b));
      for (const [name, build] of pairs)
        library.define(name, [I32], Nothing, (f, at) =>
          f.store(at, build(load(F64x2, at), load(F64x2, at, 16)), 32),
        );
    });
    fc.assert(
      fc.property(number, number, (a, b) => {
        for (const [name, , expected] of operations) expect(exports[name](a, b), name).toBe(expected(a, b));
        for (const [name, , expected] of pairs) {
          numbers.set([a, b, b, b]);
          exports[name](0);
          expect(numbers[4], name).toBe(expected(a, b));
        }
      }),
    );
  });

  it("rounds to integers and bytes, and tells signed numbers apart", () => {
    const { exports } = opened((library) => {
      library.define("toward zero", [F64], I32, (_, x) => x.toI32());
      library.define("less", [I32, I32], I32, (_, a, b) => a.ltSigned(b).or(a.gtSigned(b).shl(1)));
      library.define("halved", [I32], I32, (_, a) => a.shrSigned(1));
      library.define("byte", [I32], I32, (f, a) => {
        f.storeByte(int(100), a);
        return loadByte(int(100));
      });
      library.define("mask", [I32, I32], I32, (f, a, b) => {
        const lanes = f.let(a.splat().withLane(2, b).eq(b.splat()));
        return lanes.all().or(lanes.lane(2).and(2));
      });
    });
    expect([2.9, -2.9, 1e10, Number.NaN].map((x) => exports["toward zero"](x))).toEqual([
      2,
      -2,
      2 ** 31 - 1,
      0,
    ]);
    expect([exports.less(-1, 1), exports.less(1, -1), exports.less(2, 2)]).toEqual([1, 2, 0]);
    expect(exports.halved(-6)).toBe(-3);
    expect(exports.byte(0x1ff)).toBe(255);
    expect([exports.mask(1, 2), exports.mask(2, 2)]).toEqual([2, 3]);
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
