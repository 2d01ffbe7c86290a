import { fc, test } from "@fast-check/vitest";
import { describe, expect, it } from "vitest";
import { Allocation, allocate, memory, release } from "../../../core/cpu/heap.ts";
import { layoutForRows, packWeights } from "../../../core/cpu/product/choose.ts";
import type { Layout } from "../../../core/cpu/product/layout.ts";
import {
  checkpoint,
  type FrozenFormat,
  FrozenWeights,
  grad,
  heapUsage,
  Plan,
  poisonFreed,
  Random,
  Scope,
  Tensor,
  tidy,
  unscoped,
} from "../../../core/index.ts";

describe("the heap", () => {
  test.prop([fc.array(fc.tuple(fc.integer({ min: 0, max: 300_000 }), fc.boolean()), { maxLength: 60 })])(
    "gives aligned blocks that never overlap, and takes all of them back",
    (requests) => {
      const before = heapUsage().live;
      const held: { at: number; bytes: number }[] = [];
      for (const [bytes, dropOne] of requests) {
        const at = allocate(bytes);
        expect(at % 64).toBe(0);
        expect(at).toBeGreaterThan(0);
        expect(at + bytes).toBeLessThanOrEqual(memory.buffer.byteLength);
        for (const other of held) expect(at + bytes <= other.at || other.at + other.bytes <= at).toBe(true);
        held.push({ at, bytes });
        if (dropOne) {
          const [gone] = held.splice(Math.floor(held.length / 2), 1);
          release(gone.at, gone.bytes);
        }
      }
      for (const { at, bytes } of held) release(at, bytes);
      expect(heapUsage().live).toBe(before);
    },
  );

  it("says so when 4 GiB are not enough", () => {
    const before = heapUsage().live;
    expect(() => allocate(2 ** 33)).toThrow(/out of memory: 8589934592 bytes asked for/);
    expect(() => allocate(2 ** 33)).toThrow(`${before} live`);
    expect(() => allocate(2 ** 33)).toThrow(/tidy\(\(\) => …\) or a Scope/); // the remedy
    expect(heapUsage().live).toBe(before);
  });

  it("takes a block back once, and tells its address no more", () => {
    const block = new Allocation(100, "Somebody");
    const { live } = heapUsage();
    block.dispose();
    block.dispose();
    expect(heapUsage().live).toBe(live - 128);
    expect(() => block.address).toThrow("Somebody: used after it was disposed of");
  });

  it("shows NaN, or −1, in what was freed, once asked to", () => {
    poisonFreed(true);
    try {
      const views = (["float32", "float64", "int32"] as const).map((dtype) =>
        [10, 100_000].map((size) => {
          const x = Tensor.ones([size], dtype);
          const { data } = x;
          x.dispose();
          return data;
        }),
      );
      const expected = [Number.NaN, Number.NaN, -1];
      views.forEach((pair, i) => {
        for (const data of pair) expect([data[0], data.at(-1)]).toEqual([expected[i], expected[i]]);
      });
    } finally {
      poisonFreed(false);
    }
  });
});

describe("weights laid out for kernels", () => {
  it("are freed once, and of no use afterwards", () => {
    const b = Tensor.ones([8, 8]);
    const [few, many] = [1, 30].map((rows) => packWeights(b, 8, 8, false, layoutForRows(rows) as Layout));
    for (const packed of [few, many]) {
      const { live } = heapUsage();
      packed.dispose();
      const freed = heapUsage().live;
      expect(freed).toBeLessThan(live);
      packed.dispose();
      expect(heapUsage().live).toBe(freed);
    }
    expect(() => few.address).toThrow("PackedWeights: used after it was disposed of");
    expect(() => many.address).toThrow("PackedWeights: used after it was disposed of");
    b.dispose();
  });
});

describe("frozen weights", () => {
  const use = (weights: FrozenWeights): number[] =>
    tidy(() => Tensor.ones([1, 1, 8]).frozenLinear(weights).toArray());
  const frozen = (format: FrozenFormat): FrozenWeights =>
    new FrozenWeights([new Float64Array(64).fill(1)], 8, 8, format);

  it.each(["float32", "bfloat16", "int8"] as const)(
    "as %s are laid out once, for whoever uses them, until the last lets go",
    (format) => {
      use(frozen(format)); // the kernel's own memory
      const x = Tensor.ones([1, 1, 8]);
      const before = heapUsage().live;
      const weights = frozen(format);
      const once = heapUsage().live;
      expect(once).toBeGreaterThan(before);
      const expected = use(weights);
      expect(heapUsage().live).toBe(once);
      const plan = new Plan((y) => y.frozenLinear(weights), [x]);
      const [y] = plan.run(x);
      expect(y.toArray()).toEqual(expected);
      expect(heapUsage().live - once).toBe(64 * Math.ceil(plan.arenaBytes / 64)); // nothing but the arena
      weights.dispose();
      weights.dispose();
      expect(plan.run(x)[0].toArray()).toEqual(expected);
      expect(() => use(weights)).toThrow("were disposed of");
      plan[Symbol.dispose]();
      expect(() => weights.values()).toThrow("FrozenWeights: used after they were disposed of");
      y.dispose();
      expect(heapUsage().live).toBe(before);
      x.dispose();
    },
  );
});

