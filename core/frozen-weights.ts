import type { Shared } from "./device.ts";
import { type Kept, rounded, WEIGHT_BYTES, type WeightFormat } from "./weight-format.ts";

/** How frozen weights are kept. float64 serves verification. */
export type FrozenFormat = WeightFormat | "float64";

/** The arrays that hold what is kept; numbers of bfloat16 are float32 ones that end in zeros. */
const HOLDERS = {
  float64: Float64Array,
  float32: Float32Array,
  bfloat16: Float32Array,
  int8: Int8Array,
} as const;

/** What a device makes of frozen weights; null when it takes them as they are. */
type Derived = { dispose(): void } | null;

/**
 * G matrices of K inputs and N outputs that will not change any more, for `frozenLinear`. They are rounded once, from
 * float64, to what they are kept as: float32; bfloat16 with 8 bits of precision; int8 with 7, relative to the largest
 * weight of the same output. With int8, cpu rounds what it multiplies them with too, to 15 bits of the row's largest
 * number, or 12 with 4096 inputs (cpu/product/quantize.ts). Lives until `dispose`, and as long as a plan reads it.
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
  /** (groups, outputs, inputs); for int8, to be multiplied by the scale of its output. */
  #numbers: Kept["numbers"] | null;
  /** (groups, outputs) */
  readonly #scales: Float32Array;
  /** What `values` gives for int8. */
  #values: Float64Array | null = null;
  readonly #derived = new Map<(weights: FrozenWeights) => Derived, Derived>();
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
    const kept = new HOLDERS[format](matrices.length * size);
    this.#numbers = kept;
    this.#scales = new Float32Array(matrices.length * outputs);
    const given = new Float64Array(inputs);
    let [difference, total] = [0, 0];
    for (let row = 0; row < this.#scales.length; row++) {
      const matrix = matrices[Math.floor(row / outputs)];
      const from = (row % outputs) * inputs;
      for (let k = 0; k < inputs; k++) given[k] = matrix[from + k];
      const { numbers, scale } = format === "float64" ? { numbers: given, scale: 1 } : rounded(given, format);
      kept.set(numbers, row * inputs);
      this.#scales[row] = scale;
      for (let k = 0; k < inputs; k++) {
        difference += (numbers[k] * scale - given[k]) ** 2;
        total += given[k] ** 2;
      }
    }
    this.norm = Math.sqrt(total);
    this.error = total === 0 ? 0 : Math.sqrt(difference / total);
  }

  /** The numbers as they are kept, (groups, outputs, inputs): the same array at each call, not to be written to. */
  values(): Float32Array | Float64Array {
    const numbers = this.#alive();
    if (!(numbers instanceof Int8Array)) return numbers;
    if (!this.#values) {
      this.#values = new Float64Array(numbers.length);
      for (let i = 0; i < numbers.length; i++)
        this.#values[i] = numbers[i] * this.#scales[Math.floor(i / this.inputs)];
    }
    return this.#values;
  }

  /** The weights of output n of matrix g as they are kept. */
  column(g: number, n: number): Kept {
    const row = g * this.outputs + n;
    const numbers = this.#alive().subarray(row * this.inputs, (row + 1) * this.inputs);
    return { numbers, scale: this.#scales[row] };
  }

  /** What `make` makes of them, such as a device's own layout: made once, kept with them, disposed of with them. */
  derived<T extends Derived>(make: (weights: FrozenWeights) => T): T {
    let made = this.#derived.get(make);
    if (made === undefined) {
      this.#alive();
      made = make(this);
      this.#derived.set(make, made);
    }
    return made as T;
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
    for (const made of this.#derived.values()) made?.dispose();
    this.#derived.clear();
    this.#numbers = null;
    this.#values = null;
  }

  #alive(): Kept["numbers"] {
    if (!this.#numbers) throw new Error("FrozenWeights: used after they were disposed of");
    return this.#numbers;
  }
}
