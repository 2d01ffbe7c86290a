import { fc, test as prop } from "@fast-check/vitest";
import { describe, expect, test } from "vitest";
import { grad, Random, Scope, Tensor, tidy } from "../../../core/index.ts";
import { AdamW, inDType, withMasks } from "../../../nn/index.ts";
import { actionSpaces } from "../../../vla/flower/action-spaces.ts";
import {
  between,
  type FlowerConfig,
  FlowerDecoder,
  flowerPresets,
  logitNormalTimes,
  stratifiedTimes,
} from "../../../vla/flower/flower.ts";
import { adamWOptions } from "../../../vla/nina/training.ts";

const tiny: FlowerConfig = {
  steps: 4,
  actionWidth: 7,
  features: 6,
  width: 8,
  layers: 2,
  heads: 2,
  samplingSteps: 4,
  rotary: { theta: 32, length: 10 },
  crossAttention: true,
  norm: "mean square",
  tokenDropout: 0.1,
  dropout: 0.1,
  timeSampling: "stratified",
};

/** A decoder in which everything matters: what starts at zero does not stay there. */
function make(config: FlowerConfig, seed = 1): FlowerDecoder {
  const decoder = inDType("float64", () => new FlowerDecoder(config)).init(new Random(seed));
  const random = new Random(seed + 1);
  for (const parameter of decoder.parameters()) {
    parameter.data.forEach((_, i) => {
      parameter.data[i] += 0.2 * random.normal();
    });
  }
  return decoder;
}

const normals = (seed: number, shape: number[]): Tensor => new Random(seed).normals(shape, "float64");

describe("published configurations", () => {
  // Counted from the published classes: all numbers, and those that end-effector actions pass.
  test.each([
    ["small", 31_000_991, 29_544_583],
    ["large", 376_429_343, 354_091_015],
  ] as const)("%s has the published number of parameters", (name, total, used) => {
    const decoder = new FlowerDecoder(flowerPresets[name]);
    expect(decoder.countParameters()).toBe(total);
    const idle = /joint_single|bimanual_nav|action_space_embedder/;
    const onPath = decoder.namedParameters().filter(([parameter]) => !idle.test(parameter));
    expect(onPath.reduce((sum, [, { size }]) => sum + size, 0)).toBe(used);
    decoder.dispose();
  });
});

