import { fc, test } from "@fast-check/vitest";
import { expect } from "vitest";
import { plainKernels, Random, Scope } from "../../../core/index.ts";

test.prop([
  fc.integer({ min: 1, max: 12 }),
  fc.integer({ min: 1, max: 11 }),
  fc.record({ lower: fc.boolean(), unit: fc.boolean() }),
  fc.nat(),
])("the kernel for triangular systems agrees with the plain one", (N, M, triangle, seed) => {
  using _ = new Scope();
  const random = new Random(seed);
  // What lies off the diagonal adds up to less than what lies on it: solutions stay near 1.
  const a = random.uniforms([N, N], -1, 1).scale(1 / N);
  for (let i = 0; i < N; i++) a.data[i * N + i] += 2;
  const b = random.uniforms([N, M], -1, 1);
  const fast = a.triangularSolve(b, triangle);
  const plain = plainKernels(() => a.triangularSolve(b, triangle));
  // Both solve in double precision and round once, in different orders: the last bit may differ.
  fast.data.forEach((x, i) => {
    expect(Math.abs(x - plain.data[i])).toBeLessThanOrEqual(2 ** -23 * Math.abs(x));
  });
});
