import { fc, test } from "@fast-check/vitest";
import { describe, expect } from "vitest";
import { grad, Random, Tensor, tidy, withGradients } from "../../../core/index.ts";
import { AdamW, TrainingStep } from "../../../nn/index.ts";
import { type Inputs, inputsOf, type Told, targetsOf } from "../../../vla/pretrain/feed.ts";
import {
  GroundedEncoder,
  GroundingHeads,
  groundingLoss,
  mapTokens,
} from "../../../vla/pretrain/grounded-encoder.ts";
import { Labels } from "../../../vla/pretrain/labels.ts";
import { MAPS, pointOf, pointsOf, writeShares } from "../../../vla/pretrain/targets.ts";
import { tinyEncoder } from "./tiny-encoder.ts";

/** A state with these 21 numbers, for one task. */
function shown(numbers: readonly number[]): Told["shown"] {
  const labels = new Labels(Float32Array.from(numbers));
  return { tasks: [{ name: "task", instruction: "do it", labels }], own: 0, state: 0 };
}

const unit = fc.double({ min: -0.3, max: 1.3, noNaN: true });
const shift = fc.integer({ min: -4, max: 4 });

describe("where maps show things", () => {
  test.prop([
    fc.array(unit, { minLength: 12, maxLength: 12 }),
    fc.array(shift, { minLength: 4, maxLength: 4 }),
  ])("is where the shifted picture shows them, and nowhere beside it", (points, shifts) => {
    const numbers = Float32Array.from([...new Array(9).fill(0), ...points]);
    const found = pointsOf(shown([...numbers]), 0, shifts, 64, 8);
    expect(found.length).toBe(MAPS);
    found.forEach((point, map) => {
      const camera = map < 3 ? 0 : 1;
      const [x, y] = [0, 1].map((axis) => 64 * numbers[9 + 2 * map + axis] - shifts[2 * camera + axis]);
      const inside = x >= 0 && x < 64 && y >= 0 && y < 64;
      expect(point !== null).toBe(inside);
      if (!point) return;
      expect(8 * point[0]).toBeCloseTo(x, 4);
      expect(8 * point[1]).toBeCloseTo(y, 4);
    });
  });

  test("is nowhere for what is behind a camera", () => {
    expect(pointsOf(shown(new Array(21).fill(Number.NaN)), 0, [0, 0, 0, 0], 64, 8)).toEqual(
      new Array(MAPS).fill(null),
    );
  });

  const inMap = fc.double({ min: 0, max: 7.999, noNaN: true });
  test.prop([inMap, inMap])("shares of tokens sum to 1, and point to what they stand for", (x, y) => {
    const shares = new Float32Array(64);
    writeShares([x, y], 8, shares);
    expect(shares.reduce((a, b) => a + b)).toBeCloseTo(1, 6);
    expect(shares.filter((share) => share > 0).length).toBeLessThanOrEqual(4);
    // At the border, beyond the last centres, the outermost tokens have all.
    const [u, v] = pointOf(shares, 8);
    expect(u).toBeCloseTo(Math.min(7.5, Math.max(0.5, x)), 5);
    expect(v).toBeCloseTo(Math.min(7.5, Math.max(0.5, y)), 5);
  });
});

const config = { features: 6, tokens: 4, steps: 2, actionWidth: 3 };
const B = 3;

/** Readings and targets of three examples, the second without tokens, the third without actions. */
function example() {
  const random = new Random(1);
  const features = random.normals([B, 2 * (1 + 4) + 1 + 5, 6]);
  const heads = new GroundingHeads(config).init(new Random(2));
  const tokens = Tensor.zeros([B, MAPS, 4]);
  for (let map = 0; map < MAPS; map++) tokens.data[map * 4 + (map % 4)] = 1;
  tokens.data[2 * MAPS * 4] = 1;
  const targets = {
    tokens,
    places: random.normals([B, 9]),
    actions: random.normals([B, 6]),
    weights: Tensor.from([0.5, 0.5, 0], [B, 1]),
  };
  return { heads, features, targets };
}

