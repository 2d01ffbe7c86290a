import { fc, test } from "@fast-check/vitest";
import { describe, expect, it } from "vitest";
import { grad, heapUsage, Random, Scope, type Tensor } from "../../core/index.ts";
import { AdamW, Dropout, Linear, Module, seedDropout, TrainingStep } from "../../nn/index.ts";

const options = { betas: [0.9, 0.95], eps: 1e-8, weightDecay: 0.05 } as const;

class Net extends Module {
  first = new Linear(6, 8);
  second = new Linear(8, 3);
  unused = new Linear(2, 2);
  readonly dropout: Dropout;

  constructor(p: number) {
    super();
    this.dropout = new Dropout(p);
  }

  loss(x: Tensor, y: Tensor): Tensor {
    return this.second
      .forward(this.dropout.forward(this.first.forward(x).gelu()))
      .sub(y)
      .square()
      .mean();
  }
}

describe("TrainingStep", () => {
  test.prop([fc.nat(), fc.integer({ min: 1, max: 9 })], { numRuns: 20 })(
    "does what the eager step does, bit for bit",
    (seed, rows) => {
      using _ = new Scope();
      const [eager, captured] = [new Net(0), new Net(0)].map((net) => net.init(new Random(seed)));
      const [a, b] = [eager, captured].map((net) => new AdamW(net.namedParameters(), options));
      const random = new Random(seed, 1);
      const draw = (): [Tensor, Tensor] => [random.normals([rows, 6]), random.normals([rows, 3])];
      using step = new TrainingStep((x, y) => captured.loss(x, y), b, draw());
      for (let i = 0; i < 4; i++) {
        const batch = draw();
        const loss = eager.loss(...batch);
        a.step(grad(loss, a.parameters), 0.01);
        expect(step.run(batch, 0.01)).toBe(loss.item());
      }
      expect(captured.stateDict()).toEqual(eager.stateDict());
      for (const owner of [a, b, eager, captured]) owner.dispose();
    },
  );

  it("draws new dropout masks at each replay", () => {
    using _ = new Scope();
    seedDropout(4);
    const net = new Net(0.5).init(new Random(1)).train();
    const optimizer = new AdamW(net.namedParameters(), options);
    const x = new Random(2).normals([5, 6]);
    const y = new Random(3).normals([5, 3]);
    using step = new TrainingStep((a, b) => net.loss(a, b), optimizer, [x, y]);
    const losses = Array.from({ length: 6 }, () => step.run([x, y], 0)); // at rate 0 nothing but the masks changes
    expect(new Set(losses).size).toBeGreaterThan(3);
    optimizer.dispose();
    net.dispose();
  });

  it("holds the heap flat", () => {
    using _ = new Scope();
    const net = new Net(0.1).init(new Random(1)).train();
    const optimizer = new AdamW(net.namedParameters(), options);
    const batch = [new Random(2).normals([5, 6]), new Random(3).normals([5, 3])];
    using step = new TrainingStep((a, b) => net.loss(a, b), optimizer, batch);
    step.run(batch, 1e-3);
    const { live } = heapUsage();
    for (let i = 0; i < 200; i++) step.run(batch, 1e-3);
    expect(heapUsage().live).toBe(live);
    optimizer.dispose();
    net.dispose();
  });
});
