import type { Ready, Step, Storage, TensorView } from "../device.ts";
import type { TensorData } from "../dtype.ts";
import { Expr, inputsOf, rebuild, substitute, type UnaryName } from "../formula/expr.ts";
import { elementsOf, Operand } from "../formula/launch.ts";
import { sameShape } from "../shape.ts";
import { type Epilogue, fastFor } from "./fast.ts";
import { callName, type KernelCall, kernelCallOf, shapesOf } from "./kernel-call.ts";
import { elementwiseWasm } from "./kernels/elementwise.ts";
import { kernelCount, listKernels } from "./kernels/engine.ts";
import { geluWithSlopeWasm } from "./kernels/gelu.ts";
import { usesFastKernels } from "./plain.ts";
import type { PackedWeights } from "./product/layout.ts";
import { CpuStorage } from "./storage.ts";

/**
 * Fewer passes over memory for a plan: elementwise calls join into one kernel, and what follows a matrix product (an
 * activation, a residual) into the product's own kernel. Where the way back needs the slope of GELU at numbers that
 * GELU was taken of, one kernel computes both. Each number still goes through the same operations, rounded to float32
 * one by one, so results stay equal bit for bit.
 */

/** A call of a plan; `ready` is called once its storages have their places. */
export interface Call {
  readonly out: TensorView;
  /** A second result, the slopes of GELU. */
  readonly slope: TensorView | null;
  readonly ins: readonly TensorView[];
  /** The product, or the last of the elementwise calls, that it was made of. */
  readonly step: Step;
  /** Weights that are packed for this call are added to `packed`. */
  ready(packed: PackedWeights[]): Ready;
}

/** More streams than this through one loop, and the loads no longer hide behind the arithmetic. */
const MAX_INPUTS = 6;

/** A plan's packed copies of weights take no more than this: large models fill the heap with the weights themselves. */
const PACKED_BYTES = 2 ** 28;

/** A call while it may still be joined with others. */
interface Draft {
  readonly out: TensorView;
  ins: readonly TensorView[];
  /** The formula of an elementwise call over `ins`. */
  formula: Expr | null;
  /** Where the slopes of GELU go; such a call is not joined with others. */
  slope: TensorView | null;
  /** The call itself when it is not elementwise, with what has been joined to it; else the last of those joined. */
  step: Step;
  epilogue: Epilogue;
  /** Names of the ops that it does, the first one first. */
  readonly names: readonly string[];
}

/**
 * Joins calls. `changing` are storages whose content differs from replay to replay; `kept` are results that must exist.
 */
export function fuse(
  steps: readonly Step[],
  changing: ReadonlySet<Storage>,
  kept: readonly TensorView[],
): Call[] {
  const single = steps.map(draftOf);
  shareGelu(single);
  const readers = new Map<Storage, number>();
  for (const { ins } of single) {
    for (const storage of new Set(ins.map((x) => x.storage)))
      readers.set(storage, (readers.get(storage) ?? 0) + 1);
  }
  const pinned = new Set(kept.map((x) => x.storage));
  const drafts = new Map<Storage, Draft>();
  for (let draft of single) {
    const { out } = draft;
    /** The call that made x, when this one is its only reader and sees the same shape. */
    const maker = (x: TensorView): Draft | undefined => {
      const made = drafts.get(x.storage);
      const oneView = draft.ins.every((other) => other === x || other.storage !== x.storage);
      const only = made && !made.slope && readers.get(x.storage) === 1 && oneView && !pinned.has(x.storage);
      return only && sameShape(made.out.shape, out.shape) && sameShape(x.shape, made.out.shape)
        ? made
        : undefined;
    };
    for (const x of new Set(draft.ins)) {
      const made = draft.formula && !draft.slope && maker(x);
      if (!made) continue;
      const joined = made.formula ? joinElementwise(made, draft, x) : joinEpilogue(made, draft, x);
      if (!joined) continue;
      drafts.delete(x.storage);
      draft = joined;
    }
    drafts.set(out.storage, draft);
  }
  return [...drafts.values()].map((draft) => callOf(draft, changing));
}

