import { describe, expect, it } from "vitest";
import { grad, plainKernels, Random, type Tensor, tidy } from "../../core/index.ts";
import { allOps, allUpdates, apply, isTracked, type Op, type Sample, update } from "../../core/op.ts";
import "../../flows/index.ts"; // what is defined outside of core runs like all others
import "../core/own-ops.ts";
import { sampleInputs } from "../laws/ops.ts";
import { describeDevices } from "./modes.ts";

/**
 * An op's result for a sample, the gradients of Σ r ⊙ result with random r, and the gradients of Σ d ⊙ gradient with
 * random d, all for inputs that `place` puts on a device.
 */
function derivatives(op: Op<unknown>, sample: Sample<unknown>, place: (x: Tensor) => Tensor): Tensor[] {
  const given = sampleInputs(sample, "float32", 9);
  const ins = given.map(place);
  const floats = ins.filter((x) => x.dtype === "float32").map((x) => x.tracked());
  const random = new Random(10);
  const like = (x: Tensor): Tensor => place(random.uniforms(x.shape, -1, 1));
  const result = apply(op, ins, sample.attrs);
  if (!isTracked(result)) return [result];
  const first = grad(result, floats, { dy: like(result), createGraph: true });
  const found = first.filter((g) => g !== null);
  const pairs = found.filter(isTracked).map((g) => [g, like(g)] as const);
  const second = pairs.flatMap(([g, dy]) => grad(g, floats, { dy }).filter((gg) => gg !== null));
  return [result, ...found, ...second];
}

describeDevices("ops", (device) => {
  const named = (formula: boolean) =>
    allOps.filter((op) => Boolean(op.formula) === formula).map((op) => [op.name, op] as const);

  describe.each(named(true))("%s", (_name, op) => {
    it("gives the values, first and second gradients of the plain kernels", async () => {
      for (const sample of op.samples) {
        const expected = tidy(() =>
          plainKernels(() => derivatives(op, sample, (x) => x)).map((x) => x.toArray()),
        );
        const got = tidy(() => derivatives(op, sample, (x) => x.to(device())));
        const read = await Promise.all(got.map((x) => x.read()));
        for (const x of got) x.dispose();
        expect(read.length).toBe(expected.length);
        read.forEach((numbers, i) => {
          // float32 all the way, against sums in double precision that are rounded once for each op.
          const scale = Math.max(1, ...expected[i].map(Math.abs));
          const errors = expected[i].map((value, j) => Math.abs(value - numbers[j]) / scale);
          expect(Math.max(0, ...errors)).toBeLessThan(4e-6);
        });
      }
    });
  });

  it.each(named(false))("%s has no formula and is refused", (name, op) => {
    const [sample] = op.samples;
    const apply_ = (): void => {
      tidy(() => derivatives(op, sample, (x) => x.to(device())));
    };
    expect(apply_).toThrow(`${name}: has no formula, so ${device().name} cannot compute it`);
  });

  describe.each(allUpdates.map((op) => [op.name, op] as const))("%s", (_name, op) => {
    it("overwrites what the plain kernels do, with the same", async () => {
      for (const sample of op.samples) {
        const updated = (place: (x: Tensor) => Tensor): Tensor[] => {
          const ins = sampleInputs(sample, "float32", 9).map(place);
          update(op, ins, sample.attrs);
          return ins;
        };
        const expected = tidy(() => plainKernels(() => updated((x) => x)).map((x) => x.toArray()));
        const got = tidy(() => updated((x) => x.to(device())));
        const read = await Promise.all(got.map((x) => x.read()));
        for (const x of got) x.dispose();
        read.forEach((numbers, i) => {
          expected[i].forEach((value, j) => {
            expect(numbers[j]).toBeCloseTo(value, 5);
          });
        });
      }
    });
  });
});
