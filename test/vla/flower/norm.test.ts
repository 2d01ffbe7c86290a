import { fc, test as prop } from "@fast-check/vitest";
import { describe, expect, test } from "vitest";
import { Random, Scope, Tensor } from "../../../core/index.ts";
import { inDType, type RMSNorm } from "../../../nn/index.ts";
import { makeNorm, type NormForm, standardise } from "../../../vla/flower/norm.ts";

const norm = (form: NormForm, features: number): RMSNorm =>
  inDType("float64", () => makeNorm(form, features)).init(new Random(1));

const row = (values: readonly number[]): Tensor => Tensor.from(values, [1, values.length], "float64");

describe("norms", () => {
  test("by hand: 1, 2, 3 has mean square 14/3 and unbiased variance 1", () => {
    using _ = new Scope();
    const x = row([1, 2, 3]);
    for (const [form, square] of [
      ["mean square", 14 / 3],
      ["variance", 1],
    ] as const) {
      const layer = norm(form, 3);
      layer.weight.data.set([1, 2, -1]);
      const size = Math.sqrt(square + 1e-6);
      expect(layer.forward(x).toArray()).toEqual([1, 4, -3].map((value) => expect.closeTo(value / size, 12)));
      layer.dispose();
    }
  });

  const values = fc.array(fc.double({ min: -10, max: 10, noNaN: true }), { minLength: 2, maxLength: 12 });

  prop.prop([values])("forms agree on centred rows but for n against n − 1", (numbers) => {
    using _ = new Scope();
    const n = numbers.length;
    const mean = numbers.reduce((sum, value) => sum + value, 0) / n;
    const x = row(numbers.map((value) => value - mean));
    const [plain, older] = [norm("mean square", n), norm("variance", n)];
    // With eps scaled likewise the two are one formula.
    const scaledEps = inDType("float64", () => makeNorm("mean square", n)).init(new Random(1));
    Object.assign(scaledEps, { eps: (1e-6 * (n - 1)) / n });
    const expected = scaledEps.forward(x).scale(Math.sqrt((n - 1) / n));
    older
      .forward(x)
      .toArray()
      .forEach((value, i) => {
        expect(value).toBeCloseTo(expected.data[i], 8);
      });
    for (const layer of [plain, older, scaledEps]) layer.dispose();
  });

  test("standardise leaves mean 0 and variance 1", () => {
    using _ = new Scope();
    const out = standardise(new Random(2).normals([3, 50], "float64").scale(4).shift(7));
    for (let b = 0; b < 3; b++) {
      const one = out.slice(0, b, b + 1);
      expect(one.mean().item()).toBeCloseTo(0, 12);
      expect(one.square().mean().item()).toBeCloseTo(1, 6);
    }
  });
});
