import { fc } from "@fast-check/vitest";
import { expect, it } from "vitest";
import { heapUsage, Plan, plainKernels, Random, Scope, Tensor, tidy } from "../../core/index.ts";
import { inDType } from "../../nn/index.ts";
import type { Decoder } from "../../vla/decoder.ts";

/** A decoder to try, and what it conditions on. */
export interface InferenceCase {
  /** What `make` builds, for the report of a failure. */
  readonly config: object;
  make(): Decoder;
  /** Tokens per observation. */
  readonly tokens: number;
  /** Observations, 1 to 64. */
  readonly batch: number;
  /** Weights are multiplied by it: in NinA's flows at 3 many scales are near ±1, at 30 nearly all are. */
  readonly gain: number;
  /** Standard deviation of what is added to every weight, so that none keeps a special starting value. */
  readonly noise: number;
  readonly seed: number;
}

/** What cases have besides sizes. */
export const anyRun = {
  tokens: fc.integer({ min: 1, max: 5 }),
  batch: fc.oneof(fc.integer({ min: 1, max: 9 }), fc.constantFrom(16, 63, 64)),
  gain: fc.constantFrom(1, 3, 30),
  seed: fc.nat(),
};

const PLU = /\.(P|P_inv|U|L|s)$/;

/**
 * What every decoder for inference must satisfy. `cases` are small: each is run in float64 too, on the plain kernels.
 */
export function inferenceLaws(cases: fc.Arbitrary<InferenceCase>): void {
  it("computes what the decoder computes: the algebra is exact", () => {
    check(cases, 25, (c) => {
      const { decoder, features, z } = build(c, "float64");
      const fast = decoder.forInference!({ weights: "float32" }); // a float64 decoder keeps float64 weights
      const [condition, fastCondition] = [decoder.condition(features), fast.condition(features)];
      expect(furthest(fastCondition, condition)).toBeLessThan(1e-12);
      // Measured below 1e-12; couplings in a row may stretch rounding errors by e each.
      expect(furthest(fast.sample(z, condition), decoder.sample(z, condition))).toBeLessThan(1e-9);
      fast.dispose();
    });
  });

  it("is as near to exact in float32 as the decoder is", () => {
    check(cases, 25, (c) => {
      const { decoder, condition, z, exact } = build(c, "float32");
      const fast = decoder.forInference!({ weights: "float32" });
      const own = furthest(decoder.sample(z, condition), exact);
      // Two paths of the same length round differently: measured within twice the other's error, or below 1e-5.
      expect(furthest(fast.sample(z, condition), exact)).toBeLessThan(1e-5 + 10 * own);
      fast.dispose();
    });
  });

  it.each(["bfloat16", "int8"] as const)("with %s weights differs by their rounding alone", (weights) => {
    check(cases, 12, (c) => {
      const { decoder, condition, z, exact } = build({ ...c, gain: 1 }, "float32");
      const fast = decoder.forInference!({ weights });
      const out = fast.sample(z, condition);
      // The plain kernels read the same rounded weights.
      const plain = plainKernels(() => fast.sample(z, condition));
      // With int8 weights each product rounds what it reads to a 32767th of the row's largest number.
      expect(furthest(out, plain)).toBeLessThan(weights === "bfloat16" ? 2e-4 : 2e-3);
      // Half a unit of 8 bits (at most 2⁻⁸ of a number), or of a 127th of the largest weight; usually less, on average.
      expect(fast.weightError).toBeLessThan(weights === "bfloat16" ? 2 ** -8 : 2e-2);
      // How much of it reaches the actions depends on the decoder: in 1200 random ones about as much as the error of
      // the weights (the median of the ratio is 1), ten times as much in one of a hundred, 48 times at worst.
      expect(apart(out, exact)).toBeLessThan(200 * fast.weightError + 1e-4);
      fast.dispose();
    });
  });

  it("treats a batch as its rows", () => {
    check(cases, 12, (c) => {
      const { decoder, condition, z } = build(c, "float32");
      const fast = decoder.forInference!({ weights: "bfloat16" });
      const all = fast.sample(z, condition);
      const row = c.seed % c.batch;
      const one = (x: Tensor): Tensor => x.slice(0, row, row + 1);
      // Kernels sum in the order of k whatever the rows beside it; elementwise code treats lanes alike.
      expect(furthest(fast.sample(one(z), one(condition)), one(all))).toBe(0);
      fast.dispose();
    });
  });

  it("replays from a plan bit for bit, and gives back all memory", () => {
    check(cases, 8, (c) => {
      const { decoder, condition, z } = build(c, "float32");
      decoder.forInference!({ weights: "bfloat16" }).dispose(); // kernels and lazily made constants
      const { live } = heapUsage();
      const fast = decoder.forInference!({ weights: "bfloat16" });
      {
        using plan = new Plan((noise, seen) => fast.sample(noise, seen), [z, condition]);
        using _ = new Scope();
        const eager = fast.sample(z, condition);
        for (let i = 0; i < 2; i++) expect(furthest(plan.run(z, condition)[0], eager)).toBe(0);
      }
      fast.dispose();
      expect(heapUsage().live).toBe(live);
    });
  });

  it("is freed once, refuses use afterwards, and leaves plans of it as they were", () => {
    check(cases, 4, (c) => {
      const { decoder, features, condition, z } = build(c, "float32");
      decoder.forInference!({ weights: "float32" }).dispose(); // kernels and lazily made constants
      const { live } = heapUsage();
      const fast = decoder.forInference!({ weights: "float32" });
      const before = tidy(() => fast.sample(z, condition).toArray());
      const plan = new Plan((noise, seen) => fast.sample(noise, seen), [z, condition]);
      fast.dispose();
      fast.dispose();
      expect(() => tidy(() => fast.sample(z, condition))).toThrow(/disposed of/);
      expect(() => tidy(() => fast.condition(features))).toThrow(/disposed of/);
      expect(tidy(() => plan.run(z, condition)[0].toArray())).toEqual(before);
      plan[Symbol.dispose]();
      expect(heapUsage().live).toBe(live);
    });
  });

  it("stays as it was when the decoder changes or goes", () => {
    check(cases, 4, (c) => {
      const { decoder, condition, z } = build(c, "float32");
      const fast = decoder.forInference!({ weights: "float32" });
      const before = fast.sample(z, condition);
      for (const [, tensor] of decoder.namedTensors()) tensor.data.fill(0);
      decoder.dispose();
      expect(furthest(fast.sample(z, condition), before)).toBe(0);
      fast.dispose();
    });
  });

  it("refuses inputs of other shapes", () => {
    check(cases, 2, (c) => {
      const { decoder, condition, z, features } = build(c, "float32");
      const fast = decoder.forInference!({ weights: "float32" });
      expect(() => fast.sample(z.slice(1, 0, z.shape[1] - 1), condition)).toThrow(/expected shape/);
      expect(() => fast.condition(features.slice(2, 1, features.shape[2]))).toThrow(/expected shape/);
      fast.dispose();
    });
  });
}

