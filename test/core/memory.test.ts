import { fc, test } from "@fast-check/vitest";
import { describe, expect, it } from "vitest";
import { grad, heapUsage, Random, Scope, Tensor, tidy } from "../../core/index.ts";
import { allocate, memory, release } from "../../core/memory.ts";

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
    expect(heapUsage().live).toBe(before);
  });
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
});
