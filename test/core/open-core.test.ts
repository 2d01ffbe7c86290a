import { describe, expect, it } from "vitest";
import { Tensor, tidy } from "../../core/index.ts";
import { bent, softMaximum } from "./own-ops.ts";

describe("ops that are defined outside of core", () => {
  it("compute what they say", () => {
    tidy(() => {
      const x = Tensor.from([1, 2, 3, 4], [2, 2], "float64");
      const [first, second] = softMaximum(x, 2).data;
      expect(first).toBeCloseTo(2 * Math.log(Math.exp(1 / 2) + Math.exp(1)), 14);
      expect(second).toBeCloseTo(first + 2, 14);
      const y = bent(x, x, 0.5).data[0];
      expect(y).toBeCloseTo((Math.tanh(1) + Math.log1p(Math.exp(0.5))) / Math.SQRT2, 14);
    });
  });
});
