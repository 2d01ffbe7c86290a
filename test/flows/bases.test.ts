/** The laws of base distributions: densities, samples, temperatures, gradients. */
import { describe, expect, test } from "vitest";
import { Random, Scope, Tensor } from "../../core/index.ts";
import {
  type Base,
  BoxUniform,
  certify,
  DiagonalNormal,
  ElementwiseAffine,
  Flow,
  StandardNormal,
  Tanh,
} from "../../flows/index.ts";
import { baseLawCases } from "../../flows/laws/index.ts";
import { inDType } from "../../nn/index.ts";

const bases: Readonly<Record<string, () => Base>> = {
  StandardNormal: () => new StandardNormal([3]),
  "DiagonalNormal of several axes": () => new DiagonalNormal([2, 2]),
  BoxUniform: () => new BoxUniform([3], -1, 2.5),
};

describe.each(Object.entries(bases))("%s", (_, make) => {
  test.each(baseLawCases(make).map((one) => [one.name, one.check] as const))("%s", (_name, check) => {
    for (const seed of [1, 2, 3]) check(seed);
  });
});

test("BoxUniform has one density inside, none outside, and its edges are inside", () => {
  using _ = new Scope();
  const box = inDType("float64", () => new BoxUniform([2], 0, 2)).init(new Random(0));
  const z = Tensor.from(
    [
      [1, 1],
      [0, 2],
      [1, 2.001],
      [-1e-9, 1],
    ],
    undefined,
    "float64",
  );
  expect(box.logProb(z).toArray()).toEqual([-2 * Math.LN2, -2 * Math.LN2, -Infinity, -Infinity]);
  const far = box.fromNoise(Tensor.from([[-60, 60]], undefined, "float64"), 1);
  expect(far.toArray()).toEqual([0, 2]);
  expect(() => new BoxUniform([2], 1, 1)).toThrow("BoxUniform: expected low below high, got [1, 1]");
});

test("a flow from the line onto a box is certified, but for samples at its very edge in float32", () => {
  const make = (): Flow => new Flow([new ElementwiseAffine([2]), new Tanh()], new BoxUniform([2], -1, 1));
  const { findings } = certify(make);
  // Noise beyond 5.4 becomes ±1 there, whose inverse is infinite.
  expect(findings.map(({ law }) => law)).toEqual(["inverse(forward(x)) = x, in float32"]);
});
