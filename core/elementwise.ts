import { checkInt32, refuse } from "./check.ts";
import { onDevice } from "./device.ts";
import { Expr, substitute } from "./formula/expr.ts";
import { each } from "./formula/launch.ts";
import { defineOp, defineUpdate, type Op, type Sample, type Update } from "./op.ts";
import { broadcastShapes, type Shape } from "./shape.ts";
import { Tensor } from "./tensor.ts";

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
  /** True when it serves int32 as well. Results that are no integers, or do not fit, are refused. */
  readonly integers?: boolean;
}

/** Defines an op whose output elements depend on one element of each input. */
export function defineElementwise(spec: Elementwise): Op<Params> {
  const { name, inputs, params = 0 } = spec;
  const element = spec.formula(
    Array.from({ length: inputs }, (_, i) => Expr.input(i)),
    Array.from({ length: params }, (_, i) => Expr.param(i)),
  );
  return defineOp<Params>({
    name,
    integers: spec.integers,
    shape(ins, values) {
      for (let i = 0; i < params; i++) if (typeof values[i] !== "number") refuse(name, "a number", values[i]);
      let shape = ins[0].shape;
      for (let i = 1; i < inputs; i++) shape = broadcastShapes(shape, ins[i].shape, name);
      return shape;
    },
    elementwise: element,
    formula(operands) {
      const shape = operands.reduce<Shape>((all, x) => broadcastShapes(all, x.shape, name), []);
      return each(shape, (...at) =>
        substitute(
          element,
          operands.map((x) => x.stretched(...at)),
        ),
      );
    },
    params: (values) => values,
    backward: spec.backward,
    samples: spec.samples.map((sample) => ({ attrs: [], ...sample })),
  });
}

/** Defines an op that overwrites its first input, element by element, with `element` of all its inputs. */
export function defineElementwiseUpdate(
  name: string,
  [inputs, params]: readonly [inputs: number, params: number],
  element: (x: readonly Expr[], p: readonly Expr[]) => Expr,
): Update<Params> {
  const shared = element(
    Array.from({ length: inputs }, (_, i) => Expr.input(i)),
    Array.from({ length: params }, (_, i) => Expr.param(i)),
  );
  return defineUpdate<Params>({
    name,
    updates: [0],
    elementwise: shared,
    updated: (operands) => [
      each(operands[0].shape, (...at) =>
        substitute(
          shared,
          operands.map((x) => x.at(...at)),
        ),
      ),
    ],
    params: (values) => values,
    samples: [
      { ins: Array.from({ length: inputs }, () => [3, 5]), attrs: Array.from({ length: params }, () => 0.3) },
    ],
  });
}

/** A gradient summed over the axes along which the input was repeated. */
export const unbroadcast = (dy: Tensor, x: Tensor): Tensor => dy.sumTo(x.shape);

/** Whether an operand is a number, which is then rounded to the other's dtype. Throws if an int32 tensor cannot hold it. */
export function isNumber(b: Tensor | number, other: Tensor, who: string): b is number {
  if (typeof b !== "number") return false;
  if (other.dtype === "int32") checkInt32([b], who);
  return true;
}

/** An operand as a tensor: a number becomes a scalar of the other's dtype. */
export const operand = (b: Tensor | number, other: Tensor, who: string): Tensor =>
  isNumber(b, other, who) ? onDevice(other.device, () => Tensor.full([], b, other.dtype)) : b;
