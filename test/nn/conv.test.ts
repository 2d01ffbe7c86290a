/** Grouped and transposed convolutions, by what they must be of a plain one. */
import { fc, test } from "@fast-check/vitest";
import { describe, expect } from "vitest";
import { grad, Random, Scope, Tensor } from "../../core/index.ts";
import { Conv2d, ConvTranspose2d, inDType } from "../../nn/index.ts";

const sizes = fc.record({
  B: fc.integer({ min: 1, max: 2 }),
  H: fc.integer({ min: 3, max: 6 }),
  W: fc.integer({ min: 3, max: 6 }),
  inputs: fc.integer({ min: 1, max: 3 }),
  outputs: fc.integer({ min: 1, max: 3 }),
  kernel: fc.integer({ min: 1, max: 3 }),
  stride: fc.integer({ min: 1, max: 3 }),
  padding: fc.integer({ min: 0, max: 1 }),
  seed: fc.nat(1000),
});
const f64 = <T>(make: () => T): T => inDType("float64", make);

function expectClose(got: Tensor, expected: Tensor): void {
  expect(got.shape).toEqual(expected.shape);
  got.data.forEach((value: number, i: number) => {
    expect(value).toBeCloseTo(expected.data[i], 10);
  });
}

test.prop([sizes, fc.integer({ min: 2, max: 3 })], { numRuns: 50 })(
  "a grouped convolution is one whose weight is zero between the groups",
  ({ B, H, W, seed, kernel, stride, padding, ...of }, groups) => {
    using _ = new Scope();
    const [inputs, outputs] = [of.inputs * groups, of.outputs * groups];
    const window = { kernel, stride, padding };
    const grouped = f64(() => new Conv2d(inputs, outputs, { ...window, groups })).init(new Random(seed));
    const whole = f64(() => new Conv2d(inputs, outputs, window)).init(new Random(seed));
    expect(grouped.weight.shape).toEqual([outputs, of.inputs, kernel, kernel]);
    whole.bias!.copyFrom(grouped.bias!);
    whole.weight.fill(0);
    const area = kernel * kernel;
    for (let o = 0; o < outputs; o++)
      for (let i = 0; i < of.inputs; i++)
        for (let k = 0; k < area; k++) {
          const input = Math.floor(o / of.outputs) * of.inputs + i;
          whole.weight.data[(o * inputs + input) * area + k] =
            grouped.weight.data[(o * of.inputs + i) * area + k];
        }
    const x = new Random(seed, 1).normals([B, H, W, inputs], "float64").tracked();
    const [y, expected] = [grouped.forward(x), whole.forward(x)];
    expectClose(y, expected);
    const slopes = [y, expected].map((out) => grad(out.square().sum(), [x])[0] as Tensor);
    expectClose(slopes[0], slopes[1]);
    for (const one of [grouped, whole]) one.dispose();
  },
);

test.prop([sizes, fc.integer({ min: 1, max: 2 })], { numRuns: 30 })(
  "a convolution without a bias is one whose bias is zero",
  ({ B, H, W, seed, inputs, outputs, ...window }, groups) => {
    using _ = new Scope();
    const x = new Random(seed).normals([B, H, W, inputs * groups], "float64");
    const plain = (bias: boolean) =>
      new Conv2d(inputs * groups, outputs * groups, { ...window, groups, bias });
    // Larger than any padding takes away.
    const transposed = (bias: boolean) =>
      new ConvTranspose2d(inputs * groups, outputs, { ...window, kernel: 3, bias });
    for (const make of [plain, transposed]) {
      const [without, zero] = [false, true].map((bias) => f64(() => make(bias).init(new Random(seed))));
      expect(without.namedParameters().map(([name]) => name)).toEqual(["weight"]);
      zero.bias!.fill(0);
      zero.weight.copyFrom(without.weight);
      expect(without.forward(x).toArray()).toEqual(zero.forward(x).toArray());
      for (const one of [without, zero]) one.dispose();
    }
  },
);

describe("a transposed convolution", () => {
  test.prop([sizes], { numRuns: 50 })(
    "is the adjoint of the convolution of the same weight: ⟨conv x, y⟩ = ⟨x, convᵀ y⟩",
    ({ B, H, W, inputs, outputs, seed, ...window }) => {
      using _ = new Scope();
      const conv = f64(() => new Conv2d(inputs, outputs, window)).init(new Random(seed));
      conv.bias!.fill(0);
      const x = new Random(seed, 1).normals([B, H, W, inputs], "float64");
      const there = conv.forward(x);
      const y = new Random(seed, 2).normals(there.shape, "float64");
      // Rows that no window reached come back as output padding, as many as the division left over.
      const left = [H, W].map((length) => (length + 2 * window.padding - window.kernel) % window.stride);
      const make = (outputPadding: number): ConvTranspose2d =>
        f64(() => new ConvTranspose2d(outputs, inputs, { ...window, outputPadding })).init(new Random(0));
      const transposed = make(Math.max(...left));
      transposed.weight.copyFrom(conv.weight);
      transposed.bias!.fill(0);
      const back = transposed.forward(y).slice(1, 0, H).slice(2, 0, W);
      const dot = (a: Tensor, b: Tensor): number => a.mul(b).sum().item();
      // Where one axis has fewer rows left over than the other, the map comes back larger, with nothing there.
      expect(dot(x, back)).toBeCloseTo(dot(there, y), 9);
      const [slope] = grad(conv.forward(x.tracked()), [x], { dy: y });
      expectClose(back, slope as Tensor);
      for (const one of [conv, transposed]) one.dispose();
    },
  );

  test("adds its window to the output at every pixel, and its bias everywhere", () => {
    using _ = new Scope();
    const layer = f64(
      () => new ConvTranspose2d(1, 1, { kernel: 2, stride: 2, padding: 0, outputPadding: 1 }),
    );
    layer.weight.write([1, 2, 3, 4]);
    layer.bias!.fill(0.5);
    const y = layer.forward(Tensor.from([10, 1], [1, 1, 2, 1], "float64"));
    expect(y.shape).toEqual([1, 3, 5, 1]);
    expect(y.toArray()).toEqual(
      [10, 20, 1, 2, 0, 30, 40, 3, 4, 0, 0, 0, 0, 0, 0].map((value) => value + 0.5),
    );
    layer.dispose();
  });

  test("refuses sizes that are none", () => {
    const window = { kernel: 2, stride: 2, padding: 0 };
    expect(() => new ConvTranspose2d(1, 1, { ...window, outputPadding: 2 })).toThrow(
      "ConvTranspose2d: expected outputPadding to be an integer in [0, 1], got 2",
    );
    expect(() => new Conv2d(3, 4, { ...window, groups: 2 })).toThrow(
      "Conv2d: 2 groups do not divide 3 inputs",
    );
    const layer = new ConvTranspose2d(1, 1, { kernel: 1, stride: 1, padding: 2 }).init(new Random(0));
    expect(() => layer.forward(Tensor.zeros([1, 4, 4, 1]))).toThrow("ConvTranspose2d: expected a map");
    layer.dispose();
  });
});
