import { currentDevice, type Shared, type TensorView } from "./device.ts";
import { unscoped } from "./scope.ts";
import { Tensor } from "./tensor.ts";
import { rounded, WEIGHT_BYTES, type WeightFormat } from "./weight-format.ts";

/** How frozen weights are kept. float64 serves verification. */
export type FrozenFormat = WeightFormat | "float64";

/**
 * G matrices of K inputs and N outputs that will not change any more, for `frozenLinear`. They are rounded once, from
 * float64, to what they are kept as: float32; bfloat16 with 8 bits of precision; int8 with 7, relative to the largest
 * weight of the same output. With int8, the CPU also rounds the rows that they are multiplied with: to 15 bits of a
 * row's largest number, or to 12 with 4096 inputs (cpu/product/quantize.ts). They are held once: as the panels that
 * kernels read, where the device on which they are made packs them. Lives until `dispose`, and as long as a plan reads
 * it.
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
  /** (groups, outputs, inputs), where the current device packs them; else they are on the host. */
  #sealed: Tensor | null = null;
  /** The numbers as they are kept, for those who ask. */
  #values: Float32Array | Float64Array | null = null;
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
    const shape = [matrices.length, outputs, inputs];
    const rows = matrices.length * outputs;
    if (format !== "float64" && currentDevice().seal)
      this.#sealed = unscoped(() => Tensor.sealed(shape, format));
    else this.#values = new (format === "float64" ? Float64Array : Float32Array)(rows * inputs);
    const given = new Float64Array(inputs);
    let [difference, total] = [0, 0];
    for (let row = 0; row < rows; row++) {
      const matrix = matrices[Math.floor(row / outputs)];
      const from = (row % outputs) * inputs;
      for (let k = 0; k < inputs; k++) given[k] = matrix[from + k];
      const { numbers, scale } = format === "float64" ? { numbers: given, scale: 1 } : rounded(given, format);
      this.#sealed?.writePart(row * inputs, given);
      for (let k = 0; k < inputs; k++) {
        const kept = numbers[k] * scale;
        if (this.#values) this.#values[row * inputs + k] = kept;
        difference += (kept - given[k]) ** 2;
        total += given[k] ** 2;
      }
    }
    this.norm = Math.sqrt(total);
    this.error = total === 0 ? 0 : Math.sqrt(difference / total);
  }

  /** The numbers as they are kept, (groups, outputs, inputs): the same array at each call, not to be written to. */
  values(): Float32Array | Float64Array {
    this.#checkAlive();
    this.#values ??= this.#sealed?.storage.sealed?.numbers() ?? null;
    return this.#values as Float32Array | Float64Array;
  }

  /** The sealed weights that kernels read, where there are some. */
  get sealed(): TensorView | null {
    this.#checkAlive();
    return this.#sealed;
  }

  /** Bytes that one pass over the weights reads. */
  get bytes(): number {
    return (
      this.groups * this.inputs * this.outputs * (this.format === "float64" ? 8 : WEIGHT_BYTES[this.format])
    );
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
    this.#sealed?.dispose();
    this.#values = null;
  }

  #checkAlive(): void {
    if (this.#owners === 0) throw new Error("FrozenWeights: used after they were disposed of");
  }
}