function draftOf(step: Step): Draft {
  const { op, out, ins } = step;
  const fast = op.elementwise && usesFastKernels() && [out, ...ins].every((x) => x.dtype === "float32");
  const formula = fast ? bind(op.elementwise as Expr, step.attrs as readonly number[]) : null;
  return { out, ins, formula, slope: null, step, epilogue: {}, names: [op.name] };
}

/**
 * Where formulas hold the slope of GELU at numbers that GELU was taken of before, that call makes it, and they read it.
 */
function shareGelu(drafts: readonly Draft[]): void {
  const gelus = new Map<Storage, Draft>(); // by what it was taken of
  for (const draft of drafts) {
    const { formula, out } = draft;
    if (!formula) continue;
    draft.ins.forEach((x, i) => {
      const gelu = gelus.get(x.storage);
      if (!gelu || !sameShape(x.shape, out.shape) || !sameShape(x.shape, gelu.out.shape)) return;
      const slope = draft.ins.length; // as one more input, until x is known not to be read for anything else
      const shared = rebuild(draft.formula as Expr, (e) =>
        isUnary(e, "geluSlope", i) ? Expr.input(slope) : e,
      );
      const reads = inputsOf(shared);
      if (!reads.includes(slope) || reads.includes(i)) return;
      gelu.slope ??= promised(x);
      draft.formula = substitute(shared, [...draft.ins.keys(), i].map(Expr.input));
      draft.ins = draft.ins.with(i, gelu.slope);
    });
    if (isUnary(formula, "gelu", 0)) gelus.set(draft.ins[0].storage, draft);
  }
}

const isUnary = ({ node }: Expr, name: UnaryName, input: number): boolean =>
  node.kind === "unary" && node.name === name && node.x.node.kind === "input" && node.x.node.index === input;

/** Like x, over a storage that the program gives a place in its own memory. */
function promised({ shape, dtype, size }: TensorView): TensorView {
  const storage = CpuStorage.promised(size, dtype);
  return {
    shape,
    dtype,
    size,
    storage,
    get data() {
      return storage.data as TensorData;
    },
  };
}

/** The consumer's formula with the producer's put in place of input x. */
function joinElementwise(made: Draft, draft: Draft, x: TensorView): Draft | null {
  const ins = [...new Set([...draft.ins.filter((other) => other !== x), ...made.ins])];
  if (ins.length > MAX_INPUTS) return null;
  const at = (tensor: TensorView): Expr => Expr.input(ins.indexOf(tensor));
  const inner = substitute(made.formula as Expr, made.ins.map(at));
  const formula = substitute(
    draft.formula as Expr,
    draft.ins.map((other) => (other === x ? inner : at(other))),
  );
  return { ...draft, ins, formula, names: [...made.names, ...draft.names] };
}

/** A product followed by f(x), x + r or f(x) + r. */
function joinEpilogue(made: Draft, draft: Draft, x: TensorView): Draft | null {
  if (!fastFor(made.step.op)?.epilogue || made.epilogue.activation || made.epilogue.residual) return null;
  const formula = draft.formula as Expr;
  const after = splitResidual(formula, draft.ins, x);
  if (!after || (after.residual && !sameShape(after.residual.shape, draft.out.shape))) return null;
  const ins = after.residual ? [...made.ins, after.residual] : made.ins;
  const names = [...made.names, ...draft.names];
  return { out: draft.out, ins, formula: null, slope: null, step: made.step, epilogue: after, names };
}

