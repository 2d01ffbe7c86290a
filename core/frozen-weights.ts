import { layoutForFrozen } from "./cpu/product/choose.ts";
import { PackedWeights, type WeightFormat } from "./cpu/product/layout.ts";
import type { Shared } from "./device.ts";

/** How frozen weights are kept. float64 runs on the plain kernels and serves verification. */
export type FrozenFormat = WeightFormat | "float64";

/**
 * G matrices of K inputs and N outputs that will not change any more, laid out for `frozenLinear` and rounded once, from
 * float64, to what they are kept as: float32; bfloat16 with 8 bits of precision; int8 with 7, relative to the largest
 * weight of the same output. With int8 the WASM kernel rounds what it multiplies them with too, to 15 bits of the row's
 * largest number, or 12 with 4096 inputs (cpu/product/quantize.ts). Lives until `dispose`, and as long as a plan reads it.
 */
export class FrozenWeights implements Shared {
  readonly groups: number;
  readonly inputs: number;
  readonly outputs: number;
  readonly format: FrozenFormat;
  /** ‖kept − given‖ / ‖given‖ over all numbers (Frobenius). */
  readonly error: number;
  /** ‖given‖ */
  readonly norm: number;
  /** For the WASM kernels; null for float64. */
  readonly packed: PackedWeights | null;
  #values: Float64Array | null;
  #disposed = false;
  /** Who made it, until `dispose`, and the plans that read it. */
  #owners = 1;

  /** Each matrix is (outputs, inputs), row-major, as checkpoints keep a linear layer's weight. */
  constructor(
    matrices: readonly ArrayLike<number>[],
    outputs: number,
    inputs: number,
    format: FrozenFormat = "float32",
  ) {
    const size = outputs * inputs;
    for (const matrix of matrices) {
      if (matrix.length !== size)
        throw new Error(
          `FrozenWeights: expected matrices of ${outputs} × ${inputs} numbers, got ${matrix.length}`,
        );
    }
    this.groups = matrices.length;
    this.inputs = inputs;
    this.outputs = outputs;
    this.format = format;
    const given = new Float64Array(matrices.length * size);
    matrices.forEach((matrix, g) => {
      given.set(matrix, g * size);
    });
    this.packed = format === "float64" ? null : this.#pack(given, format);
    this.#values = format === "float64" ? given : null;
    let [difference, total] = [0, 0];
    const kept = this.packed ? this.#unpack(this.packed) : given;
    for (let i = 0; i < given.length; i++) {
      difference += (kept[i] - given[i]) ** 2;
      total += given[i] ** 2;
    }
    this.norm = Math.sqrt(total);
    this.error = total === 0 ? 0 : Math.sqrt(difference / total);
  }

  /** The numbers as they are kept: (groups, outputs, inputs). */
  values(): Float64Array {
    if (this.#owners === 0) throw new Error("FrozenWeights: used after they were disposed of");
    this.#values ??= this.#unpack(this.packed as PackedWeights);
    return this.#values;
  }

  /** Bytes that one pass over the weights reads. */
  get bytes(): number {
    const each = { float64: 8, float32: 4, bfloat16: 2, int8: 1 }[this.format];
    return this.groups * this.inputs * this.outputs * each;
  }

  /** Whether `dispose` was called: `frozenLinear` then refuses them. */
  get disposed(): boolean {
    return this.#disposed;
  }

  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    this.letGo();
  }

  /** Called by plans. */
  retain(): void {
    this.#owners++;
  }

  /** Called by plans. */
  letGo(): void {
    if (--this.#owners > 0) return;
    this.packed?.dispose();
    this.#values = null;
  }

  #pack(given: Float64Array, format: WeightFormat): PackedWeights {
    const { groups, inputs: K, outputs: N } = this;
    const packed = new PackedWeights(groups, K, N, layoutForFrozen(format));
    for (let row = 0; row < groups * N; row++) {
      packed.setColumn(Math.floor(row / N), row % N, given.subarray(row * K, (row + 1) * K));
    }
    return packed;
  }

  #unpack(packed: PackedWeights): Float64Array {
    const { groups, inputs: K, outputs: N } = this;
    const out = new Float64Array(groups * N * K);
    for (let row = 0; row < groups * N; row++) {
      out.set(packed.column(Math.floor(row / N), row % N), row * K);
    }
    return out;
  }
}
