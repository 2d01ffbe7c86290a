import { checkInt32, refuse } from "./check.ts";
import { onDevice } from "./device.ts";
import { derivative } from "./formula/derivative.ts";
import { Expr, inputsOf, substitute } from "./formula/expr.ts";
import { elementsOf, type Operand } from "./formula/launch.ts";
import { apply, defineOp, defineUpdate, type Op, type Sample, type Update } from "./op.ts";
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
  /** The output element from input elements x and params p. All kernels come from this, and the gradients. */
  formula(x: readonly Expr[], p: readonly Expr[]): Expr;
  /** Given where the formula's own derivative is wrong at a point, or less exact. */
  readonly backward?: Op<Params>["backward"];
  readonly samples: readonly Sample<Params>[];
  /** True when it serves int32 as well. Results that are no integers, or do not fit, are refused. */
  readonly integers?: boolean;
}

/** Defines an op whose output elements depend on one element of each input. */
export function defineElementwise(spec: Elementwise): Op<Params> {
  const element = elementOf(spec);
  return defineOp<Params>({
    ...elementwise(spec, element),
    backward: spec.backward ?? gradients(spec, element),
    samples: spec.samples.map((sample) => ({ attrs: [], ...sample })),
  });
}

const elementOf = ({
  formula,
  inputs,
  params = 0,
}: Pick<Elementwise, "formula" | "inputs" | "params">): Expr =>
  formula(
    Array.from({ length: inputs }, (_, i) => Expr.input(i)),
    Array.from({ length: params }, (_, i) => Expr.param(i)),
  );

type Named = Pick<Elementwise, "name" | "inputs" | "params" | "integers">;

/** All of an elementwise op but its gradients and samples. */
function elementwise({ name, inputs, params = 0, integers }: Named, element: Expr) {
  return {
    name,
    integers,
    shape(ins: readonly Tensor[], values: Params): Shape {
      for (let i = 0; i < params; i++) if (typeof values[i] !== "number") refuse(name, "a number", values[i]);
      let { shape } = ins[0];
      for (let i = 1; i < inputs; i++) shape = broadcastShapes(shape, ins[i].shape, name);
      return shape;
    },
    elementwise: element,
    formula(operands: readonly Operand[]): Operand {
      const shape = operands.reduce<Shape>((all, x) => broadcastShapes(all, x.shape, name), []);
      return elementsOf(element, operands, shape);
    },
    params: (values: Params) => values,
  };
}

/**
 * The gradients of an elementwise op: dy ∂f/∂x for each input is an elementwise op of dy, of those inputs that it
 * needs, and of the output where that occurs in it. It is defined when it is first asked for, and has gradients of its
 * own.
 */
function gradients(spec: Named, element: Expr): Op<Params>["backward"] {
  const { name, inputs, params } = spec;
  const slopes: (ReturnType<typeof slopeOf> | undefined)[] = [];
  return (dy, ins, y, values, wants) =>
    ins.map((x, i) => {
      if (!wants[i]) return null;
      const { op, reads } = (slopes[i] ??= slopeOf(i));
      if (!op) return reads.length > 0 ? unbroadcast(dy, x) : null;
      const all = [...ins, y, dy];
      const own = reads.map((n) => all[n]);
      return unbroadcast(apply(op, own, values), x);
    });

  /** The op for input i, and what it reads: inputs, then the output, then dy. Without an op it is dy, or nothing. */
  function slopeOf(i: number): { readonly op: Op<Params> | null; readonly reads: readonly number[] } {
    const [y, dy] = [Expr.input(inputs), Expr.input(inputs + 1)];
    const slope = derivative(element, i, dy, y);
    if (!slope) return { op: null, reads: [] };
    if (slope === dy) return { op: null, reads: [inputs + 1] };
    // dy comes first: it has the shape and the type of the result.
    const reads = inputsOf(slope).sort((a, b) => b - a);
    const places = Array.from({ length: inputs + 2 }, (_, n) => Expr.input(reads.indexOf(n)));
    const own = substitute(slope, places);
    const named = { name: `${name}Slope${inputs > 1 ? i : ""}`, inputs: reads.length, params };
    const op = { ...elementwise(named, own), backward: gradients(named, own), samples: [] };
    return { op, reads };
  }
}

/** Defines an op that overwrites its first input, element by element, with `element` of all its inputs. */
export function defineElementwiseUpdate(
  name: string,
  [inputs, params]: readonly [inputs: number, params: number],
  element: (x: readonly Expr[], p: readonly Expr[]) => Expr,
): Update<Params> {
  const shared = elementOf({ formula: element, inputs, params });
  return defineUpdate<Params>({
    name,
    updates: [0],
    elementwise: shared,
    updated: (operands) => [elementsOf(shared, operands, operands[0].shape)],
    params: (values) => values,
    samples: [
      { ins: Array.from({ length: inputs }, () => [3, 5]), attrs: Array.from({ length: params }, () => 0.3) },
    ],
  });
}

/** A gradient summed over the axes along which the input was repeated. */
export const unbroadcast = (dy: Tensor, x: Tensor): Tensor => dy.sumTo(x.shape);

/**
 * Whether an operand is a number, which is then rounded to the other's dtype. Throws if an int32 tensor cannot hold it.
 */
export function isNumber(b: Tensor | number, other: Tensor, who: string): b is number {
  if (typeof b !== "number") return false;
  if (other.dtype === "int32") checkInt32([b], who);
  return true;
}

/** An operand as a tensor: a number becomes a scalar of the other's dtype. */
export const operand = (b: Tensor | number, other: Tensor, who: string): Tensor =>
  isNumber(b, other, who) ? onDevice(other.device, () => Tensor.full([], b, other.dtype)) : b;
