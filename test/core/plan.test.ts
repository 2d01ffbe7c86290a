import { fc, test } from "@fast-check/vitest";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  FrozenWeights,
  grad,
  heapUsage,
  noGrad,
  Plan,
  poisonFreed,
  Random,
  Scope,
  Tensor,
  tidy,
  unscoped,
  watchKernels,
  withGradients,
} from "../../core/index.ts";
import { AdamW } from "../../nn/index.ts";

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

  test.prop([fc.nat(), fc.constantFrom(1, 3, 64, 1025)], { numRuns: 20 })(
    "computes GELU and its slope in one pass, to the bits of each alone",
    (seed, rows) => {
      using _ = new Scope();
      const random = new Random(seed);
      const w = random.normals([5, 5]);
      const body = (x: Tensor, dy: Tensor): Tensor[] => {
        const h = x.linear(w).tracked();
        const y = withGradients(() =>
          h
            .gelu()
            .reshape([5 * rows])
            .square(),
        );
        return [h, y, ...grad(y, [h], { dy })] as Tensor[];
      };
      const inputs = [random.normals([rows, 5]).scale(3), random.normals([5 * rows])] as const;
      using plan = new Plan(body, inputs);
      let read: readonly number[][] = [];
      const results = watchKernels(
        ({ op, ins }) => {
          if (op.name === "geluSlope") read = ins.map((x) => Array.from(x.data));
        },
        () => plan.run(...inputs),
      ).map((x) => x.toArray());
      const [h, y, dh] = body(...inputs);
      expect(results).toEqual([h, y, dh].map((x) => x.toArray()));
      const [slopes] = grad(h.gelu(), [h], { dy: Tensor.ones(h.shape) }) as [Tensor];
      expect(read).toContainEqual(slopes.toArray()); // not h, of which it would have to be computed
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

// One example of each rule; contract.test.ts tries all of them at random.
describe("a plan and what it reads", () => {
  beforeAll(() => poisonFreed(true));
  afterAll(() => poisonFreed(false));

  it("is freed once, and of no use afterwards", () => {
    const before = heapUsage().live;
    const x = Tensor.ones([4]);
    const plan = new Plan(() => x.exp().neg(), [], [x]);
    const [out] = plan.run();
    plan[Symbol.dispose]();
    plan[Symbol.dispose]();
    const [a, b] = [Tensor.full([4], 1), Tensor.full([4], 2)]; // two blocks, not one
    expect([a.toArray(), b.toArray()]).toEqual([
      [1, 1, 1, 1],
      [2, 2, 2, 2],
    ]);
    expect(() => plan.run()).toThrow("Plan.run: the plan was disposed of");
    expect(() => plan.length).toThrow("Plan.length: the plan was disposed of");
    expect(() => plan.arenaBytes).toThrow("Plan.arenaBytes: the plan was disposed of");
    expect(() => out.data).toThrow("Tensor (4): the plan that it is a result of was disposed of");
    for (const tensor of [x, a, b, out]) tensor.dispose();
    expect(heapUsage().live).toBe(before);
  });

  it("keeps constants, variables and frozen weights alive, and gives them back", () => {
    const before = heapUsage().live;
    const x = Tensor.ones([1, 2]);
    const [w, v] = [Tensor.from([1, 2, 3, 4], [2, 2]), Tensor.full([2], 5)];
    const frozen = new FrozenWeights([[1, 0, 0, 2]], 2, 2);
    const body = (y: Tensor): Tensor =>
      y
        .add(v)
        .reshape([1, 1, 2])
        .frozenLinear(frozen)
        .reshape([1, 2])
        .add(w.slice(0, 1, 2));
    const plan = new Plan(body, [x], [v]);
    for (const owner of [w, v, frozen]) owner.dispose();
    frozen.dispose();
    for (let i = 0; i < 9; i++) Tensor.full([2, 2], 9).dispose(); // would take the freed places
    expect(plan.run(x)[0].toArray()).toEqual([9, 16]); // (1 + 5) + 3, 2 (1 + 5) + 4
    expect(() => tidy(() => x.reshape([1, 1, 2]).frozenLinear(frozen))).toThrow("weights were disposed of");
    plan[Symbol.dispose]();
    expect(() => frozen.values()).toThrow("FrozenWeights: used after they were disposed of");
    x.dispose();
    expect(heapUsage().live).toBe(before);
  });

  it("frees what a body makes like any other code, and lets nobody use what it hands out", () => {
    using _ = new Scope();
    const seen: Tensor[] = [];
    const x = Tensor.full([3], 2);
    using plan = new Plan(
      (y) => {
        const square = y.square();
        seen.push(
          square,
          unscoped(() => y.neg()),
        );
        const out = square.add(y);
        square.dispose();
        y.dispose();
        return out;
      },
      [x],
    );
    x.dispose();
    const [square, negative] = seen;
    expect(() => square.data).toThrow("used after it was freed");
    expect(plan.run(Tensor.full([3], 10))[0].toArray()).toEqual([110, 110, 110]);
    const message = "was disposed of, or was just being captured";
    expect(() => negative.data).toThrow(message);
    expect(() => negative.add(1)).toThrow(message);
    negative.dispose();
  });

  it("computes nothing while it is captured but what stays the same, and takes no memory for it", () => {
    using _ = new Scope();
    const [x, w] = [Tensor.zeros([64, 256]), Tensor.ones([256, 256])];
    const calls: string[] = [];
    const body = (y: Tensor): Tensor => {
      for (let i = 0; i < 100; i++) y = y.matmul(w.neg()).gelu();
      return y;
    };
    const plan = watchKernels(
      ({ op }) => calls.push(op.name),
      () => new Plan((y) => body(y.exp()), [x]),
    );
    expect(new Set(calls)).toEqual(new Set(["neg"]));
    // Two results that take turns.
    expect(plan.arenaBytes).toBeLessThanOrEqual(3 * 4 * x.size);
    plan[Symbol.dispose]();
  });

  it("returns inputs, constants, variables and views of them as they are", () => {
    using _ = new Scope();
    const [constant, variable] = [Tensor.full([2], 7), Tensor.full([2], 1)];
    const body = (a: Tensor, b: Tensor): Tensor[] => [
      b,
      a.reshape([2, 1]),
      constant,
      variable,
      constant.exp().log(),
    ];
    using plan = new Plan(body, [constant, constant], [variable]);
    const [one, two] = [Tensor.full([2], 1), Tensor.full([2], 2)];
    const results = plan.run(one, two);
    variable.data.fill(3);
    expect(results.map((out) => out.data[0])).toEqual([
      2,
      1,
      7,
      3,
      Math.fround(Math.log(Math.fround(Math.exp(7)))),
    ]);
    // Given back to the plan, in exchanged places, they are read before they are written.
    plan.run(results[0], results[1].reshape([2]));
    expect(results.slice(0, 2).map((out) => out.data[0])).toEqual([1, 2]);
  });

  it("gives results that may be kept or disposed of", () => {
    using _ = new Scope();
    const x = Tensor.ones([2]);
    using plan = new Plan((y) => y.neg(), [x]);
    plan.run(x)[0].dispose();
    const kept = tidy(() => plan.run(x)[0]);
    expect(kept.toArray()).toEqual([-1, -1]);
    expect(plan.run(x)[0].toArray()).toEqual([-1, -1]);
  });

  it("refuses a body whose replays would not do what it does", () => {
    const before = heapUsage().live;
    tidy(() => {
      const x = Tensor.ones([2]);
      const w = Tensor.ones([2]).tracked();
      using other = new Plan((y) => y.neg(), [x]);
      const optimiser = new AdamW([["w", w]], { betas: [0.9, 0.99], eps: 1e-8, weightDecay: 0 });
      const refused: readonly [string, (y: Tensor) => unknown, string][] = [
        ["a run", (y) => other.run(y), "Plan.run: a plan is being captured"],
        ["a capture", (y) => new Plan((z) => z, [y]), "Plan: a plan is being captured"],
        [
          "numbers read",
          (y) => y.scale(y.data[0]),
          "Plan: the body reads or writes the numbers of a tensor (2)",
        ],
        ["a number of a result", (y) => y.scale(y.sum().item()), "Plan: the body reads or writes"],
        ["a variable read", () => w.toArray(), "Plan: the body reads or writes"],
        ["numbers drawn", (y) => y.add(new Random(1).normals([2])), "Random: a plan is being captured"],
        ["an update", () => optimiser.step([Tensor.ones([2])], 0.1), "adamWStep: a plan is being captured"],
        ["another plan's result", (y) => y.add(result), "a result (2) of another plan"],
        ["an open scope", (y) => [new Scope(), y.neg()][1], "a scope of its own still open"],
        ["a promise", async (y) => y, "an array of tensors, got Promise"],
        ["nothing", () => {}, "got undefined"],
        ["a tensor freed by the body", (y) => freed(y.neg()), "used after it was freed"],
      ];
      const [result] = other.run(x);
      for (const [name, body, message] of refused)
        expect(() => new Plan(body as (y: Tensor) => Tensor, [x], [w]), name).toThrow(message);
      expect(() => new Plan((y) => y, x as unknown as Tensor[])).toThrow(
        "Plan: examples: expected an array of tensors, got a Tensor of shape (2)",
      );
      expect(() => other.run([1, 2] as unknown as Tensor)).toThrow("Plan.run: expected a tensor, got [1, 2]");
      optimiser.dispose();
    });
    expect(heapUsage().live).toBe(before);
  });

  it("lets a body read constants", () => {
    using _ = new Scope();
    const c = Tensor.full([2], 3);
    using plan = new Plan((x) => x.scale(c.data[0]).add(c.exp().log().shift(c.square().data[0])), [c]);
    expect(plan.run(Tensor.ones([2]))[0].data[0]).toBeCloseTo(3 + 3 + 9, 5);
  });

  it("gives no gradient rather than none, when what it reads is tracked", () => {
    using _ = new Scope();
    const w = Tensor.ones([2]).tracked();
    using plan = new Plan((x) => x.mul(w).sum(), [w]);
    const loss = plan.run(w)[0].square();
    expect(() => grad(loss, [w])).toThrow("grad: no gradient for tensor 0, (2)");
    const [quiet] = noGrad(() => plan.run(w));
    expect(quiet.node).toBeNull();
  });
});

function freed(x: Tensor): Tensor {
  x.dispose();
  return x;
}