describe("FlowerDecoder", () => {
  const decoder = make(tiny);
  const condition = decoder.condition(normals(2, [2, 5, 6]));
  const z = normals(3, [2, 4, 7]);

  test("names its tensors as checkpoints do, in their order", () => {
    const names = [...decoder.namedTensors()].map(([name]) => name);
    const both = (name: string): string[] => [`${name}.weight`, `${name}.bias`];
    const spaces = ["joint_single", "eef_delta", "bimanual_nav"];
    const mlp = (name: string): string[] => [...both(`${name}.mlp.0`), ...both(`${name}.mlp.2`)];
    const block = [
      ...["norm1", "norm2", "norm3"].map((name) => `${name}.weight`),
      ...["cos", "sin"].map((name) => `self_attn.${name}`),
      ...["qkv", "proj", "q_norm", "k_norm"].map((name) => `self_attn.${name}.weight`),
      ...["q_proj", "k_proj", "v_proj", "proj", "q_norm", "k_norm"].map(
        (name) => `cross_attn.${name}.weight`,
      ),
      ...["fc1", "fc2", "proj"].map((name) => `mlp.${name}.weight`),
      ...both("adaLN_modulation.1"),
      ...both("adaLN_modulation.2"),
    ];
    expect(names).toEqual([
      ...spaces.flatMap((s) => [...both(`action_encoders.${s}.fc1`), ...both(`action_encoders.${s}.fc2`)]),
      ...spaces.flatMap((s) => both(`action_decoders.${s}`)),
      ...spaces.map((s) => `adaln.${s}.modCX.1.weight`),
      "cond_linear.weight",
      ...mlp("t_embedder"),
      "cond_norm.weight",
      ...mlp("frequency_embedder"),
      "action_space_embedder.action_embeddings",
      ...mlp("action_space_embedder"),
      ...[0, 1].flatMap((i) => block.map((name) => `dit.${i}.${name}`)),
    ]);
  });

  test("is the same after its state dict went to another one", () => {
    using _ = new Scope();
    const other = inDType("float64", () => new FlowerDecoder(tiny)).load(decoder.stateDict());
    expect(other.sample(z, condition).toArray()).toEqual(decoder.sample(z, condition).toArray());
    other.dispose();
  });

  test("samples within [-1, 1], a function of noise and features, clamped at the end only", () => {
    using _ = new Scope();
    const wide = z.scale(3);
    const actions = decoder.sample(wide, condition);
    expect(Math.max(...actions.data.map(Math.abs))).toBeLessThanOrEqual(1);
    expect(actions.toArray()).toEqual(decoder.sample(wide, condition).toArray());
    expect(actions.toArray()).not.toEqual(decoder.sample(wide, condition.scale(-1)).toArray());
    const { states } = decoder.trajectory(wide, condition);
    for (const state of states) expect(Math.max(...state.data.map(Math.abs))).toBeGreaterThan(1);
  });

  test("a sample is Euler steps of the velocity, from t = 1 down to 1/N", () => {
    using _ = new Scope();
    const { states, velocities } = decoder.trajectory(z, condition);
    expect(states).toHaveLength(5);
    expect(states[0].toArray()).toEqual(z.toArray());
    [1, 0.75, 0.5, 0.25].forEach((t, i) => {
      const velocity = decoder.velocity(states[i], Tensor.full([2], t, "float64"), condition);
      velocity.toArray().forEach((v, k) => {
        expect(velocities[i].data[k]).toBeCloseTo(v, 12);
        expect(states[i + 1].data[k]).toBeCloseTo(states[i].data[k] - v / 4, 12);
      });
    });
  });

  test.each([1, 3, 8])("%i steps through a constant velocity end where one does", (samplingSteps) => {
    using _ = new Scope();
    const constant = make({ ...tiny, samplingSteps });
    const { weight, bias } = constant.action_decoders.eef_delta;
    weight.data.fill(0);
    const { states } = constant.trajectory(z, condition);
    states[samplingSteps].toArray().forEach((value, i) => {
      expect(value).toBeCloseTo(z.data[i] - (bias as Tensor).data[i % 7], 12);
    });
    constant.dispose();
  });

  test("more steps come nearer to the exact path, halving the error as they double", () => {
    using _ = new Scope();
    // The embedding of t turns by up to 1000 radians: only without it is the velocity smooth on the scale of a step.
    const still = decoder.stateDict();
    still.get("t_embedder.mlp.2.weight")?.data.fill(0 as never);
    const end = (samplingSteps: number): number[] => {
      const one = inDType("float64", () => new FlowerDecoder({ ...tiny, samplingSteps })).load(still);
      const { states } = one.trajectory(z, condition);
      one.dispose();
      return states[samplingSteps].toArray();
    };
    const [coarse, middle, fine] = [64, 128, 256].map(end);
    const gap = (a: number[], b: number[]): number => Math.hypot(...a.map((value, i) => value - b[i]));
    // Euler's method is of first order: the gaps are e/64 − e/128 and e/128 − e/256.
    const ratio = gap(coarse, middle) / gap(middle, fine);
    expect(ratio).toBeGreaterThan(1.5);
    expect(ratio).toBeLessThan(2.6);
  });

  test("a step is not moved by later ones, and is by earlier ones", () => {
    using _ = new Scope();
    const leaf = normals(4, [1, 4, 7]).tracked();
    const one = condition.slice(0, 0, 1);
    const velocity = decoder.velocity(leaf, Tensor.full([1], 0.5, "float64"), one);
    for (let step = 0; step < 4; step++) {
      const [gradient] = grad(velocity.slice(1, step, step + 1).sum(), [leaf]);
      const moved = Array.from({ length: 4 }, (_, at) =>
        gradient!
          .slice(1, at, at + 1)
          .toArray()
          .some((g) => g !== 0),
      );
      expect(moved).toEqual([0, 1, 2, 3].map((at) => at <= step));
    }
  });

  prop.prop([fc.shuffledSubarray([0, 1, 2, 3, 4], { minLength: 5 })], { numRuns: 10 })(
    "context tokens have no order",
    (order) => {
      using _ = new Scope();
      const features = normals(5, [5, 6]);
      const sample = (rows: Tensor): Tensor =>
        decoder.sample(normals(6, [1, 4, 7]), decoder.condition(rows.reshape([1, 5, 6])));
      const permuted = sample(features.gatherRows(Tensor.from(order, [5], "int32")));
      sample(features)
        .toArray()
        .forEach((value, i) => {
          expect(permuted.data[i]).toBeCloseTo(value, 10);
        });
    },
  );

  test("a batch equals its rows", () => {
    using _ = new Scope();
    const t = Tensor.from([0.2, 0.9], [2], "float64");
    const whole = decoder.velocity(z, t, condition).toArray();
    const rows = [0, 1].flatMap((b) => {
      const row = (x: Tensor): Tensor => x.slice(0, b, b + 1);
      return decoder.velocity(row(z), row(t), row(condition)).toArray();
    });
    whole.forEach((value, i) => {
      expect(rows[i]).toBeCloseTo(value, 12);
    });
  });

  test("the loss is the mean square of what the velocity misses of z₁ − a", () => {
    using _ = new Scope();
    const actions = new Random(7).uniforms([2, 4, 7], -1, 1, "float64");
    const t = Tensor.from([0.2, 0.9], [2], "float64");
    const point = actions
      .toArray()
      .map((a, i) => (1 - t.data[Math.floor(i / 28)]) * a + t.data[Math.floor(i / 28)] * z.data[i]);
    expect(between(actions, z, t).toArray()).toEqual(point.map((value) => expect.closeTo(value, 12)));
    const velocity = decoder.velocity(Tensor.from(point, [2, 4, 7], "float64"), t, condition);
    const squares = velocity.toArray().map((v, i) => (z.data[i] - actions.data[i] - v) ** 2);
    const mean = squares.reduce((sum, square) => sum + square, 0) / squares.length;
    expect(decoder.loss(actions, condition, { z1: z, t }).item()).toBeCloseTo(mean, 10);
  });

  test("gradients are the slopes of the loss, along random directions in every tensor", () => {
    using _ = new Scope();
    const features = normals(8, [2, 3, 6]);
    const actions = new Random(7).uniforms([2, 4, 7], -1, 1, "float64");
    const noise = { z1: z, t: Tensor.from([0.3, 0.8], [2], "float64") };
    const loss = (): Tensor => decoder.loss(actions, decoder.condition(features), noise);
    const named = decoder.namedParameters();
    const gradients = grad(
      loss(),
      named.map(([, p]) => p),
    );
    const random = new Random(9);
    named.forEach(([name, parameter], i) => {
      const gradient = gradients[i];
      const idle = /joint_single|bimanual_nav|action_space_embedder/.test(name);
      expect(gradient === null).toBe(idle);
      if (!gradient) return;
      using _ = new Scope();
      const direction = random.normals(parameter.shape, "float64").toArray();
      const slope = direction.reduce((sum, d, k) => sum + d * gradient.data[k], 0);
      const kept = parameter.toArray();
      const at = (step: number): number => {
        parameter.data.set(kept.map((value, k) => value + step * direction[k]));
        return loss().item();
      };
      const h = 1e-4;
      // Fourth-order central difference.
      const expected = (8 * (at(h) - at(-h)) - (at(2 * h) - at(-2 * h))) / (12 * h);
      parameter.data.set(kept);
      expect(Math.abs(slope - expected)).toBeLessThan(1e-7 * Math.max(1, Math.abs(slope)));
    });
  });

  test("drops numbers while training only, and the same ones from the same seed", () => {
    using _ = new Scope();
    const features = normals(8, [2, 3, 6]);
    const draw = (): number[] =>
      withMasks(new Random(9), () => decoder.sample(z, decoder.condition(features))).toArray();
    const still = draw();
    decoder.train();
    const dropped = draw();
    expect(dropped).not.toEqual(still);
    expect(draw()).toEqual(dropped);
    decoder.eval();
    expect(draw()).toEqual(still);
  });

  test("a few optimiser steps lower the loss and leave the other action spaces alone", () => {
    const model = new FlowerDecoder(tiny).init(new Random(7));
    const other = (): unknown => model.stateDict().get("action_encoders.joint_single.fc1.weight");
    const before = other();
    const optimizer = new AdamW(model.namedParameters(), adamWOptions);
    expect(optimizer.groups.noDecay).toContain("adaln.eef_delta.modCX.1.weight");
    expect(optimizer.groups.noDecay).toContain("dit.0.adaLN_modulation.2.weight");
    const losses: number[] = [];
    for (let step = 0; step < 20; step++) {
      tidy(() => {
        const features = new Random(8).normals([8, 2, 6]);
        const actions = new Random(9).uniforms([8, 4, 7], -1, 1);
        const loss = model.loss(actions, model.condition(features), model.drawNoise(8, new Random(10)));
        losses.push(loss.item());
        optimizer.step(grad(loss, optimizer.parameters), 1e-2);
      });
    }
    expect(losses[19]).toBeLessThan(0.9 * losses[0]);
    expect(other()).toEqual(before);
    optimizer.dispose();
    model.dispose();
  });
});

