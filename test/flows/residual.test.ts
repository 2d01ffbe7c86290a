import { fc, test } from "@fast-check/vitest";
import { describe, expect } from "vitest";
import { Random, Scope, Tensor } from "../../core/index.ts";
import { Residual } from "../../flows/index.ts";
import { singularValues } from "../../flows/linear-algebra.ts";
import { normBound } from "../../flows/norm-bound.ts";
import { inDType } from "../../nn/index.ts";
import { bijectorLaws } from "../laws/bijector.ts";

// Of lipschitz 0.5 the fixed point takes 27 steps, of 0.9 it takes 175: laws call it often.
bijectorLaws("Residual", ({ D }) => new Residual({ size: D, width: 6, lipschitz: 0.5 }), { D: 4, C: 0 });

describe("Residual", () => {
  test.prop([fc.nat(1000), fc.constantFrom(0.3, 0.9), fc.double({ min: 1, max: 30, noNaN: true })], {
    numRuns: 20,
  })(
    "moves no two points apart by more than its bound, however large its weights",
    (seed, lipschitz, large) => {
      using _ = new Scope();
      const layer = inDType("float64", () => new Residual({ size: 3, width: 5, lipschitz }));
      const random = new Random(seed);
      layer.init(random);
      for (const { weight } of [layer.fc1, layer.fc2, layer.fc3]) weight.write(weight.scale(large).data);
      const [x, y] = [random.normals([20, 3], "float64"), random.normals([20, 3], "float64")];
      const moved = layer.forward(x).out.sub(x).sub(layer.forward(y).out.sub(y)).square().sum([1]).sqrt();
      const apart = x.sub(y).square().sum([1]).sqrt();
      moved.data.forEach((distance: number, i: number) => {
        expect(distance).toBeLessThanOrEqual(lipschitz * apart.data[i]);
      });
    },
  );

  test("is inverted where its bound is nearly reached", () => {
    using _ = new Scope();
    const layer = inDType("float64", () => new Residual({ size: 3, width: 8 })).init(new Random(4));
    for (const { weight } of [layer.fc1, layer.fc2, layer.fc3]) weight.write(weight.scale(50).data);
    const x = new Random(5).normals([16, 3], "float64").mul(3);
    const { out, logDet } = layer.forward(x);
    const back = layer.inverse(out);
    back.out.data.forEach((value: number, i: number) => {
      expect(value).toBeCloseTo(x.data[i], 11);
    });
    back.logDet.data.forEach((value: number, i: number) => {
      expect(value).toBeCloseTo(-logDet.data[i], 11);
    });
  });
});

test.prop([fc.integer({ min: 1, max: 7 }), fc.integer({ min: 1, max: 7 }), fc.nat(1000)])(
  "normBound is never below the largest singular value, and above it by the 16th root of the rank at most",
  (M, N, seed) => {
    using _ = new Scope();
    const matrix = new Random(seed).normals([M, N], "float64");
    const side = Math.max(M, N);
    const square = matrix.pad(0, 0, side - M).pad(1, 0, side - N);
    const [largest] = singularValues(square.data as Float64Array);
    const bound = normBound(matrix).item();
    expect(bound).toBeGreaterThan(largest * (1 - 1e-12));
    expect(bound).toBeLessThan(largest * Math.min(M, N) ** (1 / 16) * (1 + 1e-12));
  },
);

test("Residual refuses a bound that does not keep points apart", () => {
  for (const lipschitz of [0, 1, 2, Number.NaN])
    expect(() => new Residual({ size: 2, width: 2, lipschitz })).toThrow("Residual: expected lipschitz");
  expect(() => new Residual({ size: 2, width: 2 }).forward(Tensor.zeros([2, 3]))).toThrow(
    "Residual: expected a batch of (2), got (2, 3)",
  );
});
