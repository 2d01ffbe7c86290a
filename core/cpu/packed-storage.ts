import type { Device, Sealed, Storage, TensorView } from "../device.ts";
import { holderOf, rounded, type WeightFormat } from "../weight-format.ts";
import { layoutForFrozen } from "./product/choose.ts";
import { PackedWeights } from "./product/layout.ts";
import { CpuStorage } from "./storage.ts";

/** Matrices of weights as panels for product kernels, whatever the number of rows, and nothing beside them. */
export class PackedStorage implements Storage, Sealed {
  readonly dtype = "float32";
  readonly planned = false;
  readonly gone = false;
  readonly data = null;
  readonly panels: PackedWeights;
  owners = 0;

  constructor(groups: number, outputs: number, inputs: number, format: WeightFormat) {
    this.panels = new PackedWeights(groups, inputs, outputs, layoutForFrozen(format));
  }

  get device(): Device {
    return CpuStorage.device;
  }

  get sealed(): Sealed {
    return this;
  }

  get format(): WeightFormat {
    return this.panels.layout.format;
  }

  get inputs(): number {
    return this.panels.K;
  }

  get size(): number {
    const { groups, K, N } = this.panels;
    return groups * K * N;
  }

  get bytes(): number {
    return this.panels.bytes;
  }

  /** What a kernel asks for that knows no panels. */
  get address(): never {
    const { N, K } = this.panels;
    throw new Error(
      `Tensor (${N}, ${K}): sealed as ${this.format} for inference: only products of rows with it, x Wᵀ, ` +
        "and gatherRows read it",
    );
  }

  setRows(first: number, numbers: ArrayLike<number>): void {
    const { K, N } = this.panels;
    const given =
      numbers instanceof Float32Array || numbers instanceof Float64Array
        ? numbers
        : Float64Array.from(numbers);
    const room = holderOf(this.format, K);
    for (let from = 0, row = first; from < given.length; from += K, row++) {
      const kept = rounded(given.subarray(from, from + K), this.format, room);
      this.panels.setColumn(Math.floor(row / N), row % N, kept);
    }
  }

  numbers(): Float32Array {
    const { K, N } = this.panels;
    const all = new Float32Array(this.size);
    for (let at = 0, row = 0; at < all.length; at += K, row++)
      this.panels.getColumn(Math.floor(row / N), row % N, all, at);
    return all;
  }

  release(): void {
    this.panels.dispose();
  }
}

/** The panels of a packed tensor; null for any other. */
export const panelsOf = ({ storage }: TensorView): PackedWeights | null =>
  storage instanceof PackedStorage ? storage.panels : null;

/** What the plain kernels can read: packed weights are read back at each run. */
export function readable(x: TensorView): TensorView {
  const { storage, shape, dtype, size } = x;
  if (!(storage instanceof PackedStorage)) return x;
  return {
    storage,
    shape,
    dtype,
    size,
    get data() {
      return storage.numbers();
    },
  };
}