function check(cases: fc.Arbitrary<InferenceCase>, numRuns: number, body: (c: InferenceCase) => void): void {
  const property = fc.property(cases, (c) => {
    using _ = new Scope();
    body(c);
  });
  fc.assert(property, { numRuns });
}

function build(c: InferenceCase, dtype: "float32" | "float64") {
  const random = new Random(c.seed);
  const decoder = c.make().init(random);
  for (const [name, tensor] of decoder.namedTensors()) {
    if (tensor.dtype === "int32" || PLU.test(name)) continue;
    tensor.data.forEach((value, i) => {
      tensor.data[i] = c.gain * value + c.noise * random.normal();
    });
  }
  const wide = inDType("float64", () => c.make()).load(decoder.stateDict());
  const { steps, actionWidth, features: H } = decoder.config;
  const features = random.normals([c.batch, c.tokens, H]);
  const z = random.normals([c.batch, steps, actionWidth]).scale(0.5);
  const condition = decoder.condition(features);
  const widen = (x: Tensor): Tensor => Tensor.from(x.data, x.shape, "float64");
  const exact = wide.sample(widen(z), widen(condition));
  return dtype === "float32"
    ? { decoder, features, z, condition, exact }
    : { decoder: wide, features: widen(features), z: widen(z), condition: widen(condition), exact };
}

/** Root mean square of the difference. */
const apart = (a: Tensor, b: Tensor): number =>
  Math.sqrt(a.toArray().reduce((sum, x, i) => sum + (x - b.data[i]) ** 2, 0) / a.size);

/** The largest difference; Infinity when one is not a number. */
function furthest(a: Tensor, b: Tensor): number {
  expect(a.shape).toEqual(b.shape);
  let most = 0;
  const other = b.data;
  a.data.forEach((x, i) => {
    const difference = Math.abs(x - other[i]);
    if (!(difference <= most)) most = Number.isNaN(difference) ? Number.POSITIVE_INFINITY : difference;
  });
  return most;
}
