import { fc, test } from "@fast-check/vitest";
import { describe, expect } from "vitest";
import { Random, Scope, Tensor } from "../../core/index.ts";
import { rotaryTables, rotate, sinusoids } from "../../nn/index.ts";

const LENGTH = 12;
const WIDTH = 6;
const tables = rotaryTables(LENGTH, WIDTH, 32);
const table = (values: Float64Array): Tensor => Tensor.from(values, [LENGTH, WIDTH / 2], "float64");

describe("rotary positions", () => {
  test.prop([fc.nat(1000)])("turn vectors without changing their length", (seed) => {
    using _ = new Scope();
    const x = new Random(seed).normals([LENGTH, WIDTH], "float64");
    const y = rotate(x, table(tables.cos), table(tables.sin));
    const lengths = (t: Tensor): number[] => t.square().sum([1]).toArray();
    lengths(y).forEach((value, i) => {
      expect(value).toBeCloseTo(lengths(x)[i], 10);
    });
    expect(y.slice(0, 0, 1).toArray()).toEqual(x.slice(0, 0, 1).toArray()); // position 0
  });

  test.prop([fc.nat(1000), fc.nat(5), fc.nat(5)])(
    "make products depend on the distance only",
    (seed, i, shift) => {
      using _ = new Scope();
      const [a, b] = [1, 2].map((stream) => new Random(seed, stream).normals([1, WIDTH], "float64"));
      const turned = (x: Tensor): Tensor =>
        rotate(x.broadcastTo([LENGTH, WIDTH]), table(tables.cos), table(tables.sin));
      const products = turned(a).matmul(turned(b), { transposeB: true });
      const at = (p: number, q: number): number => products.data[p * LENGTH + q];
      expect(at(i, 6)).toBeCloseTo(at(i + shift, 6 + shift), 10);
    },
  );
});

test.prop([fc.double({ min: 0, max: 1, noNaN: true })])(
  "sinusoids are cosines, then sines, of falling frequencies",
  (t) => {
    using _ = new Scope();
    const y = sinusoids(Tensor.from([t], [1], "float64"), 8, { period: 100, scale: 10 }).data;
    for (let k = 0; k < 4; k++) {
      const angle = t * 10 * 100 ** (-k / 4);
      expect(y[k]).toBeCloseTo(Math.cos(angle), 12);
      expect(y[4 + k]).toBeCloseTo(Math.sin(angle), 12);
    }
  },
);
