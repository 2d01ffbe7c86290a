import { fc, test } from "@fast-check/vitest";
import { describe, expect } from "vitest";
import { grad, Random, Scope, Tensor } from "../../../core/index.ts";
import { flavours, largestError, numbers } from "./support.ts";

const sizes = fc.record({
  B: fc.integer({ min: 1, max: 3 }),
  T: fc.integer({ min: 1, max: 40 }),
  heads: fc.integer({ min: 1, max: 3 }),
  d: fc.constantFrom(3, 4, 8, 16, 20, 36), // 3 runs on other kernels
  seed: fc.nat(),
  p: fc.constantFrom(0, 0.3),
});

const double = (x: Tensor): Tensor => Tensor.from(x.data, x.shape, "float64");

describe.each(flavours)("self-attention $name", ({ run }) => {
  test.prop([sizes], { numRuns: 60 })(
    "and its gradient agree with float64, masks included",
    ({ B, T, heads, d, seed, p }) => {
      using _ = new Scope();
      const packed = numbers([B, T, 3 * heads * d], seed);
      const dy = numbers([B, T, heads * d], seed + 1);
      const both = (x: Tensor, slope: Tensor): [Tensor, Tensor] => {
        const dropout = p > 0 ? { p, random: new Random(seed) } : undefined;
        const y = x.tracked().selfAttention({ heads, scale: 1.5, dropout });
        return [y, grad(y, [x], { dy: slope })[0] as Tensor];
      };
      const [y, dx] = run(() => both(packed, dy));
      const [exactY, exactDx] = both(double(packed), double(dy));
      // Scores are below 1.5 · 36, so the weights err by 54 · 2⁻²⁴ times a few, relatively.
      expect(largestError(y, exactY.data)).toBeLessThan(5e-5);
      expect(largestError(dx, exactDx.data)).toBeLessThan(5e-4);
    },
  );
});

test("attention to itself is attention to a memory with the same rows", () => {
  using _ = new Scope();
  const random = new Random(2);
  const packed = random.normals([2, 5, 24]);
  const [q, k, v] = packed.chunk(3, 2).map((x) => x.reshape([2, 5, 2, 4]).permute([0, 2, 1, 3]));
  const weights = q.matmul(k, { transposeB: true }).scale(0.5).softmax();
  const expected = weights.matmul(v).permute([0, 2, 1, 3]).reshape([2, 5, 8]);
  expect(largestError(packed.selfAttention({ heads: 2, scale: 0.5 }), expected.data)).toBeLessThan(1e-6);
});

test("refuses rows that are not three times the heads", () => {
  expect(() => Tensor.zeros([1, 2, 8]).selfAttention({ heads: 2, scale: 1 })).toThrow("3 times 2 heads");
});
