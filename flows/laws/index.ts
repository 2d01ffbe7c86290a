/**
 * The laws of bijectors, bases and flows, for any test runner: `nina-ts/flows/laws`. Start with `bijector.ts`, one
 * function per law; `cases.ts` makes a list of tests of them for a bijector of yours.
 * @module nina-ts/flows/laws
 */
export { type BaseTrial, baseLaws } from "./base.ts";
export { laws } from "./bijector.ts";
export {
  baseLawCases,
  bijectorLaws,
  build,
  type Kit,
  type LawCase,
  type LawOptions,
  type Points,
  TOLERANCES,
} from "./cases.ts";
export { conditionEffect, conditionLaws } from "./condition.ts";
export { type FlowTrial, flowLaws } from "./flow.ts";
export { disposeAll, drawParameters, instancesOf, partOf } from "./instances.ts";
export { sampleJacobian } from "./jacobian.ts";
export { freeConditions, freePoints } from "./points.ts";
export {
  type Direction,
  distance,
  distances,
  type Instances,
  type Invertible,
  type Law,
  type LawInput,
  type Measure,
  type Precision,
  Trial,
  tryLaw,
} from "./trial.ts";
