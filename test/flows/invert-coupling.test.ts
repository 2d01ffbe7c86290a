import { fc, test as prop } from "@fast-check/vitest";
import { describe, expect } from "vitest";
import { plainKernels, Random, Scope, type Tensor } from "../../core/index.ts";
import { invertCoupling, JointAffineCoupling, type ScaleShiftNet } from "../../flows/index.ts";
import { Module } from "../../nn/index.ts";

/** A network that gives the same numbers for whatever is kept. */
class Fixed extends Module implements ScaleShiftNet {
  readonly #terms: readonly [scale: Tensor, shift: Tensor];
  constructor(terms: readonly [Tensor, Tensor]) {
    super();
    this.#terms = terms;
  }
  forward(): readonly [Tensor, Tensor] {
    return this.#terms;
  }
}

const size = fc.integer({ min: 1, max: 40 });
/** Of the largest term: far above 1, tanh is ±1. */
const largest = fc.constantFrom(1, 20, 1e4);

describe("invertCoupling", () => {
  prop.prop([size, size, largest, fc.nat()], { numRuns: 40 })(
    "is the inverse of an affine coupling, and the plain kernel's, saturated or not",
    (B, half, range, seed) => {
      using _ = new Scope();
      const random = new Random(seed);
      const z = random.uniforms([B, 2 * half], -1, 1);
      const terms = random.uniforms([2, B, half], -range, range);
      const [scale, shift] = terms.chunk(2, 0).map((part) => part.reshape([B, half]));
      const coupling = new JointAffineCoupling(new Fixed([scale, shift]));
      const { out: inverse } = coupling.inverse(z);
      const plain = plainKernels(() => invertCoupling(z, terms));
      invertCoupling(z, terms).data.forEach((x, i) => {
        // (z − t) e⁻ˢ with e⁻ˢ ≤ e, rounded at each of some five steps to 2⁻²⁴ of at most e (1 + range).
        for (const other of [inverse, plain])
          expect(Math.abs(x - other.data[i])).toBeLessThan(2e-6 * (1 + range));
      });
    },
  );
});