describe("scopes", () => {
  it("free what was made in them and keep what is asked for", () => {
    const before = heapUsage().live;
    let kept: Tensor;
    {
      using scope = new Scope();
      kept = scope.keep(Tensor.ones([100]).mul(Tensor.ones([100])));
      Tensor.zeros([1000]);
    }
    expect(kept.data[99]).toBe(1);
    kept.dispose();
    expect(heapUsage().live).toBe(before);
    expect(() => kept.data).toThrow("used after it was freed");
  });

  it("share a block between a tensor and its reshapes until the last one goes", () => {
    const x = Tensor.from([1, 2, 3, 4]);
    const y = x.reshape([2, 2]);
    x.dispose();
    expect(y.toArray()).toEqual([1, 2, 3, 4]);
    y.dispose();
  });

  it("hold the heap flat over ten thousand training steps", () => {
    const random = new Random(1);
    const w = random.normals([8, 8]).tracked();
    const x = random.normals([4, 8]);
    const step = (): void => {
      using _ = new Scope();
      const [g] = grad(x.matmul(w).tanh().square().sum(), [w]);
      (g as Tensor).data.forEach((value, i) => {
        w.data[i] -= 1e-3 * value;
      });
    };
    step();
    const { live, total } = heapUsage();
    for (let i = 0; i < 10_000; i++) step();
    expect(heapUsage()).toMatchObject({ live, total });
  });

  it("nest", () => {
    using _ = new Scope();
    const y = tidy(() => tidy(() => Tensor.full([3], 2)).square());
    expect(y.toArray()).toEqual([4, 4, 4]);
  });

  it("end once, and keep nothing afterwards", () => {
    const outer = new Scope();
    const inner = new Scope();
    expect(() => outer[Symbol.dispose]()).toThrow("opposite order");
    inner[Symbol.dispose]();
    inner[Symbol.dispose]();
    const x = Tensor.ones([2]);
    expect(() => inner.keep(x)).toThrow("Scope.keep: the scope has ended");
    outer[Symbol.dispose]();
    expect(() => x.data).toThrow("used after it was freed");
  });

  it("never shorten the life of a tensor that is not theirs", () => {
    const weight = unscoped(() => Tensor.full([2], 3));
    {
      using _ = new Scope();
      const outer = Tensor.full([2], 4);
      expect(tidy(() => weight)).toBe(weight);
      expect(tidy(() => tidy(() => outer))).toBe(outer);
      expect(outer.scope).not.toBeNull();
    }
    expect(weight.toArray()).toEqual([3, 3]);
    weight.dispose();
  });
});

describe("tidy", () => {
  it("keeps the tensors that it returns, alone, in arrays and in objects, and frees the others", () => {
    const before = heapUsage().live;
    const made = (): Tensor => Tensor.ones([2]).add(Tensor.ones([2]));
    const { a, list, n } = tidy(() => ({ a: made(), list: [made(), [made()]], n: made().data[0] }));
    const flat = [a, ...list.flat()];
    expect(flat.map((x) => x.toArray())).toEqual([
      [2, 2],
      [2, 2],
      [2, 2],
    ]);
    expect(n).toBe(2);
    expect(heapUsage().live).toBe(before + 3 * 64);
    for (const x of flat) x.dispose();
    expect(tidy(() => {})).toBeUndefined();
    expect(tidy(() => null)).toBeNull();
  });

  it("refuses what cannot be right after its end", () => {
    expect(() => tidy(async () => 1)).toThrow("tidy: expected a body that is done when it returns");
    expect(() => tidy(() => Tensor.ones([2]).data)).toThrow("tidy: expected no view of a tensor (.data)");
  });
});

describe("a history that was cut", () => {
  const w = Tensor.ones([2]).tracked();
  const loss = (): Tensor => w.square().sum();
  const CUT = /grad: no gradient for tensor 0, \(2\): y was computed from a tensor .* whose history was cut/;

  it("is not taken for independence", () => {
    using _ = new Scope();
    expect(() => grad(tidy(loss), [w])).toThrow(CUT);
    expect(() => grad(tidy(loss).scale(2), [w])).toThrow(CUT);
    const kept = (() => {
      using scope = new Scope();
      return scope.keep(loss());
    })();
    expect(() => grad(kept, [w])).toThrow(CUT);
    const middle = w.scale(2);
    const y = middle.sum();
    middle.dispose();
    expect(() => grad(y, [w])).toThrow(CUT);
  });

  it("does no harm where nothing is asked through it", () => {
    using _ = new Scope();
    const { value, gradient } = tidy(() => {
      const y = loss();
      return { value: y, gradient: grad(y, [w])[0] as Tensor };
    });
    expect([value.item(), ...gradient.toArray()]).toEqual([2, 2, 2]);
    const state = tidy(() => w.scale(3)); // as in truncated backpropagation
    const [found] = grad(state.mul(w).sum(), [w]);
    expect(found?.toArray()).toEqual([3, 3]);
    // Meant as a constant, or as a leaf of its own.
    const unused = Tensor.ones([2]).tracked();
    expect(grad(tidy(loss).detach().mul(w).sum(), [unused])).toEqual([null]);
    const leaf = tidy(() => w.scale(2)).tracked();
    expect(grad(leaf.sum(), [leaf, unused])[1]).toBeNull();
    expect(grad(w.sum(), [unused])).toEqual([null]);
  });

  it("leaves the input of a checkpoint that returns it as it was", () => {
    using _ = new Scope();
    const y = checkpoint((x) => x, [w]);
    expect(y).not.toBe(w);
    expect(grad(y.sum(), [w])[0]?.toArray()).toEqual([1, 1]);
    expect(w.node).toBeNull();
  });
});
