import { Random, Scope, Tensor } from "../../core/index.ts";
import type { Bijector, Interval } from "../bijector.ts";
import { MlpConditioner } from "../conditioner.ts";
import type { Conditioner } from "../coupling.ts";
import { Flow } from "../flow.ts";
import { type Base, StandardNormal } from "../normal.ts";
import { integrate, samplingError } from "../quadrature.ts";
import { type BaseTrial, baseLaws } from "./base.ts";
import { laws } from "./bijector.ts";
import { conditionEffect, conditionLaws } from "./condition.ts";
import { disposeAll, drawParameters, instancesOf } from "./instances.ts";
import { freeConditions, freePoints } from "./points.ts";
import {
  type Instances,
  type Law,
  type LawInput,
  type Measure,
  type Precision,
  Trial,
  tryLaw,
} from "./trial.ts";

/** What a bijector under test is made with. */
export interface Kit {
  /** Entries of an event, and of the condition (0: unconditional). */
  readonly D: number;
  readonly C: number;
  /**
   * A conditioner that sees `kept` entries and the condition and gives `outputs` numbers; for bijectors that bring
   * none.
   */
  conditioner(kept: number, outputs: number): Conditioner;
}

export interface LawOptions {
  readonly D: number;
  readonly C: number;
  /** Bounds of the data and of the noise; the bijector's own `domain` and `image` unless given. */
  readonly data?: Interval;
  readonly noise?: Interval;
  /** False where the image of the data is bounded, so that no normal distribution fits. */
  readonly density?: false;
  /** Largest error allowed in float64; see `TOLERANCES`. */
  readonly tolerance?: number;
  /** Largest error of the integrals; 1e-6 unless given, for smooth densities. */
  readonly quadrature?: number;
}

/** Points as plain numbers, row after row; there are as many rows as x has events. */
export interface Points {
  readonly x: readonly number[];
  readonly z: readonly number[];
  readonly condition: readonly number[];
}

/**
 * One law of one bijector, to be looped over by any test runner. Both functions throw an error when the law does not
 * hold.
 */
export interface LawCase {
  readonly name: string;
  /** Draws parameters and points. */
  check(seed: number): void;
  /** Tries given points, so that a property test can shrink them; absent where a law needs none. */
  readonly at?: (points: Points) => void;
}

/**
 * Largest errors allowed. Measured over 200 seeds: 400 bijectors with drawn parameters (single layers and chains of two
 * to five, two to eight entries, random widths) came to at most 3.5e-13, 3.0e-5 and 3.6e-7, at the median to 4.2e-16,
 * 2.2e-7 and 7.6e-9; Tanh, its inverse and Logit, which have no parameters, to 4.5e-13, 3.1e-7 and 1.0e-6. So float32
 * has the least room, a factor of 6.
 */
export const TOLERANCES = {
  float64: 1e-9,
  float32: 2e-4,
  slope: 1e-4,
} as const;

/** How far parameters are from where they start. */
const SPREAD = 0.2;

/** Rows of a drawn batch: enough for what goes wrong only in batches, and odd. */
const ROWS = 41;

/**
 * Every law of bijectors on what `make` builds, as a list of cases. `make` is called anew for the one- and
 * two-dimensional integrals, so it must allow D = 1 and D = 2 unless `density` is false.
 *
 *     for (const { name, check } of bijectorLaws(() => new MyBijector(), { D: 6, C: 0 })) test(name, () => check(1));
 */
export function bijectorLaws(make: (kit: Kit) => Bijector, options: LawOptions): LawCase[] {
  const { D, C } = options;
  const conditional = C > 0 ? Object.values(conditionLaws) : [];
  const all: readonly Law[] = [...Object.values(laws), ...conditional];
  const cases = all.map((law): LawCase => {
    const tolerance = (law.precision === "float64" && options.tolerance) || toleranceOf(law);
    const attempt = (seed: number, points: (instances: Instances<Bijector>) => LawInput): void => {
      using _ = new Scope();
      const instances = make3(make, D, C, seed);
      try {
        refuse(law, tryLaw(law, new Trial(instances, points(instances))), tolerance, seed);
      } finally {
        disposeAll(instances);
      }
    };
    return {
      name: law.name,
      check: (seed) => attempt(seed, ({ exact }) => drawn(exact, options, seed)),
      // Far out a condition may rightly change nothing: a spline is the identity there.
      ...(law !== conditionLaws.matters && {
        at: (points: Points) => attempt(1, () => toTensors(points, D, C)),
      }),
    };
  });
  if (C === 0) cases.push(unconditional(make, D));
  if (options.density !== false)
    cases.push(...[1, 2].map((dimensions) => densityCase(make, dimensions, options)));
  return cases;
}

