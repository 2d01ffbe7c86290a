import { describe, expect, it } from "vitest";
import { plainKernels, Tensor, tidy } from "../../core/index.ts";
import { allOps, allUpdates, update } from "../../core/op.ts";
import { opLaws } from "../laws/op-laws.ts";
import { sampleInputs } from "../laws/ops.ts";

for (const op of allOps) opLaws(op);

describe.each(allUpdates.map((op) => [op.name, op] as const))("in place, %s", (_name, op) => {
  it("overwrites the same in float32 as in float64, up to rounding, and nothing else", () => {
    for (const sample of op.samples) {
      tidy(() => {
        const fast = sampleInputs(sample, "float32", 9);
        const plain = fast.map((x) => x.copy());
        const wide = fast.map((x) => Tensor.from(x.data, x.shape, "float64"));
        const before = fast.map((x) => x.toArray());
        update(op, fast, sample.attrs);
        plainKernels(() => update(op, plain, sample.attrs));
        update(op, wide, sample.attrs);
        wide.forEach((exact, i) => {
          expect(fast[i].toArray().join() === before[i].join()).toBe(!op.updates.includes(i));
          exact.data.forEach((value, j) => {
            // Params are rounded to float32 (2⁻²⁴), the plain kernel rounds once more, a fast one at each step.
            expect(Math.abs(plain[i].data[j] - value)).toBeLessThanOrEqual(2 ** -22);
            expect(Math.abs(fast[i].data[j] - value)).toBeLessThanOrEqual(2 ** -20);
          });
        });
      });
    }
  });
});
