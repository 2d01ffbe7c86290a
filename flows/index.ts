export { AffineCoupling, JointAffineCoupling, type ScaleShiftNet } from "./affine-coupling.ts";
export { Bijector, forBatch, type Mapped, sumEvent } from "./bijector.ts";
export { Chain } from "./chain.ts";
export { type Conditioner, couple, halves, type Split } from "./coupling.ts";
export { Flow, type LogProbTerms, type SampleOptions } from "./flow.ts";
export { type Base, DiagonalNormal, StandardNormal } from "./normal.ts";
export { Permutation } from "./permutation.ts";
export { InvertiblePLU } from "./plu.ts";
