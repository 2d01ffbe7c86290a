import type { Computation, Device, Program, Promised, Ready, Storage, TensorView, Trace } from "../device.ts";
import { ARRAYS, type DType, type TensorData } from "../dtype.ts";
import { plainKernel } from "../formula/plain.ts";
import type { WeightFormat } from "../weight-format.ts";
import { fastFor } from "./fast.ts";
import { fromFormula } from "./from-formula.ts";
import { kernelCallOf } from "./kernel-call.ts";
import { kernelCount, listKernels } from "./kernels/engine.ts";
import { PackedStorage, readable } from "./packed-storage.ts";
import { usesFastKernels } from "./plain.ts";
import { CpuProgram } from "./program.ts";
import { CpuStorage } from "./storage.ts";
import "./ops.ts";

/**
 * The CPU: numbers on one heap that WASM kernels, worker threads and the host all look at, so that everything is done
 * when a call returns. float32 runs on emitted SIMD kernels (fast.ts, ops.ts), the rest on the plain ones.
 */
export const cpu: Device = {
  name: "cpu",

  allocate(size: number, dtype: DType): Storage {
    return CpuStorage.allocated(size, dtype);
  },

  seal(groups: number, outputs: number, inputs: number, format: WeightFormat): Storage {
    return new PackedStorage(groups, outputs, inputs, format);
  },

  promise(size: number, dtype: DType): Promised {
    return CpuStorage.promised(size, dtype);
  },

  fill(storage: Storage, value: number): void {
    if (storage instanceof PackedStorage) storage.setRows(0, new Float32Array(storage.size).fill(value));
    else numbersOf(storage).fill(value);
  },

  write(storage: Storage, numbers: ArrayLike<number>): void {
    if (storage instanceof PackedStorage) storage.setRows(0, numbers);
    else numbersOf(storage).set(numbers);
  },

  copy(from: Storage, to: Storage): void {
    cpu.write(to, numbersOf(from));
  },

  async read(storage: Storage): Promise<TensorData> {
    return new ARRAYS[storage.dtype](numbersOf(storage));
  },

  prepare<A>(op: Computation<A>, out: TensorView, ins: readonly TensorView[], attrs: A): Ready {
    const before = kernelCount();
    const kernel =
      (usesFastKernels() && fastKernel(op, out, ins, attrs)) ||
      plainKernel(op, out, ins.map(readable), attrs);
    if (kernelCount() > before) listKernels(before, kernelCallOf(op, ins, attrs));
    if (!op.check) return kernel;
    return () => {
      op.check?.(ins, attrs); // at each run: a plan's numbers change from call to call
      kernel();
    };
  },

  capture(trace: Trace): Program {
    return new CpuProgram(trace);
  },
};

/** The tuned kernel where there is one, else what the formula gives; null for what only the plain kernel does. */
function fastKernel<A>(
  op: Computation<A>,
  out: TensorView,
  ins: readonly TensorView[],
  attrs: A,
): Ready | null {
  if (out.dtype === "float64") return null;
  return fastFor(op)?.kernel(out, ins, attrs) ?? fromFormula(op, out, ins, attrs);
}

CpuStorage.device = cpu;

const numbersOf = (storage: Storage): TensorData =>
  storage instanceof PackedStorage ? storage.numbers() : (storage.data as TensorData);