describe("configurations", () => {
  test.each(Object.entries(actionSpaces))("%s: actions of %i numbers", (space, actionWidth) => {
    using _ = new Scope();
    const decoder = make({ ...tiny, actionWidth });
    const z = normals(1, [1, 4, actionWidth]);
    const velocity = decoder.velocity(z, Tensor.full([1], 0.5, "float64"), normals(2, [1, 3, 8]));
    expect(velocity.shape).toEqual([1, 4, actionWidth]);
    const names = decoder.namedParameters();
    const used = grad(
      velocity.sum(),
      names.map(([, p]) => p),
    );
    const encoders = names.filter(([name], i) => used[i] && /^(action_|adaln)/.test(name));
    expect(encoders.every(([name]) => name.includes(space))).toBe(true);
    expect(encoders).toHaveLength(7);
    decoder.dispose();
  });

  test("without cross-attention the features do not matter and a third norm is not there", () => {
    using _ = new Scope();
    const decoder = make({ ...tiny, crossAttention: false });
    const names = [...decoder.namedTensors()].map(([name]) => name);
    expect(names.filter((name) => /norm3|cross_attn/.test(name))).toEqual([]);
    expect(decoder.adaln.eef_delta.modCX[1].namedParameters()[0][1].shape).toEqual([6 * 8, 8]);
    const z = normals(1, [1, 4, 7]);
    const [one, two] = [1, 2].map((seed) => decoder.sample(z, decoder.condition(normals(seed, [1, 3, 6]))));
    expect(one.toArray()).toEqual(two.toArray());
    decoder.dispose();
  });

  test("without rotary tables positions are learnt", () => {
    using _ = new Scope();
    const decoder = make({ ...tiny, rotary: null });
    const names = [...decoder.namedTensors()].map(([name]) => name);
    expect(names[0]).toBe("positional_encoding");
    expect(names.filter((name) => /self_attn\.(cos|sin)/.test(name))).toEqual([]);
    const [z, condition] = [normals(1, [1, 4, 7]), normals(2, [1, 3, 8])];
    const velocity = (): number[] => decoder.velocity(z, Tensor.ones([1], "float64"), condition).toArray();
    const before = velocity();
    decoder.positional_encoding?.data.fill(0);
    expect(velocity()).not.toEqual(before);
    decoder.dispose();
  });

  test("the norm is part of the model: the same weights act otherwise under the other one", () => {
    using _ = new Scope();
    const decoder = make(tiny);
    const older = inDType("float64", () => new FlowerDecoder({ ...tiny, norm: "variance" })).load(
      decoder.stateDict(),
    );
    const [z, features] = [normals(1, [1, 4, 7]), normals(2, [1, 3, 6])];
    const [newer, old] = [decoder, older].map((one) => one.trajectory(z, one.condition(features)).states[1]);
    expect(old.toArray()).not.toEqual(newer.toArray());
    for (const one of [decoder, older]) one.dispose();
  });

  test("refuses sizes that do not fit, by name", () => {
    const refused = (config: Partial<FlowerConfig>): (() => void) => {
      return () => new FlowerDecoder({ ...tiny, ...config }).dispose();
    };
    expect(refused({ actionWidth: 9 })).toThrow("expected actions of 8 (joint_single), 7 (eef_delta), 16");
    expect(refused({ heads: 3 })).toThrow("a divisor of 8 features, got 3 heads");
    expect(refused({ heads: 8 })).toThrow("heads of even width for rotary positions, got 1");
    expect(refused({ rotary: { theta: 32, length: 3 } })).toThrow(
      "at least 4 rows, one for each step, got 3",
    );
    const decoder = make(tiny);
    const condition = normals(1, [1, 3, 8]);
    expect(() => decoder.sample(normals(1, [1, 5, 7]), condition)).toThrow("(B, 4, 7), got (1, 5, 7)");
    expect(() => decoder.condition(normals(1, [1, 3, 7]))).toThrow("(B, S, 6)");
    decoder.dispose();
  });
});

