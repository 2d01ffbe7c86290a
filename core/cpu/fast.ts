import type { Computation, Ready, TensorView } from "../device.ts";
import type { Expr } from "../formula/expr.ts";
import { elementwiseWasm } from "./kernels/elementwise.ts";
import type { PackedWeights } from "./product/layout.ts";

/** Faster ways to do an op than its meaning in plain TypeScript. */
export interface Fast<A> {
  /** float32 on emitted WASM SIMD code; null for a call that it does not serve. Never asked for a float64 result. */
  kernel(out: TensorView, ins: readonly TensorView[], attrs: A): Ready | null;
  /**
   * The second input laid out for the kernel, where that pays: a program does it once for weights that stay as they
   * are.
   */
  pack?(ins: readonly TensorView[], attrs: A): PackedWeights | null;
  /** The same kernel with an epilogue (an activation, a residual) in it; for ops whose kernels can end with one. */
  epilogue?(out: TensorView, ins: readonly TensorView[], attrs: A, after: Epilogue): Ready | null;
}

/** How a program changes a kernel: what is done to the result before it is stored, and how the weights lie. */
export interface Epilogue {
  /** A formula of one input. */
  readonly activation?: Expr;
  /** Added last; of the output's shape. */
  readonly residual?: TensorView;
  /** What `pack` made; read in place of the second input. */
  readonly weights?: PackedWeights;
}

const table = new Map<Computation<unknown>, Fast<unknown> | null>();

/** Registers the faster ways of an op: ops.ts lists them. */
export function serve<A>(op: Computation<A>, fast: Fast<A>): void {
  table.set(op as Computation<unknown>, fast as Fast<unknown>);
}

/** The faster ways of an op; null where there are none. Elementwise ops bring theirs with their formula. */
export function fastFor<A>(op: Computation<A>): Fast<A> | null {
  let fast = table.get(op as Computation<unknown>);
  if (fast === undefined) {
    fast = op.elementwise ? fromFormula(op.elementwise) : null;
    table.set(op as Computation<unknown>, fast);
  }
  return fast as Fast<A> | null;
}

function fromFormula(formula: Expr): Fast<unknown> {
  let make: ReturnType<typeof elementwiseWasm> | null = null;
  return {
    kernel(out, ins, attrs) {
      const params = attrs as readonly number[];
      make ??= elementwiseWasm(formula, ins.length, params.length);
      return make(out, ins, params);
    },
  };
}
