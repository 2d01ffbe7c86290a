/** For which call a kernel was compiled: for those who study it (core/kernel-list.ts). */
import type { Computation, Shaped } from "../device.ts";
import type { Operand } from "../formula/launch.ts";
import { resultsOf } from "../formula/plain.ts";
import { showShape } from "../shape.ts";

export interface KernelCall {
  readonly name: string;
  /** What it computes. Made when somebody asks: that of a large triangular system has thousands of launches. */
  results(): readonly Operand[];
}

/** The call of an op. Does not hold on to the inputs. */
export function kernelCallOf<A>(op: Computation<A>, ins: readonly Shaped[], attrs: A): KernelCall {
  const shaped = shapesOf(ins);
  return { name: callName([op.name], shaped), results: () => resultsOf(op, shaped, attrs) };
}

/** Shapes alone, without the numbers behind them. */
export const shapesOf = (ins: readonly Shaped[]): Shaped[] => ins.map(({ shape, size }) => ({ shape, size }));

/** "linear, gelu (4, 8) (16, 8) (16)" */
export const callName = (ops: readonly string[], ins: readonly Shaped[]): string =>
  [ops.join(", "), ...ins.map(({ shape }) => showShape(shape))].join(" ");
