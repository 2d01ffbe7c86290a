import type { Device, Promised } from "../device.ts";
import type { DType } from "../dtype.ts";
import type { Slot } from "./gpu.ts";

/** A result on the device. Nothing is ever written to it again, so several storages may hold it. */
export class Result {
  readonly slot: Slot;
  readonly #free: (slot: Slot) => void;
  #holders = 0;

  /** `free` is called when nobody holds it any more. */
  constructor(slot: Slot, free: (slot: Slot) => void) {
    this.slot = slot;
    this.#free = free;
  }

  hold(): this {
    this.#holders++;
    return this;
  }

  letGo(): void {
    if (--this.#holders === 0) this.#free(this.slot);
  }
}

/**
 * What a tensor looks at: the result that was computed last. Work in place puts another one there. A GPU has no
 * integers, so int32 storages keep their numbers on the host, where row numbers are checked, and a result with the same
 * numbers as soon as a kernel reads them. Integers that a GPU has computed, such as those of argmax, are not on the
 * host: nobody checks them, and they are exact up to 2²⁴.
 */
export class GpuStorage implements Promised {
  readonly device: Device;
  readonly dtype: DType;
  readonly size: number;
  readonly planned: boolean;
  owners = 0;
  gone = false;
  /** The numbers of an int32 storage, unless the GPU made them. */
  host: Int32Array | null = null;
  #result: Result | null = null;

  constructor(device: Device, size: number, dtype: DType, planned: boolean) {
    this.device = device;
    this.size = size;
    this.dtype = dtype;
    this.planned = planned;
  }

  /** On the device: nothing while no kernel has needed it. */
  get bytes(): number {
    return 4 * this.size;
  }

  /** The host cannot look at a device's memory. */
  get data(): null {
    return null;
  }

  get result(): Result | null {
    return this.#result;
  }

  /** Puts a result in the place of what was there. */
  take(result: Result | null): void {
    result?.hold();
    this.#result?.letGo();
    this.#result = result;
  }

  /** Takes what another storage holds. */
  share(from: GpuStorage): void {
    this.host = from.host?.slice() ?? null;
    this.take(from.result);
  }

  release(): void {
    if (!this.planned) this.take(null);
  }

  /** Called by the program that it is part of, when that is disposed of. */
  takeAway(): void {
    this.take(null);
    this.gone = true;
  }
}
