import { execFileSync } from "node:child_process";
import type { Worker } from "node:worker_threads";
import { afterEach, describe, expect, it } from "vitest";
import { elementwiseWasm } from "../../../core/cpu/kernels/elementwise.ts";
import { kernel } from "../../../core/cpu/kernels/engine.ts";
import { layerNormWasm } from "../../../core/cpu/kernels/layer-norm.ts";
import { normWasm } from "../../../core/cpu/kernels/norm.ts";
import { sumToWasm } from "../../../core/cpu/kernels/reduce.ts";
import { softmaxWasm } from "../../../core/cpu/kernels/softmax.ts";
import { runTiles, setThreads, spinning, threads } from "../../../core/cpu/kernels/threads.ts";
import { I32 } from "../../../core/cpu/kernels/values.ts";
import { packWeights } from "../../../core/cpu/product/choose.ts";
import { forFewRows } from "../../../core/cpu/product/layout.ts";
import { productWasm } from "../../../core/cpu/product/product.ts";
import { addressOf } from "../../../core/cpu/storage.ts";
import { Expr } from "../../../core/formula/expr.ts";
import { Scope } from "../../../core/scope.ts";
import { Tensor } from "../../../core/tensor.ts";
import { bits, numbers } from "./support.ts";

/** Work large enough to be shared; each writes its output anew. */
const JOBS: Record<string, (out: Tensor) => void> = {
  "matrix product": (out) => {
    productWasm({
      out,
      a: numbers([203, 300], 1),
      b: numbers([300, 257], 2),
      M: 203,
      K: 300,
      N: 257,
      transB: true,
    })?.();
  },
  ...Object.fromEntries(
    (["float32", "bfloat16", "int8"] as const).map((format) => [
      `streamed ${format} weights`,
      (out: Tensor) => {
        const b = packWeights(numbers([300, 257], 2), 300, 257, false, forFewRows(format));
        productWasm({ out, a: numbers([203, 300], 1), b, M: 203, K: 300, N: 257 })?.();
        b.dispose();
      },
    ]),
  ),
  elementwise: (out) => elementwiseWasm(Expr.input(0).tanh(), 1, 0)(out, [numbers(out.shape, 3)])?.(),
  softmax: (out) => softmaxWasm(out, numbers(out.shape, 4))?.(),
  "layer norm": (out) => {
    const [gain, bias] = [numbers([257], 5), numbers([257], 6)];
    layerNormWasm({ out, x: numbers(out.shape, 7), gain, bias, eps: 1e-5 })?.();
  },
  norm(out) {
    const first = Tensor.empty([]);
    normWasm(first, numbers([3001, 257], 9))?.();
    out.data.fill(first.item());
  },
  "column sums": (out) => {
    const first = Tensor.empty([1, 257]);
    sumToWasm(first, numbers([4000, 257], 8), [1, 257])?.();
    out.data.fill(0);
    out.data.set(first.data);
  },
};

/** out[tile] = tile + 1 */
const count = (): ReturnType<typeof kernel> =>
  kernel("test: tile numbers", 1, ({ f, args: [out], tileBegin, tileEnd }) => {
    const tile = f.local(I32);
    f.range(tile, tileBegin, tileEnd, 1, () => f.store(out.add(tile.shl(2)), tile.add(1)));
  });

/** Fails at tile 37, by a division by zero. */
const trap = (): ReturnType<typeof kernel> =>
  kernel("test: trap", 0, ({ f, tileBegin, tileEnd }) => {
    const tile = f.local(I32);
    f.range(tile, tileBegin, tileEnd, 1, () => f.if(tile.eq(37), () => f.set(tile, tile.div(tile.sub(37)))));
  });

afterEach(() => setThreads(1));

describe("threads", () => {
  it.each(Object.entries(JOBS))("%s: the same bits with one, two and three threads", (_name, job) => {
    using _ = new Scope();
    const outs = [1, 2, 3].map((n) => {
      setThreads(n);
      const out = Tensor.empty([203, 257]);
      spinning(() => {
        for (let i = 0; i < 5; i++) job(out);
      });
      return bits(out);
    });
    expect(outs[1]).toEqual(outs[0]);
    expect(outs[2]).toEqual(outs[0]);
  });

  it("do every tile once, job after job, whether spinning or parked", async () => {
    using _ = new Scope();
    setThreads(3);
    expect(threads()).toBe(3);
    const out = Tensor.empty([1000], "int32");
    const check = () => {
      for (let tiles = 2; tiles <= 1000; tiles = Math.ceil(tiles * 1.3)) {
        out.data.fill(-1);
        runTiles(count(), [addressOf(out)], tiles, 1e6);
        expect(out.data.every((value, i) => value === (i < tiles ? i + 1 : -1))).toBe(true);
      }
    };
    for (let round = 0; round < 5; round++) {
      spinning(check);
      check();
      await new Promise((resolve) => setTimeout(resolve, 20)); // workers start and park meanwhile
    }
  });

  it("end the call with an error when a kernel fails on any thread, and go on", async () => {
    using _ = new Scope();
    setThreads(2);
    const out = Tensor.empty([64], "int32");
    for (let i = 0; i < 20; i++) {
      expect(() => spinning(() => runTiles(trap(), [], 64, 1e6))).toThrow(/divide by zero/);
      runTiles(count(), [addressOf(out)], 64, 1e6);
      expect(out.toArray()).toEqual(Array.from({ length: 64 }, (_, i) => i + 1));
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  });

  it("end the call with an error when a worker has died, until a new pool is set up", async () => {
    using _ = new Scope();
    const started = new Promise<Worker>((resolve) => process.once("worker", resolve));
    setThreads(2);
    await (await started).terminate();
    const out = Tensor.empty([64], "int32");
    expect(() => runTiles(count(), [addressOf(out)], 64, 1e6)).toThrow(
      /a worker thread is gone: it ended with code/,
    );
    setThreads(2);
    runTiles(count(), [addressOf(out)], 64, 1e6);
    expect(out.data[63]).toBe(64);
  });

  it("let the process end by itself", () => {
    const script = `
      import { setThreads, spinning } from "./core/cpu/kernels/threads.ts";
      import { softmaxWasm } from "./core/cpu/kernels/softmax.ts";
      import { Tensor } from "./core/index.ts";
      setThreads(3);
      const x = Tensor.ones([500, 500]);
      spinning(() => softmaxWasm(x, x)());
      console.log(x.data[0]);`;
    const args = ["--import", "tsx", "--input-type=module", "--eval", script];
    const printed = execFileSync(process.execPath, args, { encoding: "utf8", timeout: 20_000 });
    expect(Number(printed)).toBeCloseTo(1 / 500, 8);
  });

  it("refuse a number of threads that is none", () => {
    expect(() => setThreads(0)).toThrow(/from 1 to 64, got 0/);
    expect(() => setThreads(1.5)).toThrow(/got 1.5/);
  });
});