describe("the grounding loss", () => {
  test("is the sum that its formula says, by hand", () =>
    tidy(() => {
      const { heads, features, targets } = example();
      const read = heads.read(features);
      const { loss, pointing, places, actions } = groundingLoss(read, targets);
      let [p, q, a] = [0, 0, 0];
      for (let b = 0; b < B; b++) {
        for (let map = 0; map < MAPS; map++) {
          const at = (b * MAPS + map) * 4;
          const exps = [0, 1, 2, 3].map((n) => Math.exp(read.logits.data[at + n]));
          const sum = exps.reduce((x, y) => x + y);
          for (let n = 0; n < 4; n++) p -= (targets.tokens.data[at + n] * Math.log(exps[n] / sum)) / B;
        }
        for (let k = 0; k < 9; k++)
          q += ((read.places.data[9 * b + k] - targets.places.data[9 * b + k]) / 0.2) ** 2 / (9 * B);
        for (let k = 0; k < 6; k++)
          a +=
            (targets.weights.data[b] *
              (read.actions.data[6 * b + k] - targets.actions.data[6 * b + k]) ** 2) /
            6;
      }
      // Sums of float32 terms.
      expect(pointing.item()).toBeCloseTo(p, 4);
      expect(places.item() / q).toBeCloseTo(1, 5);
      expect(actions.item() / a).toBeCloseTo(1, 5);
      expect(loss.item() / (0.3 * p + 5 * q + 5 * a)).toBeCloseTo(1, 5);
    }));

  test("what is not seen, and actions that do not count, teach nothing", () =>
    tidy(() => {
      const { heads, features, targets } = example();
      const changed = (change: (read: ReturnType<GroundingHeads["read"]>) => void): number => {
        const read = heads.read(features);
        change(read);
        return groundingLoss(read, targets).loss.item();
      };
      const before = changed(() => {});
      const of = (width: number, row: number) => (data: { data: Float32Array | Int32Array }) =>
        data.data.fill(3, row * width, (row + 1) * width);
      expect(changed(({ logits }) => of(MAPS * 4, 1)(logits as never))).toBe(before);
      expect(changed(({ actions }) => of(6, 2)(actions as never))).toBe(before);
      expect(changed(({ actions }) => of(6, 1)(actions as never))).not.toBe(before);
      expect(changed(({ logits }) => of(MAPS * 4, 0)(logits as never))).not.toBe(before);
    }));

  test("the map of each camera is read at its own tokens", () =>
    tidy(() => {
      const { heads, features } = example();
      const moved = (token: number): number[] => {
        const copy = Tensor.from(features.data, features.shape);
        copy.data.fill(9, token * 6, token * 6 + 6); // of the first example
        const [was, is] = [heads.read(features).logits.data, heads.read(copy).logits.data];
        return Array.from({ length: MAPS * 4 }, (_, i) => i).filter((i) => was[i] !== is[i]);
      };
      // A picture's tokens follow the mean over its map; things within a camera share them.
      expect(moved(0)).toEqual([]);
      expect(moved(1)).toEqual([0, 4, 8]);
      expect(moved(4)).toEqual([3, 7, 11]);
      expect(moved(5)).toEqual([]);
      expect(moved(6)).toEqual([12, 16, 20]);
      expect(moved(10)).toEqual([]);
    }));
});

test("gradients reach every parameter but the padding's", () =>
  tidy(() => {
    const { model, inputs } = tiny();
    const loss = withGradients(() => {
      const [agentview, wrist, ids] = inputs;
      return groundingLoss(model.read(agentview, wrist, ids), targetsOf(inputs)).loss;
    });
    const named = model.namedParameters();
    const without = grad(
      loss,
      named.map(([, parameter]) => parameter),
    ).flatMap((gradient, i) => (gradient ? [] : [named[i][0]]));
    expect(without).toEqual([]);
  }));

test("eight frames are learnt by heart: every thing is found within half a token, every place within 4 cm", async () => {
  const { model, inputs } = tiny();
  const optimizer = new AdamW(model.namedParameters(), { betas: [0.9, 0.95] });
  const step = new TrainingStep(
    (...all) => {
      const [agentview, wrist, ids] = all as Inputs;
      return groundingLoss(model.read(agentview, wrist, ids), targetsOf(all));
    },
    optimizer,
    inputs,
  );
  const losses: number[] = [];
  for (let i = 0; i < 150; i++) {
    const { loss } = await step.run(inputs, 3e-3 * Math.min(1, i / 20));
    losses.push(loss);
  }
  tidy(() => {
    const [agentview, wrist, ids] = inputs;
    const read = model.read(agentview, wrist, ids);
    const { tokens, places } = targetsOf(inputs);
    const likelihoods = read.logits.softmax();
    const N = tokens.shape[2];
    for (let at = 0; at < tokens.size; at += N) {
      const [right, found] = [tokens, likelihoods].map(({ data }) => pointOf(data.subarray(at, at + N), 4));
      expect(Math.abs(found[0] - right[0])).toBeLessThan(0.5);
      expect(Math.abs(found[1] - right[1])).toBeLessThan(0.5);
    }
    read.places.data.forEach((place, k) => {
      expect(Math.abs(place - places.data[k])).toBeLessThan(0.04);
    });
  });
  expect(losses.at(-1)).toBeLessThan(0.2 * losses[0]);
  step[Symbol.dispose]();
});

/** A smaller encoder and eight frames of noise, each with labels of its own. */
function tiny(): { model: GroundedEncoder; inputs: Inputs } {
  const imageSize = 32;
  const tokens = mapTokens(tinyEncoder, imageSize);
  expect(tokens).toBe(16);
  const model = new GroundedEncoder(tinyEncoder, { features: 32, tokens, steps: 2, actionWidth: 7 })
    .init(new Random(3))
    .train();
  const random = new Random(4);
  const count = 8;
  const told = Array.from({ length: count }, (): Told => {
    const numbers = Array.from({ length: 21 }, (_, k) => (k < 9 ? 0.2 * random.normal() : random.uniform()));
    return { shown: shown(numbers), task: 0 };
  });
  const noise = (length: number): Float32Array => Float32Array.from({ length }, () => random.normal());
  const arrays = {
    examples: new Int32Array(count),
    agentview: noise(count * 3 * imageSize ** 2),
    wrist: noise(count * 3 * imageSize ** 2),
    shifts: new Int8Array(4 * count),
    actions: noise(count * 14).map(Math.tanh),
  };
  const inputs = inputsOf([arrays], [told], [true], {
    seed: 0,
    imageSize,
    mapSide: 4,
    tokens: () => Int32Array.of(0, 5, 6, 2),
    augmentation: { pads: { agentview: 0, wrist: 0 }, gain: [1, 1] },
  });
  return { model, inputs };
}