function splitResidual(formula: Expr, ins: readonly TensorView[], x: TensorView): Epilogue | null {
  const isX = (e: Expr): boolean => e.node.kind === "input" && ins[e.node.index] === x;
  const ofX = (e: Expr): Expr =>
    substitute(
      e,
      ins.map(() => Expr.input(0)),
    );
  const onlyX = (e: Expr): boolean => inputsOf(e).every((index) => ins[index] === x);
  if (onlyX(formula)) return { activation: ofX(formula) };
  const { node } = formula;
  if (node.kind !== "binary" || node.name !== "add") return null;
  for (const [main, other] of [
    [node.a, node.b],
    [node.b, node.a],
  ]) {
    if (!onlyX(main) || other.node.kind !== "input" || ins[other.node.index] === x) continue;
    const residual = ins[other.node.index];
    return isX(main) ? { residual } : { activation: ofX(main), residual };
  }
  return null;
}

function callOf(draft: Draft, changing: ReadonlySet<Storage>): Call {
  const { out, slope, ins, step } = draft;
  return {
    out,
    slope,
    ins,
    step: { ...step, out, ins },
    ready(packed) {
      const before = kernelCount();
      const ready = readyOf(draft, changing, packed);
      if (kernelCount() > before) listKernels(before, joinedCallOf(draft));
      return ready;
    },
  };
}

function readyOf(
  { out, slope, ins, formula, step, epilogue }: Draft,
  changing: ReadonlySet<Storage>,
  packed: PackedWeights[],
): Ready {
  if (slope) return geluWithSlopeWasm(out, slope, ins[0]);
  if (formula) return elementwiseWasm(formula, ins.length, 0)(out, ins, []) as Ready;
  const { op, ins: own, attrs } = step;
  const weights = usesFastKernels() ? packOnce(step, changing, packed) : null;
  if (!weights && !epilogue.activation && !epilogue.residual)
    return out.storage.device.prepare(op, out, own, attrs);
  const ready = fastFor(op)?.epilogue?.(out, own, attrs, weights ? { ...epilogue, weights } : epilogue);
  if (!ready) throw new Error(`Plan: ${op.name} has no kernel for what follows it`);
  return ready;
}

/** What a kernel of the call is for. Does not hold on to the numbers that the call reads. */
function joinedCallOf({ names, out, ins, formula, step, epilogue }: Draft): KernelCall {
  const [shaped, { shape }] = [shapesOf(ins), out];
  const operands = shaped.map((x, i) => Operand.input(i, x.shape));
  const name = callName(names, shaped);
  if (formula) return { name, results: () => [elementsOf(formula, operands, shape)] };
  const product = kernelCallOf(step.op, step.ins, step.attrs);
  if (names.length === 1) return product;
  const activated = epilogue.activation ?? Expr.input(0);
  const residual = operands.slice(step.ins.length);
  const after = residual.length > 0 ? activated.add(Expr.input(1)) : activated;
  return { name, results: () => [elementsOf(after, [...product.results(), ...residual], shape)] };
}

/** Lays the weights of a product out for its kernel when they stay as they are and there is room. */
function packOnce(
  { op, out, ins, attrs }: Step,
  changing: ReadonlySet<Storage>,
  packed: PackedWeights[],
): PackedWeights | null {
  const taken = packed.reduce((sum, weights) => sum + weights.bytes, 0);
  const fits = () => taken + ins[1].storage.bytes <= PACKED_BYTES;
  const fast = fastFor(op);
  if (
    !fast?.pack ||
    out.dtype !== "float32" ||
    changing.has(ins[1].storage) ||
    ins[1].storage.sealed ||
    !fits()
  )
    return null;
  const weights = fast.pack(ins, attrs);
  if (weights) packed.push(weights);
  return weights;
}

/** Params become constants, rounded to float32 as kernels receive them. */
function bind(formula: Expr, params: readonly number[]): Expr {
  return rebuild(formula, (e) =>
    e.node.kind === "param" ? new Expr({ kind: "const", value: Math.fround(params[e.node.index]) }) : e,
  );
}
