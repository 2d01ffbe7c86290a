import { type Device, GONE, type Promised, type TensorView } from "../device.ts";
import { ARRAYS, bytesOf, type DType, type TensorData } from "../dtype.ts";
import { showShape } from "../shape.ts";
import { allocate, memory, release } from "./heap.ts";

/** A block of the heap: the numbers of a tensor where kernels and threads find them. */
export class CpuStorage implements Promised {
  /** The CPU; device.ts sets it. */
  static device: Device;

  readonly dtype: DType;
  readonly size: number;
  readonly planned: boolean;
  owners = 0;
  gone = false;
  /** In bytes; negative while it is part of a program that has not been laid out yet, or was disposed of. */
  #address: number;
  #view: TensorData | null = null;

  private constructor(size: number, dtype: DType, address: number, planned: boolean) {
    this.size = size;
    this.dtype = dtype;
    this.#address = address;
    this.planned = planned;
  }

  static allocated(size: number, dtype: DType): CpuStorage {
    return new CpuStorage(size, dtype, allocate(bytesOf(dtype) * size), false);
  }

  /** One that a program gives a place in its own memory. */
  static promised(size: number, dtype: DType): CpuStorage {
    return new CpuStorage(size, dtype, -1, true);
  }

  get device(): Device {
    return CpuStorage.device;
  }

  get bytes(): number {
    return bytesOf(this.dtype) * this.size;
  }

  get address(): number {
    return this.#address;
  }

  get data(): TensorData | null {
    if (this.#view) return this.#view;
    if (this.#address < 0) return null;
    this.#view = new ARRAYS[this.dtype](memory.buffer, this.#address, this.size);
    return this.#view;
  }

  /** Called by the program that it is part of. */
  place(address: number): void {
    this.#address = address;
  }

  /** Called by the program that it is part of, when that is disposed of. */
  takeAway(): void {
    this.#address = -1;
    this.#view = null;
    this.gone = true;
  }

  release(): void {
    if (!this.planned) release(this.#address, this.bytes);
  }
}

/** Where a tensor's numbers start on the heap, in bytes. */
export function addressOf(x: TensorView): number {
  const { address } = x.storage as CpuStorage;
  if (address < 0) throw new Error(`Tensor ${showShape(x.shape)}: ${GONE}`);
  return address;
}
