/**
 * Every op that takes a tensor first; each is also a method of Tensor. Optional arguments are written `x?: T`, without a
 * default in the list: so a method knows how many there are and refuses more.
 */
export * from "./abs.ts";
export { add } from "./add.ts";
export * from "./asinh.ts";
export * from "./attention.ts";
export * from "./broadcast-to.ts";
export * from "./clamp.ts";
export * from "./cos.ts";
export * from "./cosh.ts";
export * from "./depthwise-conv.ts";
export * from "./div.ts";
export * from "./dropout.ts";
export * from "./exp.ts";
export * from "./frozen-linear.ts";
export * from "./gather-rows.ts";
export * from "./gelu.ts";
export * from "./layer-norm.ts";
export * from "./less-than.ts";
export * from "./linear.ts";
export * from "./log.ts";
export * from "./log1p.ts";
export * from "./matmul.ts";
export * from "./maximum.ts";
export * from "./minimum.ts";
export * from "./mul.ts";
export * from "./neg.ts";
export * from "./pad.ts";
export * from "./permute.ts";
export * from "./reshape.ts";
export * from "./rms-norm.ts";
export * from "./scale.ts";
export * from "./self-attention.ts";
export * from "./shift.ts";
export * from "./sigmoid.ts";
export * from "./sign.ts";
export * from "./silu.ts";
export * from "./sin.ts";
export * from "./sinh.ts";
export * from "./slice.ts";
export * from "./softmax.ts";
export * from "./softplus.ts";
export * from "./sqrt.ts";
export * from "./square.ts";
export * from "./sub.ts";
export * from "./sum-to.ts";
export * from "./tanh.ts";
export * from "./triangle.ts";
export * from "./triangular-solve.ts";
export * from "./uncouple.ts";
export { unfold } from "./unfold.ts";
export * from "./where.ts";

import type * as ops from "./index.ts";

/** The ops as methods: the first argument becomes `this`. */
export type Methods = {
  [Name in keyof typeof ops]: (typeof ops)[Name] extends (x: never, ...rest: infer Rest) => infer Out
    ? (...rest: Rest) => Out
    : never;
};
