import { fc, test as prop } from "@fast-check/vitest";
import { expect } from "vitest";
import { Scope, Tensor } from "../../core/index.ts";
import { ActNorm, Chain, ElementwiseAffine, Inverse, Logit, Tanh } from "../../flows/index.ts";
import { bijectorLaws } from "../laws/bijector.ts";

bijectorLaws("ActNorm", ({ D }) => new ActNorm(D), { D: 4, C: 0 });
bijectorLaws("ElementwiseAffine", ({ D }) => new ElementwiseAffine([D]), { D: 4, C: 0 });

bijectorLaws("Tanh", () => new Tanh(), { D: 3, C: 0, density: false });
bijectorLaws("Logit", () => new Logit(), { D: 3, C: 0 });
// The density is steep at the ends of (−1, 1): 256 points per axis give three digits.
bijectorLaws("Inverse of Tanh", () => new Inverse(new Tanh()), {
  D: 3,
  C: 0,
  quadrature: 2e-3,
});
bijectorLaws("Chain", ({ D }) => new Chain([new ElementwiseAffine([D]), new Inverse(new ActNorm(D))]), {
  D: 4,
  C: 0,
});

const tiny = fc.double({ min: -20, max: -1, noNaN: true }).map((exponent) => 10 ** exponent);

prop.prop([tiny, fc.boolean()])("Tanh keeps its digits near 0, both ways", (size, negative) => {
  using _ = new Scope();
  const x = negative ? -size : size;
  const z = new Tanh().forward(Tensor.from([x], [1, 1], "float64")).out;
  expect(z.item() / Math.tanh(x)).toBeCloseTo(1, 14);
  expect(new Tanh().inverse(z).out.item() / x).toBeCloseTo(1, 14);
});
