/**
 * The ops that have fast kernels on the CPU, each with how it is called. What an op means stands in core/ops/; these
 * are faster ways to the same numbers, and the shared suites hold them to it. Elementwise ops are not listed: their
 * kernels are emitted from their formulas.
 */

import type { TensorView } from "../device.ts";
import { Expr } from "../formula/expr.ts";
import { plainKernel } from "../formula/plain.ts";
import { op as adamW } from "../ops/adamw.ts";
import { op as argsort } from "../ops/argsort.ts";
import { op as attention, slopeOp as attentionSlope } from "../ops/attention.ts";
import { op as broadcastTo } from "../ops/broadcast-to.ts";
import { op as channelAttention, slopeOp as channelAttentionSlope } from "../ops/channel-attention.ts";
import { op as concat } from "../ops/concat.ts";
import { op as depthwiseConv, tapsOp as depthwiseTaps } from "../ops/depthwise-conv.ts";
import { op as dropout, thresholdOf } from "../ops/dropout.ts";
import { op as frozenLinear, named } from "../ops/frozen-linear.ts";
import { scatterOp as scatter } from "../ops/gather.ts";
import { op as gatherRows, scatter as scatterRows } from "../ops/gather-rows.ts";
import { op as layerNorm, slopeOp as layerNormSlope, sumsOp as layerNormSums } from "../ops/layer-norm.ts";
import { op as linear } from "../ops/linear.ts";
import { op as matmul, sizes } from "../ops/matmul.ts";
import { op as norm } from "../ops/norm.ts";
import { op as pad } from "../ops/pad.ts";
import { op as permute } from "../ops/permute.ts";
import { op as rmsNorm } from "../ops/rms-norm.ts";
import { op as slice } from "../ops/slice.ts";
import { op as softmax, slopeOp as softmaxSlope } from "../ops/softmax.ts";
import { op as sumTo } from "../ops/sum-to.ts";
import { op as triangle } from "../ops/triangle.ts";
import { op as triangularSolve } from "../ops/triangular-solve.ts";
import { foldOp, op as unfold } from "../ops/unfold.ts";
import { sizeOf } from "../shape.ts";
import { serve } from "./fast.ts";
import { adamWWasm } from "./kernels/adamw.ts";
import { attentionGradWasm, attentionWasm } from "./kernels/attention.ts";
import { channelAttentionGradWasm, channelAttentionWasm } from "./kernels/channel-attention.ts";
import { copyRowsWasm, inTurn, type Rows } from "./kernels/copy-rows.ts";
import { depthwiseConvWasm } from "./kernels/depthwise-conv.ts";
import { depthwiseTapsWasm } from "./kernels/depthwise-taps.ts";
import { dropoutWasm } from "./kernels/dropout.ts";
import { elementwiseWasm } from "./kernels/elementwise.ts";
import { gatherColumns, gatherRowsWasm, scatterRowsWasm } from "./kernels/gather.ts";
import { layerNormWasm } from "./kernels/layer-norm.ts";
import { layerNormGradWasm, layerNormSumsWasm } from "./kernels/layer-norm-grad.ts";
import { normWasm } from "./kernels/norm.ts";
import { permuteWasm } from "./kernels/permute.ts";
import { sumToWasm } from "./kernels/reduce.ts";
import { rmsNormWasm } from "./kernels/rms-norm.ts";
import { softmaxGradWasm, softmaxWasm } from "./kernels/softmax.ts";
import { scattered, sortedPlaces } from "./kernels/sort.ts";
import { triangleWasm } from "./kernels/triangle.ts";
import { triangularSolveWasm } from "./kernels/triangular-solve.ts";
import { foldWasm, unfoldWasm } from "./kernels/unfold.ts";
import { panelsOf } from "./packed-storage.ts";
import { layoutForRows, packWeights } from "./product/choose.ts";
import type { PackedWeights } from "./product/layout.ts";
import { packedProductWasm, productWasm } from "./product/product.ts";
import { addressOf } from "./storage.ts";

// Copies.

const repeat = elementwiseWasm(Expr.input(0), 1, 0);
serve(broadcastTo, { kernel: (out, [x]) => repeat(out, [x]) });

serve(concat, {
  kernel(out, ins, axis) {
    const inner = sizeOf(out.shape.slice(axis + 1));
    const pitch = out.shape[axis] * inner;
    let address = addressOf(out);
    return inTurn(
      ins.map((x) => {
        const count = x.shape[axis] * inner;
        const to = { address, pitch };
        address += 4 * count;
        return copyRowsWasm(to, { address: addressOf(x), pitch: count }, out.size / pitch, count);
      }),
    );
  },
});

serve(pad, {
  kernel(out, [x], { axis, before, after }) {
    const inner = sizeOf(x.shape.slice(axis + 1));
    const [count, pitch] = [x.shape[axis] * inner, out.shape[axis] * inner];
    const rows = out.size / pitch;
    const at = (element: number): Rows => ({ address: addressOf(out) + 4 * element, pitch });
    const end = before * inner + count;
    return inTurn([
      copyRowsWasm(at(0), null, rows, before * inner),
      copyRowsWasm(at(before * inner), { address: addressOf(x), pitch: count }, rows, count),
      copyRowsWasm(at(end), null, rows, after * inner),
    ]);
  },
});

serve(slice, {
  kernel(out, [x], { axis, start, end }) {
    const inner = sizeOf(x.shape.slice(axis + 1));
    const count = (end - start) * inner;
    const from = { address: addressOf(x) + 4 * start * inner, pitch: x.shape[axis] * inner };
    return copyRowsWasm({ address: addressOf(out), pitch: count }, from, out.size / count, count);
  },
});

