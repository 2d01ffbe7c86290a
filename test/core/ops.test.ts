import { describe, expect, it } from "vitest";
import { plainKernels, Tensor, tidy } from "../../core/index.ts";
import { allOps, allUpdates, apply, update } from "../../core/op.ts";
import "../../flows/index.ts"; // defines an op of its own
import { gradientError, sampleInputs } from "../laws/ops.ts";

describe.each(allOps.map((op) => [op.name, op] as const))("op %s", (_name, op) => {
  // Central differences are good to about 1e-10 here; the bound leaves room for steep samples.
  it("has the gradient that finite differences show", () => {
    for (const sample of op.samples) {
      tidy(() => {
        expect(gradientError(op, sample, 7, false)).toBeLessThan(1e-7);
      });
    }
  });

  it("has a second derivative that finite differences show", () => {
    for (const sample of op.samples) {
      tidy(() => {
        expect(gradientError(op, sample, 8, true)).toBeLessThan(1e-7);
      });
    }
  });

  it("gives the same in float32 as in float64, up to rounding", () => {
    for (const sample of op.samples) {
      tidy(() => {
        const narrow = sampleInputs(sample, "float32", 9);
        const wide = narrow.map((x) => (x.dtype === "int32" ? x : Tensor.from(x.data, x.shape, "float64")));
        const got = apply(op, narrow, sample.attrs);
        const exact = apply(op, wide, sample.attrs);
        const plain = plainKernels(() => apply(op, narrow, sample.attrs));
        const scale = Math.max(1, ...exact.toArray().map(Math.abs));
        exact.data.forEach((value, i) => {
          // The plain kernel sums in double and rounds once; a fast kernel may round at each step.
          expect(Math.abs(plain.data[i] - value)).toBeLessThanOrEqual(2 ** -23 * scale);
          expect(Math.abs(got.data[i] - value)).toBeLessThanOrEqual(2 ** -20 * scale);
        });
      });
    }
  });
});

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
