import { fc, test } from "@fast-check/vitest";
import { describe, expect } from "vitest";
import { Random, Scope, Tensor } from "../../core/index.ts";
import { Made, MaskedAutoregressive } from "../../flows/index.ts";
import { sampleJacobian } from "../../flows/laws/index.ts";
import { inDType } from "../../nn/index.ts";
import { bijectorLaws } from "../laws/bijector.ts";

bijectorLaws(
  "MaskedAutoregressive",
  ({ D, C }) => new MaskedAutoregressive(new Made({ size: D, condition: C, width: 8 })),
  { D: 5, C: 3 },
);

describe("Made", () => {
  test.prop([fc.integer({ min: 1, max: 6 }), fc.integer({ min: 0, max: 3 }), fc.nat(100)])(
    "numbers for an entry depend on the entries before it, each of them, and on no other",
    (size, condition, seed) => {
      using _ = new Scope();
      // A width of N² has units of every degree that see units of every other; fewer may leave out some paths.
      const made = inDType("float64", () => new Made({ size, condition, width: size * size }));
      made.init(new Random(seed));
      const random = new Random(seed, 1);
      const c = condition > 0 ? random.normals([1, condition], "float64") : undefined;
      const x = random.normals([1, size], "float64");
      for (const which of [0, 1]) {
        const jacobian = sampleJacobian(
          (y, given) => ({ out: made.forward(y, given)[which], logDet: Tensor.zeros([size]) }),
          x,
          c,
        );
        jacobian.forEach((slope, at) => {
          const [output, input] = [Math.floor(at / size), at % size];
          if (input >= output) expect(slope).toBe(0);
          else expect(Math.abs(slope)).toBeGreaterThan(0);
        });
      }
    },
  );

  test("refuses sizes that are none, and a condition of another width", () => {
    expect(() => new Made({ size: 0, condition: 0, width: 1 })).toThrow("Made: expected size to be");
    const made = new Made({ size: 2, condition: 3, width: 4 }).init(new Random(0));
    expect(() => made.forward(Tensor.zeros([2, 2]))).toThrow("Made: expected a condition (B, 3), got none");
    expect(() => made.forward(Tensor.zeros([2, 2]), Tensor.zeros([2, 4]))).toThrow("Made: condition");
    expect(() => new MaskedAutoregressive(undefined as never)).toThrow(
      "MaskedAutoregressive: expected net.forward to be a function, got undefined",
    );
  });
});