serve(permute, { kernel: (out, [x], order) => permuteWasm(out, x, order) });
serve(triangle, { kernel: (out, [x], { lower }) => triangleWasm(out, x, lower) });
serve(unfold, { kernel: (out, [x], window) => unfoldWasm({ ...window, map: x, patches: out }) });
serve(foldOp, {
  kernel: (out, [y], { kernel, stride, padding }) =>
    foldWasm({ kernel, stride, padding, map: out, patches: y }),
});

serve(gatherRows, {
  kernel(out, [table, ids]) {
    const panels = panelsOf(table);
    return panels ? gatherColumns(out, panels, ids) : gatherRowsWasm(out, table, ids);
  },
});
serve(scatterRows, {
  kernel: (out, [rows, ids], { padding }) => scatterRowsWasm(out, rows, ids, padding),
});

// Rows.

// In double precision, whatever the axes.
serve(norm, { kernel: (out, [x], to) => normWasm(out, x) ?? plainKernel(norm, out, [x], to) });
serve(softmax, { kernel: (out, [x]) => softmaxWasm(out, x) });
serve(softmaxSlope, { kernel: (out, [dy, y]) => softmaxGradWasm(out, y, dy) });
serve(layerNorm, { kernel: (out, [x, gain, bias], eps) => layerNormWasm({ out, x, gain, bias, eps }) });
serve(layerNormSlope, { kernel: (out, [dy, x, gain], eps) => layerNormGradWasm(out, dy, x, gain, eps) });
serve(layerNormSums, { kernel: (out, [dy, x], eps) => layerNormSumsWasm(out, dy, x, eps) });
serve(rmsNorm, { kernel: (out, [x, gain, bias], eps) => rmsNormWasm(out, x, gain, bias, eps) });
serve(sumTo, { kernel: (out, [x], to) => sumToWasm(out, x, to) });
serve(triangularSolve, { kernel: (out, [a, b], triangle) => triangularSolveWasm(out, a, b, triangle) });
serve(dropout, {
  kernel: (out, [x], { p, stretch }) => dropoutWasm(out, x, thresholdOf(p), 1 / (1 - p), stretch),
});

// Along an axis.

serve(argsort, { kernel: (out, [x], order) => sortedPlaces(out, x, order) });
serve(scatter, { kernel: (out, [x, ids], along) => scattered(out, x, ids, along) });

// Products.

/** What a product reads in place of its second input, and whether that has columns as rows. */
function secondOf(
  b: TensorView,
  transB: boolean,
  packed?: PackedWeights,
): { b: TensorView | PackedWeights; transB: boolean } {
  const weights = packed ?? (transB ? panelsOf(b) : null);
  return weights ? { b: weights, transB: false } : { b, transB };
}

serve(matmul, {
  kernel(out, [a, b], transposed) {
    const { batch, M, K, N } = sizes(a, b, transposed);
    const strides = { a: M * K, b: K * N, out: M * N };
    const second = secondOf(b, transposed.b);
    return productWasm({ out, a, M, N, K, batch, strides, transA: transposed.a, ...second });
  },
  pack([a, b], transposed) {
    const { batch, M, K, N } = sizes(a, b, transposed);
    if (batch > 1 || transposed.a) return null; // packed weights serve one product, of rows that are rows
    const layout = layoutForRows(M);
    return layout && packWeights(b, K, N, transposed.b, layout);
  },
  epilogue(out, [a, b], transposed, { weights, ...after }) {
    const { batch, M, K, N } = sizes(a, b, transposed);
    const strides = { a: M * K, b: K * N, out: M * N };
    const second = secondOf(b, transposed.b, weights);
    return productWasm({ out, a, M, N, K, batch, strides, transA: transposed.a, ...second, ...after });
  },
});

serve(linear, {
  kernel(out, [x, weight, bias]) {
    const [N, K] = weight.shape;
    return productWasm({ out, a: x, M: x.size / K, N, K, bias, ...secondOf(weight, true) });
  },
  pack([x, weight]) {
    const [N, K] = weight.shape;
    const layout = layoutForRows(x.size / K);
    return layout && packWeights(weight, K, N, true, layout);
  },
  epilogue(out, [x, weight, bias], _attrs, { weights, ...after }) {
    const [N, K] = weight.shape;
    return productWasm({
      out,
      a: x,
      M: x.size / K,
      N,
      K,
      bias,
      ...secondOf(weight, true, weights),
      ...after,
    });
  },
});

serve(frozenLinear, {
  kernel(out, ins, attrs) {
    const { x, bias, residual } = named(ins, attrs);
    const weights = attrs.weights.sealed && panelsOf(attrs.weights.sealed);
    if (!weights) return null; // float64, or made on another device
    return packedProductWasm({
      out,
      x,
      rowLength: x.shape[2],
      weights,
      M: out.shape[1],
      bias,
      biasRows: bias?.shape[1],
      biasFrom: attrs.biasFrom,
      residual,
    });
  },
});

serve(depthwiseConv, { kernel: (out, [x, weight]) => depthwiseConvWasm(out, x, weight) });
serve(depthwiseTaps, { kernel: (out, [x, dy]) => depthwiseTapsWasm(out, x, dy) });

// Attention.

serve(attention, { kernel: attentionWasm });
serve(attentionSlope, {
  kernel: (out, [dy, ...ins], { wanted, ...attrs }) => attentionGradWasm(out, dy, ins, attrs, wanted),
});
serve(channelAttention, { kernel: (out, [x], groups) => channelAttentionWasm(out, x, groups) });
serve(channelAttentionSlope, {
  kernel: (out, [dy, x], groups) => channelAttentionGradWasm(out, dy, x, groups),
});

// In place.

serve(adamW, { kernel: (_parameter, ins, numbers) => adamWWasm(ins, numbers) });
