/**
 * Normalizing flows: bijectors, distributions, and the laws they must satisfy.
 * @module nina-ts/flows
 */
export { ActNorm } from "./act-norm.ts";
export { AdditiveCoupling } from "./additive-coupling.ts";
export { AffineCoupling, JointAffineCoupling, type ScaleShiftNet, type Squashed } from "./affine-coupling.ts";
export {
  type Architecture,
  type ConditionalArchitecture,
  glow,
  maf,
  type NetworkArchitecture,
  nice,
  nsf,
  planarFlow,
  realNvp,
  residualFlow,
} from "./architectures.ts";
export { Bijector, forBatch, type Interval, type Mapped, sumEvent } from "./bijector.ts";
export { BoxUniform } from "./box-uniform.ts";
export {
  type Certificate,
  type CertifyOptions,
  certify,
  type LawReport,
  type LayerReport,
} from "./certificate.ts";
export { Chain } from "./chain.ts";
export { MlpConditioner, type MlpConditionerConfig } from "./conditioner.ts";
export { type Conditioner, type Coupling, couple, outputsOf } from "./coupling.ts";
export { ElementwiseAffine } from "./elementwise-affine.ts";
export { Flow, type LogProbTerms, type SampleOptions } from "./flow.ts";
export type { FlowModule } from "./flow-module.ts";
export { type FlowOutline, flowFromNames } from "./from-names.ts";
export { Inverse } from "./inverse.ts";
export { invertCoupling } from "./invert-coupling.ts";
export { conditionEffect, type Law, type LawInput, laws, sampleJacobian } from "./laws/index.ts";
export { Logit } from "./logit.ts";
export { Made, type MadeConfig } from "./made.ts";
export { MaskedAutoregressive } from "./masked-autoregressive.ts";
export { type Base, DiagonalNormal, StandardNormal } from "./normal.ts";
export { NormalMixture } from "./normal-mixture.ts";
export { Permutation } from "./permutation.ts";
export { Planar } from "./planar.ts";
export { InvertiblePLU } from "./plu.ts";
export { integrate, type Quadrature, type QuadratureOptions, samplingError } from "./quadrature.ts";
export { Residual, type ResidualConfig } from "./residual.ts";
export { SplineCoupling, type SplineOptions } from "./spline-coupling.ts";
export { alternating, halves, keeping, type Split } from "./split.ts";
export { Tanh } from "./tanh.ts";
