import { fc, test } from "@fast-check/vitest";
import { describe, expect } from "vitest";
import { grad, Scope, Tensor } from "../../../core/index.ts";
import { flavours, largestError, numbers } from "./support.ts";

const call = fc.record({
  B: fc.integer({ min: 1, max: 3 }),
  /** Below four, and with groups of 3 channels, the default kernel does it; ours takes 64 at a time. */
  N: fc.oneof(fc.integer({ min: 1, max: 21 }), fc.constantFrom(64, 65, 130)),
  groups: fc.integer({ min: 1, max: 3 }),
  c: fc.constantFrom(3, 4, 8, 12),
  /** Size of the scores: large ones make the softmax choose one channel. */
  size: fc.constantFrom(1, 30),
  seed: fc.nat(),
});

describe.each(flavours)("channel attention $name", ({ run }) => {
  test.prop([call], { numRuns: 25 })(
    "and its gradient agree with float64",
    ({ B, N, groups, c, size, seed }) => {
      using _ = new Scope();
      const [tokens, dy] = [numbers([B, N, 3 * groups * c], seed), numbers([B, N, groups * c], seed + 1)];
      const both = (dtype: "float32" | "float64"): Tensor[] => {
        const x = Tensor.from(tokens.scale(Math.sqrt(size)).data, tokens.shape, dtype).tracked();
        const y = x.channelAttention(groups);
        return [y, ...grad(y, [x], { dy: Tensor.from(dy.data, dy.shape, dtype) })] as Tensor[];
      };
      const exact = both("float64");
      // A score of that size, a sum of N products over √N, rounds by a few 2⁻²⁴ of it, and the weights by as much; the
      // gradient holds queries, keys or values once more.
      const [y, dx] = run(() => both("float32"));
      expect(largestError(y, exact[0].data)).toBeLessThan(1e-5 * size);
      expect(largestError(dx, exact[1].data)).toBeLessThan(3e-5 * size * Math.sqrt(size));
    },
  );
});
