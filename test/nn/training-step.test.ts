import { fc, test } from "@fast-check/vitest";
import { describe, expect, it } from "vitest";
import { grad, heapUsage, Random, Scope, Tensor } from "../../core/index.ts";
import { AdamW, Dropout, Linear, Module, NonFiniteError, TrainingStep, withMasks } from "../../nn/index.ts";

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
    async (seed, rows) => {
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
        expect(await step.run(batch, 0.01)).toEqual({ loss: loss.item(), parts: {}, gradientNorm: null });
      }
      expect(captured.stateDict()).toEqual(eager.stateDict());
      for (const owner of [a, b, eager, captured]) owner.dispose();
    },
  );

  test.prop([fc.nat(), fc.integer({ min: 1, max: 4 }), fc.double({ min: 1e-3, max: 1, noNaN: true })], {
    numRuns: 20,
  })("accumulates, clips and reports as spelled out by hand, masks included", async (seed, batches, clip) => {
    using _ = new Scope();
    const [eager, captured] = [new Net(0.3), new Net(0.3)].map((net) => net.init(new Random(seed)).train());
    const [a, b] = [eager, captured].map((net) => new AdamW(net.namedParameters(), options));
    const random = new Random(seed, 1);
    const draw = (): [Tensor, Tensor] => [random.normals([3, 6]), random.normals([3, 3])];
    const masks = new Random(seed, 2);
    const start = masks.state;
    using step = new TrainingStep(
      (x, y) => ({ size: x.square().mean(), loss: captured.loss(x, y) }),
      b,
      draw(),
      { masks, clip },
    );
    let round = 0;
    for (let update = 0; update < 3; update++) {
      const given = Array.from({ length: batches }, draw);
      const losses: number[] = [];
      const sums: (Float32Array | null)[] = [];
      for (const batch of given) {
        const mine = new Random(seed, 2).restore({ ...start, round: ++round });
        const loss = withMasks(mine, () => eager.loss(...batch));
        losses.push(loss.item());
        grad(loss, a.parameters).forEach((g, i) => {
          sums[i] = g && Float32Array.from(g.data, (value, j) => (sums[i]?.[j] ?? 0) + value);
        });
      }
      // Factors reach the device as float32 numbers, and each gradient's own norm comes back as one.
      const length = (xs: ArrayLike<number>): number =>
        Math.sqrt(Array.from(xs).reduce((s, x) => s + x * x, 0));
      const share = Math.fround(1 / batches);
      const mean = sums.map((sum) => sum?.map((value) => value * share) ?? null);
      const norm = length(mean.flatMap((g) => (g ? [Math.fround(length(g))] : [])));
      const factor = norm > clip ? Math.fround(clip / norm) : 1;
      const gradients = mean.map(
        (g, i) =>
          g &&
          Tensor.from(
            g.map((v) => v * factor),
            a.parameters[i].shape,
          ),
      );
      a.step(gradients, 0.01);
      for (const batch of given.slice(0, -1)) await step.accumulate(batch);
      const result = await step.run(given.at(-1) as Tensor[], 0.01);
      const average = (values: number[]): number => values.reduce((sum, value) => sum + value, 0) / batches;
      expect(result.loss).toBe(average(losses));
      expect(result.parts).toEqual({ size: average(given.map(([x]) => x.square().mean().item())) });
      expect(result.gradientNorm).toBe(norm);
    }
    expect(captured.stateDict()).toEqual(eager.stateDict());
    for (const owner of [a, b, eager, captured]) owner.dispose();
  });

  it("computes gradients of weights whose input is a constant, which plans lay out for a product", async () => {
    using _ = new Scope();
    const [eager, captured] = [1, 1].map((seed) => new Linear(8, 4).init(new Random(seed)));
    const constant = new Random(2).normals([1, 8]);
    const x = new Random(3).normals([1, 4]);
    const loss = (linear: Linear, x: Tensor): Tensor => linear.forward(constant).mul(x).sum();
    const [a, b] = [eager, captured].map((linear) => new AdamW(linear.namedParameters(), options));
    using step = new TrainingStep((x) => loss(captured, x), b, [x]);
    a.step(grad(loss(eager, x), a.parameters), 0.1);
    await step.run([x], 0.1);
    expect(captured.stateDict()).toEqual(eager.stateDict());
    for (const owner of [a, b, eager, captured]) owner.dispose();
  });

  it("leaves a gradient that is a constant of the plan as it is when it clips", async () => {
    using _ = new Scope();
    const p = Tensor.zeros([2]).tracked();
    const optimizer = new AdamW([["p", p]], { weightDecay: 0 });
    const x = Tensor.ones([1]);
    using step = new TrainingStep((x) => p.sum().add(x.sum()), optimizer, [x], { clip: 0.5 });
    for (let i = 0; i < 3; i++) expect((await step.run([x], 0)).gradientNorm).toBe(Math.fround(Math.SQRT2));
    optimizer.dispose();
  });

  it("draws new dropout masks at each replay, the same again from a restored stream", async () => {
    using _ = new Scope();
    const net = new Net(0.5).init(new Random(1)).train();
    const optimizer = new AdamW(net.namedParameters(), options);
    const batch = [new Random(2).normals([5, 6]), new Random(3).normals([5, 3])];
    const start = (): { step: TrainingStep; masks: Random } => {
      const masks = new Random(4);
      return { masks, step: new TrainingStep((a, b) => net.loss(a, b), optimizer, batch, { masks }) };
    };
    const { step, masks } = start();
    // At rate 0 nothing but the masks changes.
    const lossesOf = async (step: TrainingStep, count: number): Promise<number[]> => {
      const losses: number[] = [];
      for (let i = 0; i < count; i++) losses.push((await step.run(batch, 0)).loss);
      return losses;
    };
    const losses = await lossesOf(step, 6);
    expect(new Set(losses).size).toBeGreaterThan(3);
    const { state } = masks;
    const goingOn = await lossesOf(step, 2);
    const later = start(); // as another process would
    later.masks.restore(state);
    expect(await lossesOf(later.step, 2)).toEqual(goingOn);
    for (const owner of [step, later.step]) owner[Symbol.dispose]();
    optimizer.dispose();
    net.dispose();
  });

  it("refuses a loss that drops numbers without a stream of masks", () => {
    using _ = new Scope();
    const net = new Net(0.5).init(new Random(1)).train();
    const optimizer = new AdamW(net.namedParameters(), options);
    const batch = [Tensor.ones([2, 6]), Tensor.ones([2, 3])];
    const make = (): TrainingStep => new TrainingStep((a, b) => net.loss(a, b), optimizer, batch);
    expect(make).toThrow("Dropout: expected a stream of masks");
    expect(() => withMasks(new Random(1), make)).toThrow("Dropout: expected a stream of masks");
    optimizer.dispose();
    net.dispose();
  });

  describe("of a loss that is not finite", () => {
    const net = new Net(0.5).init(new Random(1)).train();
    const batch = (): Tensor[] => [new Random(2).normals([4, 6]), new Random(3).normals([4, 3])];
    const start = (optimizer: AdamW): TrainingStep =>
      new TrainingStep(
        (x, y) => net.loss(x, y).add(net.first.forward(x).scale(10).exp().mean()),
        optimizer,
        batch(),
        { masks: new Random(4) },
      );
    const failing = async (inputs: readonly Tensor[]): Promise<NonFiniteError> => {
      using optimizer = disposing(new AdamW(net.namedParameters(), options));
      using step = start(optimizer);
      const before = net.stateDict();
      try {
        await step.run(inputs, 0.01);
      } catch (error) {
        expect(net.stateDict()).toEqual(before);
        return error as NonFiniteError;
      }
      throw new Error("expected an error");
    };

    it("names the first op that made one, and the parameter before it; nothing is updated", async () => {
      using _ = new Scope();
      const inputs = batch();
      inputs[0].data.fill(1e4);
      const error = await failing(inputs);
      expect(error).toBeInstanceOf(NonFiniteError);
      expect(error.message).toMatch(
        /expected a finite loss, got Infinity: op exp makes Infinity at \d+ of \(4, 8\)/,
      );
      expect(error.message).toContain("last parameters read: first.weight, first.bias; nothing was updated");
      expect(error.inputs[0]).toEqual({ dtype: "F32", shape: [4, 6], data: new Float32Array(24).fill(1e4) });
    });

    it("names the input or the parameter that held it", async () => {
      using _ = new Scope();
      const inputs = batch();
      inputs[1].data[7] = Number.NaN;
      expect((await failing(inputs)).message).toContain("input 1 (4, 3) holds NaN at 7");
      const { bias } = net.second as { bias: Tensor };
      const [kept] = bias.data;
      bias.data[0] = Number.POSITIVE_INFINITY;
      expect((await failing(batch())).message).toContain("parameter second.bias holds Infinity at 0");
      bias.data[0] = kept;
    });

    it("finds a gradient that is not finite where the norm is measured", async () => {
      using _ = new Scope();
      const p = Tensor.zeros([1]).tracked();
      const optimizer = new AdamW([["p", p]]);
      const x = Tensor.ones([1]);
      using step = new TrainingStep((x) => p.sqrt().mul(x).sum(), optimizer, [x], { clip: Infinity });
      await expect(step.run([x], 0.1)).rejects.toThrow(
        /expected a finite gradient norm, got .*: op \w+ makes/,
      );
      expect(p.data[0]).toBe(0);
      optimizer.dispose();
    });
  });

  it("refuses losses that are no scalars, and options that it does not have", () => {
    using _ = new Scope();
    const p = Tensor.ones([2]).tracked();
    const optimizer = new AdamW([["p", p]]);
    const make = (loss: (x: Tensor) => never, options?: object) => () =>
      new TrainingStep(loss, optimizer, [Tensor.ones([2])], options);
    expect(make((x) => p.mul(x) as never)).toThrow("to return a scalar loss, got shape (2)");
    expect(make((x) => ({ loss: p.sum(), part: x }) as never)).toThrow("a scalar part, got shape (2)");
    expect(make(() => p.sum() as never, { clip: 0 })).toThrow("TrainingStep: expected clip");
    expect(make(() => p.sum() as never, { masks: 3 })).toThrow("TrainingStep: expected masks");
    expect(make(() => p.sum() as never, { accumulate: 3 })).toThrow("TrainingStep: expected options");
    optimizer.dispose();
  });

  it("takes one batch after the other", async () => {
    using _ = new Scope();
    const p = Tensor.ones([2]).tracked();
    const optimizer = new AdamW([["p", p]]);
    const x = Tensor.ones([2]);
    using step = new TrainingStep((x) => p.mul(x).sum(), optimizer, [x]);
    const first = step.run([x], 0);
    await expect(step.accumulate([x])).rejects.toThrow("expected the batch before to be done");
    expect((await first).loss).toBe(2);
    optimizer.dispose();
  });

  it("holds the heap flat", async () => {
    using _ = new Scope();
    const net = new Net(0.1).init(new Random(1)).train();
    const optimizer = new AdamW(net.namedParameters(), options);
    const batch = [new Random(2).normals([5, 6]), new Random(3).normals([5, 3])];
    const masks = new Random(4);
    using step = new TrainingStep((a, b) => net.loss(a, b), optimizer, batch, { masks, clip: 0.1 });
    const update = async (): Promise<void> => {
      await step.accumulate(batch);
      await step.run(batch, 1e-3);
    };
    await update();
    const { live } = heapUsage();
    for (let i = 0; i < 100; i++) await update();
    expect(heapUsage().live).toBe(live);
    optimizer.dispose();
    net.dispose();
  });
});

const disposing = <T extends { dispose(): void }>(owner: T): T & Disposable =>
  Object.assign(owner, { [Symbol.dispose]: () => owner.dispose() });
