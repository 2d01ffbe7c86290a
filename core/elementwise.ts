import { compileRow, Expr } from "./expr.ts";
import { elementwiseWasm } from "./kernels/wasm/elementwise.ts";
import { defineOp, type Op, type Sample } from "./op.ts";
import { broadcastShapes, broadcastStrides, eachRow } from "./shape.ts";
import type { Tensor } from "./tensor.ts";

/** Numbers given at each call, such as the bounds of `clamp`. */
export type Params = readonly number[];

export interface Elementwise {
  readonly name: string;
  /** How many tensors it takes; their shapes broadcast. */
  readonly inputs: number;
  /** How many numbers it takes beside them. */
  readonly params?: number;
  /** The output element from input elements x and params p. All kernels come from this. */
  formula(x: readonly Expr[], p: readonly Expr[]): Expr;
  backward: Op<Params>["backward"];
  readonly samples: readonly Sample<Params>[];
}

/** Defines an op whose output elements depend on one element of each input. */
export function defineElementwise(spec: Elementwise): Op<Params> {
  const { name, inputs, params = 0 } = spec;
  const formula = spec.formula(
    Array.from({ length: inputs }, (_, i) => Expr.input(i)),
    Array.from({ length: params }, (_, i) => Expr.param(i)),
  );
  const row = compileRow(formula, inputs, params);
  const wasm = elementwiseWasm(formula, inputs, params);
  return defineOp<Params>({
    name,
    shape(ins) {
      let shape = ins[0].shape;
      for (let i = 1; i < inputs; i++) shape = broadcastShapes(shape, ins[i].shape, name);
      return shape;
    },
    kernels: {
      js(out, ins, values) {
        const strides = ins.map((x) => broadcastStrides(x.shape, out.shape));
        const inner = strides.map((s) => s.at(-1) ?? 0);
        const data = ins.map((x) => x.data);
        eachRow(out.shape, strides, (at, count, starts) =>
          row(out.data, at, count, data, starts, inner, values),
        );
      },
      wasm,
    },
    formula,
    backward: spec.backward,
    samples: spec.samples.map((sample) => ({ attrs: [], ...sample })),
  });
}

/** A gradient summed over the axes along which the input was repeated. */
export const unbroadcast = (dy: Tensor, x: Tensor): Tensor => dy.sumTo(x.shape);
