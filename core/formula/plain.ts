/** The plain kernel of an op: its formula, compiled once for each combination of shapes. */
import type { Computation, Ready, Shaped, TensorView } from "../device.ts";
import type { DType, TensorData } from "../dtype.ts";
import { type Shape, sameShape } from "../shape.ts";
import { Expr } from "./expr.ts";
import { type Compiled, compile } from "./js.ts";
import { Operand } from "./launch.ts";

/** What an op's formula makes, for inputs of these shapes: its output, or what the inputs become that it overwrites. */
export function resultsOf<A>(op: Computation<A>, ins: readonly Shaped[], attrs: A): readonly Operand[] {
  const operands = ins.map((x, i) => Operand.input(i, x.shape));
  if (op.updated) return op.updated(operands, attrs, Expr.param);
  if (!op.formula) throw new Error(`${op.name}: has no formula`);
  const hosted = op.hosted?.(ins, attrs) ?? [];
  const all = [...operands, ...hosted.map(({ shape }, i) => Operand.input(ins.length + i, shape))];
  return [op.formula(all, attrs, Expr.param)];
}

/** Combinations that are kept for an op; programs use a few, random tests thousands. */
const MOST = 1000;

/** The compiled kernels of an op. */
interface Known {
  readonly byKey: Map<string, readonly Compiled[]>;
  /** The last call, since the next one is often like it: comparing takes less time than making a key. */
  last: Call | null;
}

/** All that a printed formula depends on, and the kernels. Ops own their attributes, which never change. */
interface Call {
  readonly dtypes: readonly DType[];
  readonly shapes: readonly Shape[];
  readonly structure: unknown;
  readonly kernels: readonly Compiled[];
}

const compiled = new WeakMap<object, Known>();

/** Computes an op's output on the plain kernel. */
export function plainKernel<A>(
  op: Computation<A>,
  out: TensorView,
  ins: readonly TensorView[],
  attrs: A,
): Ready {
  const run = kernelsOf(op, out, ins, attrs);
  return () => {
    const data: TensorData[] = ins.map((x) => x.data);
    if (op.hosted) for (const { numbers } of op.hosted(ins, attrs)) data.push(numbers());
    let params = op.params?.(attrs) ?? NONE;
    // As fast kernels receive them.
    if (params.length > 0 && out.dtype === "float32") params = params.map(Math.fround);
    if (op.updates) replace(op.updates, run, data, params);
    else run[0](out.data, data, params);
  };
}

function kernelsOf<A>(
  op: Computation<A>,
  out: TensorView,
  ins: readonly TensorView[],
  attrs: A,
): readonly Compiled[] {
  let known = compiled.get(op);
  if (!known) compiled.set(op, (known = { byKey: new Map(), last: null }));
  const { byKey, last } = known;
  const structure = structureOf(op, attrs);
  if (last && !op.hosted && isLike(last, out, ins, structure)) return last.kernels;
  const key = keyOf(op, out, ins, attrs);
  let kernels = byKey.get(key);
  const dtypes = [out.dtype, ...ins.map((x) => x.dtype)];
  if (!kernels) {
    if (byKey.size === MOST) byKey.clear();
    kernels = resultsOf(op, ins, attrs).map((result) => compile(result, dtypes, op.name));
    byKey.set(key, kernels);
  }
  known.last = { dtypes, shapes: ins.map((x) => x.shape), structure, kernels };
  return kernels;
}

function isLike(call: Call, out: TensorView, ins: readonly TensorView[], structure: unknown): boolean {
  const { dtypes, shapes } = call;
  if (shapes.length !== ins.length || dtypes[0] !== out.dtype) return false;
  for (let i = 0; i < ins.length; i++)
    if (dtypes[i + 1] !== ins[i].dtype || !sameShape(shapes[i], ins[i].shape)) return false;
  return sameData(call.structure, structure);
}

/** All are computed before the first is overwritten. */
function replace(
  updates: readonly number[],
  kernels: readonly Compiled[],
  data: readonly TensorData[],
  params: readonly number[],
): void {
  const made = kernels.map((kernel, i) => {
    const to = new Float64Array(data[updates[i]].length);
    kernel(to, data, params);
    return to;
  });
  made.forEach((numbers, i) => {
    data[updates[i]].set(numbers);
  });
}

const NONE: readonly number[] = [];

/** Equal for calls of an op that one printed formula serves. */
export function keyOf<A>(op: Computation<A>, out: TensorView, ins: readonly TensorView[], attrs: A): string {
  let key: string = out.dtype;
  for (const x of ins) {
    key += x.dtype;
    for (const length of x.shape) key += `,${length}`;
  }
  if (op.hosted) for (const { shape } of op.hosted(ins, attrs)) key += `;${shape}`;
  const structure = structureOf(op, attrs);
  return structure === undefined ? key : `${key} ${textOf(structure)}`;
}

const structureOf = <A>(op: Computation<A>, attrs: A): unknown =>
  op.structure ? op.structure(attrs) : op.params ? undefined : attrs;

/** Whether plain data is equal. */
function sameData(a: unknown, b: unknown): boolean {
  if (Object.is(a, b)) return true;
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return false;
  for (const name in a)
    if (!sameData((a as Record<string, unknown>)[name], (b as Record<string, unknown>)[name])) return false;
  for (const name in b) if (!(name in a)) return false;
  return true;
}

/** Plain data as text, in less time than JSON takes. */
function textOf(data: unknown): string {
  if (typeof data !== "object" || data === null) return `${data}`;
  let text = "(";
  for (const name in data) text += `${name} ${textOf((data as Record<string, unknown>)[name])},`;
  return `${text})`;
}
