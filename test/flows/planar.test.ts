import { expect, test } from "vitest";
import { Random, Scope, Tensor } from "../../core/index.ts";
import { Planar } from "../../flows/index.ts";
import { inDType } from "../../nn/index.ts";
import { bijectorLaws } from "../laws/bijector.ts";

bijectorLaws("Planar", ({ D }) => new Planar(D), { D: 5, C: 0 });

test("Planar stays invertible where u points against w, as far as it may", () => {
  using _ = new Scope();
  const planar = inDType("float64", () => new Planar(2)).init(new Random(0));
  planar.w.write([2, 0]);
  planar.u.write([-5, 1]); // u · w = −10: without the correction a + c tanh(a) would fold
  const x = Tensor.from(
    [
      [-1, 0.3],
      [0, 2],
      [1e-3, 1],
      [4, -4],
    ],
    undefined,
    "float64",
  );
  const { out, logDet } = planar.forward(x);
  expect(logDet.toArray().every(Number.isFinite)).toBe(true);
  const back = planar.inverse(out).out;
  // The slope is 5e-5 where a = 0: a digit of z is worth that much less in x.
  back.data.forEach((value: number, i: number) => {
    expect(value).toBeCloseTo(x.data[i], 9);
  });
});
