import { fc, test } from "@fast-check/vitest";
import { describe, expect, it } from "vitest";
import { heapUsage, Plan, Random, Scope, Tensor } from "../../core/index.ts";

function network(random: Random): (x: Tensor) => Tensor {
  const [w, v, bias] = [random.normals([6, 6]), random.normals([6, 6]), random.normals([6])];
  return (x) => {
    const h = x.linear(w, bias).gelu();
    const skip = h
      .reshape([h.size / 6, 6])
      .matmul(v.t())
      .add(h); // v.t() does not depend on x: folded
    return skip.softmax().mul(bias.exp()).add(x);
  };
}

describe("Plan", () => {
  test.prop([fc.nat(), fc.integer({ min: 1, max: 5 })])(
    "replays what eager computes, bit for bit",
    (seed, rows) => {
      using _ = new Scope();
      const random = new Random(seed);
      const body = network(random);
      using plan = new Plan(body, [random.normals([rows, 6])]);
      for (let i = 0; i < 3; i++) {
        const x = random.normals([rows, 6]);
        expect(plan.run(x)[0].toArray()).toEqual(body(x).toArray());
      }
    },
  );

  it("neither allocates nor recomputes constants at replay", () => {
    using _ = new Scope();
    const random = new Random(5);
    const x = random.normals([4, 6]);
    using plan = new Plan(network(random), [x]);
    const { live } = heapUsage();
    for (let i = 0; i < 100; i++) plan.run(x);
    expect(heapUsage().live).toBe(live);
    expect(plan.length).toBe(7); // linear, gelu, matmul, add, softmax, mul, add without the folded t and exp
  });

  it("gives a block's place to others after its last reader", () => {
    using plan = new Plan(
      (x) => {
        let y = x;
        for (let i = 0; i < 50; i++) y = y.shift(1);
        return y;
      },
      [Tensor.zeros([1000])],
    );
    expect(plan.arenaBytes).toBeLessThan(3 * 4096);
    expect(plan.run(Tensor.ones([1000]))[0].data[999]).toBe(51);
  });

  it("gives back all memory", () => {
    using _ = new Scope();
    const x = new Random(1).normals([4, 6]);
    const body = network(new Random(2));
    const before = heapUsage().live;
    new Plan(body, [x])[Symbol.dispose]();
    expect(heapUsage().live).toBe(before);
  });

  it("refuses inputs of another shape", () => {
    using plan = new Plan((x) => x.neg(), [Tensor.zeros([2])]);
    expect(() => plan.run(Tensor.zeros([3]))).toThrow(
      "Plan.run: input 0: expected float32 (2), got float32 (3)",
    );
  });
});
