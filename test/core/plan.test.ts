import { fc, test } from "@fast-check/vitest";
import { describe, expect, it } from "vitest";
import { heapUsage, Plan, Random, Scope, Tensor, tidy } from "../../core/index.ts";

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

  /** A random program over values of shape (4, 4): each step reads earlier values. */
  const steps = fc.array(fc.tuple(fc.nat(11), fc.nat(100), fc.nat(100)), { minLength: 1, maxLength: 25 });
  const program =
    (list: readonly (readonly [number, number, number])[], constant: Tensor) =>
    (x: Tensor, y: Tensor): Tensor[] => {
      const values = [x, y, constant];
      for (const [kind, i, j] of list) {
        const [a, b] = [values[i % values.length], values[j % values.length]];
        const row = constant.slice(0, 0, 1);
        const choices = [
          () => a.add(b),
          () => a.mul(b),
          () => a.sub(b.scale(0.5)),
          () => a.tanh(),
          () => a.gelu(),
          () => a.matmul(b),
          () => a.linear(constant, row.reshape([4])).add(b),
          () => a.reshape([16]).reshape([4, 4]).exp().neg().exp(),
          () => a.add(row),
          () => a.softmax(),
          () => a.sum([0], true).mul(b),
          () => a.maximum(b).clamp(-2, 2),
        ];
        values.push(choices[kind]());
      }
      return [values[values.length - 1], values[Math.floor(values.length / 2)]];
    };

  test.prop([fc.nat(), steps], { numRuns: 200 })("replays any program bit for bit", (seed, list) => {
    using _ = new Scope();
    const random = new Random(seed);
    const draw = (): Tensor => random.normals([4, 4]);
    const body = program(list, draw());
    using plan = new Plan(body, [draw(), draw()]);
    const inputs = [draw(), draw()] as const;
    const replayed = plan.run(...inputs).map((out) => out.toArray());
    expect(replayed).toEqual(body(...inputs).map((out) => out.toArray()));
  });

  it("neither allocates nor recomputes constants at replay", () => {
    using _ = new Scope();
    const random = new Random(5);
    const x = random.normals([4, 6]);
    using plan = new Plan(network(random), [x]);
    const { live } = heapUsage();
    for (let i = 0; i < 100; i++) plan.run(x);
    expect(heapUsage().live).toBe(live);
    expect(plan.length).toBe(4); // linear with gelu, matmul with residual, softmax, mul with add; t and exp are folded
  });

  it("captures bodies that open scopes of their own", () => {
    using _ = new Scope();
    const x = new Random(3).normals([4, 6]);
    const body = (y: Tensor): Tensor => tidy(() => y.exp().softmax()).add(tidy(() => y.square()));
    using plan = new Plan(body, [x]);
    expect(plan.run(x)[0].toArray()).toEqual(body(x).toArray());
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

  it("leaves nothing behind when the body throws", () => {
    const before = heapUsage().live;
    const broken = (x: Tensor): Tensor => x.exp().add(Tensor.zeros([3]));
    {
      using _ = new Scope();
      expect(() => new Plan(broken, [Tensor.zeros([2])])).toThrow("do not broadcast");
      Tensor.zeros([5]); // in the scope that was open before
    }
    expect(heapUsage().live).toBe(before);
  });

  it("refuses inputs of another shape", () => {
    using plan = new Plan((x) => x.neg(), [Tensor.zeros([2])]);
    expect(() => plan.run(Tensor.zeros([3]))).toThrow(
      "Plan.run: input 0: expected float32 (2), got float32 (3)",
    );
  });
});
