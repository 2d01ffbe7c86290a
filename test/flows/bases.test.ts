/** The laws of base distributions: densities, samples, temperatures, gradients. */
import { describe, expect, test } from "vitest";
import { grad, Random, Scope, Tensor } from "../../core/index.ts";
import {
  type Base,
  BoxUniform,
  certify,
  DiagonalNormal,
  ElementwiseAffine,
  Flow,
  flowFromNames,
  integrate,
  NormalMixture,
  Planar,
  StandardNormal,
  Tanh,
} from "../../flows/index.ts";
import { baseLawCases } from "../../flows/laws/index.ts";
import { logNormalCdf } from "../../flows/log-normal-cdf.ts";
import { inDType } from "../../nn/index.ts";

const bases: Readonly<Record<string, () => Base>> = {
  StandardNormal: () => new StandardNormal([3]),
  "DiagonalNormal of several axes": () => new DiagonalNormal([2, 2]),
  "NormalMixture of one component": () => new NormalMixture([2], 1),
  NormalMixture: () => new NormalMixture([3], 4),
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

test("NormalMixture samples follow its density, between well parted components too", () => {
  using _ = new Scope();
  const base = inDType("float64", () => new NormalMixture([1], 2)).init(new Random(0));
  base.mean.write([-8, 6]);
  base.log_std.write([0, Math.log(0.5)]);
  base.weight_logits.write([Math.log(0.25), Math.log(0.75)]);
  // A quarter of the noise lies below Φ⁻¹(¼) = −0.6745, and the median of the rest, Φ(n) = 0.625, is the second mean.
  const z = base.fromNoise(
    Tensor.from([[-0.6746], [-0.6744], [0.31863936396437514]], undefined, "float64"),
    1,
  );
  expect(z.data[0]).toBeLessThan(-4);
  expect(z.data[1]).toBeGreaterThan(3);
  expect(z.data[2]).toBeCloseTo(6, 12);
  const density = (x: number): number =>
    Math.exp(base.logProb(Tensor.from([[x]], undefined, "float64")).item());
  expect(density(6)).toBeCloseTo(0.75 / (0.5 * Math.sqrt(2 * Math.PI)), 12);
  const flow = new Flow([new ElementwiseAffine([1])], new NormalMixture([1], 2)).init(new Random(1));
  expect(
    integrate(
      inDType("float64", () => new Flow([new ElementwiseAffine([1])], new NormalMixture([1], 2))).load(
        flow.stateDict(),
      ),
    ).total,
  ).toBeCloseTo(1, 6);
  flow.dispose();
});

test("a flow onto a mixture is certified, and read off its names", () => {
  const make = (): Flow => new Flow([new Planar(2)], new NormalMixture([2], 3));
  const state = make().init(new Random(2)).stateDict();
  expect(certify(flowFromNames(state).make, { state }).findings).toEqual([]);
  for (const shape of [[], [0], [4]]) {
    const data = new Float32Array(shape[0] ?? 1);
    const spoilt = new Map(state).set("base.weight_logits", { dtype: "F32", shape, data });
    expect(() => flowFromNames(spoilt)).toThrow(/^flowFromNames: base\.(weight_logits|mean): expected/);
  }
});

/** log(½ erfc(−x/√2)) by the C library. */
const logs: readonly (readonly [x: number, log: number])[] = [
  [-30, -454.3212439563431],
  [-20, -203.91715537109724],
  [-3, -6.607726221510348],
  [-0.5, -1.1759117615936188],
  [0, -Math.LN2],
  [1, -0.1727537790234499],
  [3, -0.0013508099647482],
];

test.each(logs)("log Φ(%d) has all its digits", (x, log) => {
  using _ = new Scope();
  const at = Tensor.from([x], [1], "float64").tracked();
  const y = logNormalCdf(at);
  expect(y.item() / log).toBeCloseTo(1, 12);
  const [slope] = grad(y, [at]);
  expect(slope?.item()).toBeCloseTo(Math.exp(-0.5 * x * x - 0.5 * Math.log(2 * Math.PI) - log), 9);
});
