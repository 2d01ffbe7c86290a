import { fc, test } from "@fast-check/vitest";
import { describe, expect } from "vitest";
import { adamWStep, plainKernels, Random, Scope, Tensor } from "../../core/index.ts";
import { flavours } from "./cpu/support.ts";

const sizes = fc.oneof(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 4090, max: 4200 }));

describe.each(flavours)("the fused AdamW step $name", ({ run }) => {
  test.prop([sizes, fc.nat(), fc.double({ min: 1e-5, max: 0.1, noNaN: true })], { numRuns: 30 })(
    "does what the plain one does in double precision, up to rounding",
    (size, seed, learningRate) => {
      using _ = new Scope();
      const random = new Random(seed);
      const start = random.normals([size], "float64");
      const make = (dtype: "float32" | "float64") => ({
        parameter: Tensor.from(start.data, [size], dtype),
        firstMoment: Tensor.zeros([size], dtype),
        secondMoment: Tensor.zeros([size], dtype),
      });
      const [narrow, wide] = [make("float32"), make("float64")];
      const rates = { learningRate, beta1: 0.9, beta2: 0.95, eps: 1e-8, weightDecay: 0.05 };
      for (let step = 1; step <= 3; step++) {
        const gradient = random.normals([size]);
        run(() => adamWStep({ ...narrow, ...rates, gradient, step }));
        adamWStep({ ...wide, ...rates, gradient: Tensor.from(gradient.data, [size], "float64"), step });
      }
      // Nine roundings a step, each of a relative 2⁻²⁴; where the first moment cancels, of its terms' size.
      for (let i = 0; i < size; i++) {
        const bound = 2 ** -20 * (Math.abs(wide.parameter.data[i]) + 10 * learningRate);
        expect(Math.abs(narrow.parameter.data[i] - wide.parameter.data[i])).toBeLessThan(bound);
      }
    },
  );
});

test("inside plainKernels the plain step runs: float32 storage, double precision between", () => {
  using _ = new Scope();
  const block = (value: number): Tensor => Tensor.full([3], value);
  const task = { parameter: block(1), gradient: block(0.5), firstMoment: block(0), secondMoment: block(0) };
  const rates = { learningRate: 0.1, beta1: 0.9, beta2: 0.95, eps: 0, weightDecay: 0.05, step: 1 };
  plainKernels(() => adamWStep({ ...task, ...rates }));
  // m and v are stored rounded, so their quotient is 1 up to 2⁻²³.
  for (const value of task.parameter.data) expect(value).toBeCloseTo(0.995 - 0.1, 6);
});
