import { fc, test } from "@fast-check/vitest";
import { describe, test as one } from "vitest";
import type { Bijector } from "../../flows/index.ts";
import {
  build,
  bijectorLaws as cases,
  type Kit,
  type LawOptions,
  type Points,
} from "../../flows/laws/index.ts";

/**
 * Tests every law of bijectors on what `make` builds: at drawn points and parameters, and at points that shrink to the
 * simplest failing ones.
 */
export function bijectorLaws(name: string, make: (kit: Kit) => Bijector, options: LawOptions): void {
  const probe = build(make, options.D, options.C, 1);
  const bounds = { data: probe.domain, noise: probe.image, ...options };
  probe.dispose();
  describe(name, () => {
    for (const { name: law, check, at } of cases(make, options)) {
      one(`${law}, at drawn points`, () => {
        for (const seed of SEEDS) check(seed);
      });
      if (at) test.prop([points(bounds)], { numRuns: 40 })(law, at);
    }
  });
}

const SEEDS = [1, 2, 3];

/** A batch of one to three samples; numbers of ordinary size, some tiny, some extreme. */
function points({ D, C, data, noise }: LawOptions): fc.Arbitrary<Points> {
  const list = (count: number, bounds?: readonly [number, number]): fc.Arbitrary<number[]> =>
    fc.array(numberIn(bounds), { minLength: count, maxLength: count });
  return fc
    .integer({ min: 1, max: 3 })
    .chain((B) =>
      fc.record({ x: list(B * D, data), z: list(B * D, noise), condition: list(B * C, [-3, 3]) }),
    );
}

function numberIn(bounds?: readonly [number, number]): fc.Arbitrary<number> {
  if (bounds) return fc.double({ min: bounds[0], max: bounds[1], noNaN: true });
  return fc.oneof(
    { weight: 6, arbitrary: fc.double({ min: -4, max: 4, noNaN: true }) },
    { weight: 1, arbitrary: fc.double({ min: -1e-12, max: 1e-12, noNaN: true }) },
    { weight: 1, arbitrary: fc.double({ min: -1e6, max: 1e6, noNaN: true }) },
  );
}
