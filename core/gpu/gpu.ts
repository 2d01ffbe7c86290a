import type { Mode } from "./modes.ts";

/** A kernel in the language of GPU.js: each call computes `size` numbers, one for each `this.thread.x`. */
export interface KernelText {
  /** For errors and profiles, such as "softmax (3, 5), launch 2 of 3". */
  readonly name: string;
  /** `function (a0, a1, p0) { … return number; }`: arrays first, then numbers that change from call to call. */
  readonly source: string;
  /** Functions that the source calls, each as `function name(x) { … }` of numbers. */
  readonly functions: readonly string[];
  /** How many numbers each of its arrays holds: GPU.js compiles them in. */
  readonly arrays: readonly number[];
  readonly size: number;
}

/** Where a block of float32 numbers lies on the device; given out by whoever calls `Gpu`. */
export type Slot = number;

/** Totals since the device was opened. */
export interface GpuUsage {
  /** Kernels compiled; equal texts count once. */
  readonly kernels: number;
  /** Milliseconds that the first calls of these kernels took. */
  readonly compileMs: number;
  readonly launches: number;
  /** Bytes brought to the device, and back. */
  readonly uploaded: number;
  readonly downloaded: number;
  /** Blocks that are alive, and their bytes. */
  readonly slots: number;
  readonly bytes: number;
}

/** Of a device that has done nothing. */
export const NO_USAGE: GpuUsage = {
  kernels: 0,
  compileMs: 0,
  launches: 0,
  uploaded: 0,
  downloaded: 0,
  slots: 0,
  bytes: 0,
};

/**
 * What the device asks of GPU.js (gpu-js.ts), or of a GPU.js that runs elsewhere. Calls take effect in the order in
 * which they are made, and need not be done when they return: what fails throws at the latest at the next `read`.
 */
export interface Gpu {
  readonly mode: Mode;
  /** What really computes, such as "NVIDIA H100" or "SwiftShader". */
  readonly driver: string;
  /** Copies numbers to a slot that is not in use. */
  upload(to: Slot, numbers: Float32Array): void;
  /** Runs a kernel: its result takes a slot that is not in use. */
  launch(kernel: KernelText, to: Slot, arrays: readonly Slot[], params: readonly number[]): void;
  free(slot: Slot): void;
  /** The numbers of a slot. Rejects when anything before has failed. */
  read(slot: Slot): Promise<Float32Array>;
  usage(): GpuUsage;
  /** Frees everything. */
  close(): Promise<void>;
}
