import { fc, test } from "@fast-check/vitest";
import { afterAll, describe, expect } from "vitest";
import { Random, Scope, Tensor } from "../../core/index.ts";
import {
  type Bijector,
  type Conditioner,
  conditionEffect,
  Flow,
  integrate,
  type LawInput,
  laws,
  MlpConditioner,
  StandardNormal,
  samplingError,
} from "../../flows/index.ts";
import { inDType, Module } from "../../nn/index.ts";

/** What a bijector under test is made with. */
export interface Kit {
  /** Entries of an event, and of the condition (0: unconditional). */
  readonly D: number;
  readonly C: number;
  /** A conditioner that sees `kept` entries and the condition and gives `outputs` numbers. */
  conditioner(kept: number, outputs: number): Conditioner;
}

export interface LawOptions {
  readonly D: number;
  readonly C: number;
  /** Bounds of the data; all numbers unless given. */
  readonly data?: readonly [low: number, high: number];
  /** Bounds of the noise; all numbers unless given. */
  readonly noise?: readonly [low: number, high: number];
  /** False where the image of the data is bounded, so that no normal distribution fits. */
  readonly density?: false;
  /** Largest error allowed in float64. 1e-9 unless given: rounding 1e-16, times what a few nonlinear layers magnify it by. */
  readonly tolerance?: number;
  /** Largest error of the integrals; 1e-6 unless given, for smooth densities. */
  readonly quadrature?: number;
}

/**
 * Tests every law of bijectors on what `make` builds, in float64, with inputs that shrink to the simplest failing ones.
 * `make` is called anew for the one- and two-dimensional integrals, so it must allow D = 1 and D = 2.
 */
export function bijectorLaws(name: string, make: (kit: Kit) => Bijector, options: LawOptions): void {
  const { D, C, tolerance = 1e-9 } = options;
  describe(name, () => {
    const nets: Blindfold[] = [];
    const bijector = build(make, D, C, 1, nets);
    afterAll(() => bijector.dispose());

    for (const law of Object.values(laws)) {
      test.prop([lawInputs(options)], runs)(law.name, (numbers) => {
        using _ = new Scope();
        expect(law.error(bijector, toTensors(numbers, D, C))).toBeLessThanOrEqual(tolerance);
      });
    }

    if (C === 0) {
      test.prop([lawInputs({ ...options, C: 2 })], runs)("a condition changes nothing", (numbers) => {
        using _ = new Scope();
        const input = toTensors(numbers, D, 2);
        expect(conditionEffect(bijector, input, Tensor.zeros([input.x.shape[0], 2], "float64"))).toBe(0);
      });
    } else {
      // Ordinary inputs: far out, what a condition moves may be less than rounding, and a spline is the identity.
      const { data = [-1, 1], noise = [-1, 1] } = options;
      const twoConditions = fc
        .tuple(lawInputs({ ...options, data, noise }), fc.double({ min: 0.1, max: 3, noNaN: true }))
        .map(([numbers, apart]) => ({ numbers, apart }));

      test.prop([twoConditions], runs)("the condition matters", ({ numbers, apart }) => {
        using _ = new Scope();
        const input = toTensors(numbers, D, C);
        expect(conditionEffect(bijector, input, input.condition!.shift(apart))).toBeGreaterThan(1e-8);
      });

      test.prop([twoConditions], runs)(
        "the condition enters through the conditioner only",
        ({ numbers, apart }) => {
          using _ = new Scope();
          const input = toTensors(numbers, D, C);
          for (const net of nets) net.blind = true;
          const effect = conditionEffect(bijector, input, input.condition!.shift(apart));
          for (const net of nets) net.blind = false;
          expect(effect).toBe(0);
        },
      );
    }

    for (const dimensions of options.density === false ? [] : [1, 2]) {
      test(`the density integrates to one in ${dimensions} dimension${dimensions > 1 ? "s" : ""}, and samples agree`, () => {
        using _ = new Scope();
        const flow = new Flow([build(make, dimensions, C, 2)], new StandardNormal([dimensions]));
        const condition = C > 0 ? new Random(11).normals([1, C], "float64") : undefined;
        const integrals = integrate(flow, { condition, points: dimensions === 1 ? 4096 : 256 });
        expect(Math.abs(integrals.total - 1)).toBeLessThanOrEqual(options.quadrature ?? 1e-6);
        expect(samplingError(flow, integrals, new Random(12), { condition })).toBeLessThan(4.5);
      });
    }
  });
}

/** Inputs tried per law: each is a batch of up to three samples. */
const runs = { numRuns: 40 };

/** A conditioner that can be made blind to the condition. */
export class Blindfold extends Module implements Conditioner {
  net: MlpConditioner;
  blind = false;

  constructor(net: MlpConditioner) {
    super();
    this.net = net;
  }

  forward(kept: Tensor, condition?: Tensor): Tensor {
    return this.net.forward(kept, this.blind ? condition?.scale(0) : condition);
  }
}

/** A bijector with random parameters, in float64. */
export function build(
  make: (kit: Kit) => Bijector,
  D: number,
  C: number,
  seed: number,
  nets: Blindfold[] = [],
): Bijector {
  const conditioner = (kept: number, outputs: number): Conditioner => {
    const net = new Blindfold(new MlpConditioner({ kept, condition: C, width: 8, outputs }));
    nets.push(net);
    return net;
  };
  const random = new Random(seed);
  const bijector = inDType("float64", () => make({ D, C, conditioner })).init(random);
  // Away from special starting points, such as zero shifts and orthogonal matrices.
  for (const parameter of bijector.parameters()) {
    const data = parameter.data;
    for (let i = 0; i < data.length; i++) data[i] += 0.2 * random.normal();
  }
  return bijector;
}

interface Numbers {
  readonly x: readonly number[];
  readonly z: readonly number[];
  readonly condition: readonly number[];
}

/** A batch of one to three samples; numbers of ordinary size, some tiny, some extreme. */
function lawInputs({ D, C, data, noise }: LawOptions): fc.Arbitrary<Numbers> {
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

function toTensors({ x, z, condition }: Numbers, D: number, C: number): LawInput {
  const B = x.length / D;
  return {
    x: Tensor.from(x, [B, D], "float64"),
    z: Tensor.from(z, [B, D], "float64"),
    ...(C > 0 && { condition: Tensor.from(condition, [B, C], "float64") }),
  };
}
