import { describe, expect, it } from "vitest";
import {
  concat,
  cpu,
  grad,
  heapUsage,
  jacobian,
  jvp,
  onDevice,
  Plan,
  plainKernels,
  Random,
  Tensor,
  tidy,
  vjp,
} from "../../core/index.ts";
import { allOps, apply, isTracked } from "../../core/op.ts";
import { AdamW, Dropout, Ema, inDType, Linear, Module, TrainingStep } from "../../nn/index.ts";
import { Mirror } from "../laws/mirror.ts";
import { sampleInputs } from "../laws/ops.ts";

const mirror = new Mirror();

/** The numbers of tensors of any device, which are freed. */
async function taken(tensors: readonly Tensor[]): Promise<number[][]> {
  const read = await Promise.all(tensors.map((x) => x.read()));
  for (const x of tensors) x.dispose();
  return read.map((numbers) => Array.from(numbers));
}

describe.each(allOps.map((op) => [op.name, op] as const))("on another device, %s", (_name, op) => {
  it("gives the values and gradients of the plain kernels, and leaves nothing behind", async () => {
    const before = mirror.live;
    for (const sample of op.samples) {
      const results = (place: (x: Tensor) => Tensor): Tensor[] =>
        tidy(() => {
          const ins = sampleInputs(sample, "float64", 3).map(place);
          const floats = ins.filter((x) => x.dtype !== "int32").map((x) => x.tracked());
          const y = apply(op, ins, sample.attrs);
          if (!isTracked(y)) return [y];
          const dy = place(new Random(4).uniforms(y.shape, -1, 1, "float64"));
          const first = grad(y, floats, { dy, createGraph: true });
          const wanted = first.filter((g) => g !== null && g.node !== null).map((g) => (g as Tensor).sum());
          const twice =
            wanted.length === 0
              ? []
              : grad(
                  wanted.reduce((a, b) => a.add(b)),
                  floats,
                );
          return [y, ...first, ...twice].filter((x) => x !== null);
        });
      const expected = plainKernels(() => results((x) => x)).map((x) => x.toArray());
      const got = results((x) => x.to(mirror));
      for (const x of got) expect(x.device).toBe(mirror);
      expect(await taken(got)).toEqual(expected);
    }
    expect(mirror.live).toBe(before);
  });
});

class Net extends Module {
  first = new Linear(4, 6);
  second = new Linear(6, 2);
  dropout = new Dropout(0.2);

  loss(x: Tensor, y: Tensor): Tensor {
    return this.second
      .forward(this.dropout.forward(this.first.forward(x).gelu()))
      .sub(y)
      .square()
      .mean();
  }
}

describe("a device that hides its numbers", () => {
  it("trains as the CPU does: plans, accumulation, clipping, AdamW, averages, state", async () => {
    const run = async (): Promise<{ losses: number[]; state: unknown; averages: unknown }> => {
      // float64 runs on the plain kernels on the CPU too.
      const net = inDType("float64", () => new Net())
        .init(new Random(1))
        .train();
      const optimizer = new AdamW(net.namedParameters());
      const ema = new Ema(net);
      const batch = [
        [5, 4],
        [5, 2],
      ].map((shape) => new Random(2).normals(shape, "float64"));
      const options = { masks: new Random(4), clip: 0.1 };
      const step = new TrainingStep((x, y) => net.loss(x, y), optimizer, batch, options);
      const losses: number[] = [];
      for (let i = 1; i <= 4; i++) {
        await step.accumulate(batch);
        losses.push((await step.run(batch, 0.01)).loss);
        ema.update(i);
      }
      ema.swap();
      const [state, averages] = [await net.readStateDict(), await ema.readStateDict()];
      const moments = await optimizer.readStateDict();
      step[Symbol.dispose]();
      for (const owner of [net, optimizer, ema, ...batch]) owner.dispose();
      return { losses, state: [...state, ...moments], averages: [...averages] };
    };
    const expected = await run();
    const before = mirror.live;
    expect(await onDevice(mirror, run)).toEqual(expected);
    expect(mirror.live).toBe(before);
  });

  it("takes a module from the CPU, names, ties and marks with it", async () => {
    const { live } = heapUsage();
    const net = new Net().init(new Random(1));
    const weight = net.first.weight;
    const before = net.stateDict();
    const [hidden, bytes] = [mirror.live, heapUsage().live];
    expect(net.to(mirror).first.weight).toBe(weight);
    expect(heapUsage().live).toBe(live);
    expect(bytes).toBeGreaterThan(live);
    expect(mirror.live - hidden).toBe(net.tensors().size);
    expect(await net.readStateDict()).toEqual(before);
    expect([weight.device, weight.requiresGrad]).toEqual([mirror, true]);
    expect(() => net.to(cpu)).toThrow("got a tensor on mirror: await read()");
    net.to(mirror).dispose();
    expect(mirror.live).toBe(hidden);
  });

  it("gives Jacobians and products with them", async () => {
    const f = (x: Tensor): Tensor => x.matmul(x.tanh(), { transposeB: true }).softmax();
    const results = (x: Tensor): Tensor[] =>
      tidy(() => [jacobian(f, x), jacobian(() => x.detach(), x), jvp(f, x, x).dy, vjp(f, x, f(x)).dx]);
    const x = new Random(1).normals([2, 3], "float64");
    const expected = await taken(results(x));
    const there = x.to(mirror);
    expect(await taken(results(there))).toEqual(expected);
    for (const each of [x, there]) each.dispose();
  });

  it("runs plans, also on their own results", async () => {
    const plan = onDevice(mirror, () => new Plan((x) => x.mul(2).add(1), [Tensor.zeros([2])]));
    const [first] = plan.run(Tensor.from([1, 2]).to(mirror));
    const [second] = plan.run(first);
    expect(await taken([second])).toEqual([[7, 11]]);
    expect(() => plan.run(Tensor.zeros([2]))).toThrow("expected a tensor on mirror, got one on cpu");
    plan[Symbol.dispose]();
    expect(() => first.read()).toThrow("the plan that it is a result of was disposed of");
  });

  it("refuses what looks at numbers, and mixed devices, in one line", () => {
    const [x, y] = [Tensor.ones([1]), Tensor.ones([1]).to(mirror)];
    const hint = /look at numbers on cpu, got a tensor on mirror: await read\(\)/;
    for (const look of [() => y.data, () => y.item(), () => y.toArray(), () => y.to(cpu)])
      expect(look).toThrow(hint);
    const mixed = "expected inputs on one device, got (1) on cpu, (1) on mirror";
    expect(() => x.add(y)).toThrow(`add: ${mixed}`);
    expect(() => concat([x, y], 0)).toThrow(`concat: ${mixed}`);
    expect(() => new Plan((a) => a.add(Tensor.ones([1])), [y])).not.toThrow(); // made on the plan's device
    expect(() => new Plan((a) => [a, x.add(x)], [y])).not.toThrow(); // a constant
    expect(() => new Plan((a) => [a, x.add(x)], [y], [x])).toThrow(
      "a body that computes on mirror, got add on cpu",
    );
    for (const each of [x, y]) each.dispose();
  });
});