describe("stratified times", () => {
  const u = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
  prop.prop([u, fc.integer({ min: 1, max: 100 })])("one in every B-th part of [0, 1)", (start, batch) => {
    const times = stratifiedTimes(start, batch);
    expect(times.every((t) => t >= 0 && t < 1)).toBe(true);
    const sorted = [...times].sort((a, b) => a - b);
    for (let i = 1; i < batch; i++) {
      // Wrapping at 1 − 1e-5 moves those that wrap by 1e-5.
      expect(Math.abs(sorted[i] - sorted[i - 1] - 1 / batch)).toBeLessThan(1.1e-5);
    }
  });
});

describe("logit-normal times", () => {
  const times = logitNormalTimes(new Random(5), 20_000);

  test("are sigmoids of standard normal numbers, at most 0.999", () => {
    expect(times.every((t) => t > 0 && t <= 0.999)).toBe(true);
    // The largest distance between the share below t and Φ(logit t), Kolmogorov's statistic: of 20,000 draws it exceeds
    // 1.63 / √20000 = 0.0115 in one of a hundred seeds, and a scale that is off by 5 % makes 0.012 of it on average.
    const normals = [...times].map((t) => Math.log(t / (1 - t))).sort((a, b) => a - b);
    const distances = normals.map((x, i) => Math.abs((i + 0.5) / times.length - normalCdf(x)));
    expect(Math.max(...distances.slice(0, -100))).toBeLessThan(0.0115); // the last ones may be clipped
  });

  test("come from the decoder that asks for them, each sample on its own", () => {
    using _ = new Scope();
    const decoder = make({ ...tiny, timeSampling: "ln" });
    const { t, z1 } = decoder.drawNoise(64, new Random(7));
    expect(z1.shape).toEqual([64, 4, 7]);
    expect(t.toArray()).toEqual(Tensor.from(logitNormalTimes(new Random(7), 64)).toArray());
    const even = make(tiny).drawNoise(64, new Random(7)).t;
    expect(even.toArray()).toEqual(Tensor.from(stratifiedTimes(new Random(7).uniform(), 64)).toArray());
  });
});

/** Φ(x) by Simpson's rule over the density from −8, good to 1e-9. */
function normalCdf(x: number): number {
  const [from, parts] = [-8, 400];
  const h = (x - from) / parts;
  const density = (u: number): number => Math.exp((-u * u) / 2) / Math.sqrt(2 * Math.PI);
  let sum = density(from) + density(x);
  for (let i = 1; i < parts; i++) sum += (i % 2 === 0 ? 2 : 4) * density(from + i * h);
  return (sum * h) / 3;
}
