/**
 * Every op that takes a tensor first; each is also a method of Tensor. Optional arguments are written `x?: T`, without a
 * default in the list: so a method knows how many there are and refuses more.
 * @module ops
 */
export { abs } from "./abs.ts";
export { add } from "./add.ts";
export { asinh } from "./asinh.ts";
export { attention } from "./attention.ts";
export { broadcastTo } from "./broadcast-to.ts";
export { channelAttention } from "./channel-attention.ts";
export { clamp } from "./clamp.ts";
export { cos } from "./cos.ts";
export { cosh } from "./cosh.ts";
export { depthwiseConv } from "./depthwise-conv.ts";
export { div } from "./div.ts";
export { dropout } from "./dropout.ts";
export { exp } from "./exp.ts";
export { frozenLinear } from "./frozen-linear.ts";
export { gatherRows } from "./gather-rows.ts";
export { gelu } from "./gelu.ts";
export { layerNorm } from "./layer-norm.ts";
export { lessThan } from "./less-than.ts";
export { linear } from "./linear.ts";
export { log } from "./log.ts";
export { log1p } from "./log1p.ts";
export { matmul } from "./matmul.ts";
export { maximum } from "./maximum.ts";
export { minimum } from "./minimum.ts";
export { mul } from "./mul.ts";
export { neg } from "./neg.ts";
export { norm } from "./norm.ts";
export { pad } from "./pad.ts";
export { permute, t } from "./permute.ts";
export { reshape } from "./reshape.ts";
export { rmsNorm } from "./rms-norm.ts";
export { scale } from "./scale.ts";
export { shift } from "./shift.ts";
export { sigmoid } from "./sigmoid.ts";
export { sign } from "./sign.ts";
export { silu } from "./silu.ts";
export { sin } from "./sin.ts";
export { sinh } from "./sinh.ts";
export { chunk, slice } from "./slice.ts";
export { softmax } from "./softmax.ts";
export { softplus } from "./softplus.ts";
export { sqrt } from "./sqrt.ts";
export { square } from "./square.ts";
export { sub } from "./sub.ts";
export { mean, sum, sumTo } from "./sum-to.ts";
export { tanh } from "./tanh.ts";
export { triangle } from "./triangle.ts";
export { triangularSolve } from "./triangular-solve.ts";
export { unfold } from "./unfold.ts";
export { where } from "./where.ts";