/** The laws of a base distribution, as a list of cases. */
export function baseLawCases(make: () => Base): LawCase[] {
  return Object.values(baseLaws).map((law) => ({
    name: law.name,
    check(seed) {
      using _ = new Scope();
      const instances = instancesOf(make, (base) => drawParameters(base, new Random(seed), SPREAD));
      const noise = new Random(seed, 3).normals([ROWS, ...instances.exact.event], "float64");
      const measure = tryLaw<BaseTrial>(law, { instances, noise });
      disposeAll(instances);
      refuse(law, measure, toleranceOf(law), seed);
    },
  }));
}

function refuse(
  { name }: { readonly name: string },
  { error, at }: Measure,
  tolerance: number,
  seed: number,
): void {
  if (error <= tolerance) return;
  throw new Error(
    `${name}: ${at ? `${at}: ` : ""}error ${error}, allowed ${tolerance} (parameters of seed ${seed})`,
  );
}

const toleranceOf = (law: { readonly precision: Precision }): number =>
  TOLERANCES[law.precision as keyof typeof TOLERANCES];

function drawn(
  bijector: Bijector,
  { D, C, data = bijector.domain, noise = bijector.image }: LawOptions,
  seed: number,
): LawInput {
  const random = new Random(seed, 3);
  return {
    x: freePoints(ROWS, [D], random, data),
    z: freePoints(ROWS, [D], random, noise),
    ...(C > 0 && { condition: freeConditions(ROWS, C, random) }),
  };
}

function unconditional(make: (kit: Kit) => Bijector, D: number): LawCase {
  return {
    name: "a condition changes nothing",
    check(seed) {
      using _ = new Scope();
      const bijector = build(make, D, 0, seed);
      const input = drawn(bijector, { D, C: 2 }, seed);
      const effect = conditionEffect(bijector, input, Tensor.zeros([ROWS, 2], "float64"));
      bijector.dispose();
      if (effect > 0)
        throw new Error(`a condition moves points by ${effect}, expected no condition to be used`);
    },
  };
}

/** Chance moves the samples of a right density further than this once in some 100,000 draws. */
const CHANCE = 4.5;

function densityCase(
  make: (kit: Kit) => Bijector,
  dimensions: number,
  { C, quadrature = 1e-6 }: LawOptions,
): LawCase {
  return {
    name: `the density integrates to one in ${dimensions} dimension${dimensions > 1 ? "s" : ""}, and samples agree`,
    check(seed) {
      using _ = new Scope();
      const flow = new Flow([build(make, dimensions, C, seed)], new StandardNormal([dimensions]));
      const condition = C > 0 ? new Random(seed, 11).normals([1, C], "float64") : undefined;
      const integrals = integrate(flow, { condition, points: dimensions === 1 ? 4096 : 256 });
      const chance = samplingError(flow, integrals, new Random(seed, 12), { condition });
      flow.dispose();
      if (!(Math.abs(integrals.total - 1) <= quadrature))
        throw new Error(`the density integrates to ${integrals.total}, expected 1 within ${quadrature}`);
      if (!(chance < CHANCE))
        throw new Error(
          `samples are ${chance} standard errors from the density's moments, expected less than ${CHANCE}`,
        );
    },
  };
}

const kitOf = (D: number, C: number): Kit => ({
  D,
  C,
  conditioner: (kept, outputs) => new MlpConditioner({ kept, condition: C, width: 8, outputs }),
});

/** A bijector with random parameters, in float64. */
export function build(make: (kit: Kit) => Bijector, D: number, C: number, seed: number): Bijector {
  const instances = make3(make, D, C, seed);
  instances.twin.dispose();
  instances.fast.dispose();
  return instances.exact;
}

/** The three instances of a bijector with random parameters. */
const make3 = (make: (kit: Kit) => Bijector, D: number, C: number, seed: number): Instances<Bijector> =>
  instancesOf(
    () => make(kitOf(D, C)),
    (bijector) => drawParameters(bijector, new Random(seed), SPREAD),
  );

function toTensors({ x, z, condition }: Points, D: number, C: number): LawInput {
  const B = x.length / D;
  return {
    x: Tensor.from(x, [B, D], "float64"),
    z: Tensor.from(z, [B, D], "float64"),
    ...(C > 0 && { condition: Tensor.from(condition, [B, C], "float64") }),
  };
}
