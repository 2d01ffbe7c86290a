import type { WeightFormat } from "./kernels/wasm/streamed.ts";
import { TILES, withTile } from "./kernels/wasm/tile.ts";
import { type TiledWeights, tileWeights } from "./kernels/wasm/tiled.ts";
import { memory } from "./memory.ts";
import { Scope } from "./scope.ts";
import { Tensor } from "./tensor.ts";

/** Narrow panels: with few rows, more of them share one pass over the weights. */
const PANELS = TILES[0];
const WIDTH = 4 * PANELS.vectors;

/** How frozen weights are kept. float64 runs on the plain kernels and serves verification. */
export type FrozenFormat = WeightFormat | "float64";

/**
 * G matrices of K inputs and N outputs that will not change any more, laid out for `frozenLinear` and rounded once, from
 * float64, to what they are kept as: float32; bfloat16 with 8 bits of precision; int8 with 7, relative to the largest
 * weight of the same output. Lives until `dispose`.
 */
export class FrozenWeights {
  readonly groups: number;
  readonly inputs: number;
  readonly outputs: number;
  readonly format: FrozenFormat;
  /** ‖kept − given‖ / ‖given‖ over all numbers (Frobenius). */
  readonly error: number;
  /** ‖given‖ */
  readonly norm: number;
  /** For the WASM kernels: all groups side by side, each filled up to whole panels; null for float64. */
  readonly packed: TiledWeights | null;
  #values: Float64Array | null;

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
    return this.#values ?? (this.#values = this.#unpack(this.packed as TiledWeights));
  }

  /** Bytes that one pass over the weights reads. */
  get bytes(): number {
    const each = { float64: 8, float32: 4, bfloat16: 2, int8: 1 }[this.format];
    return this.groups * this.inputs * this.outputs * each;
  }

  dispose(): void {
    this.packed?.dispose();
  }

  #pack(given: Float64Array, format: WeightFormat): TiledWeights {
    using _ = new Scope();
    const { groups, inputs: K, outputs: N } = this;
    const columns = this.#columns();
    const padded = Tensor.zeros([groups * columns, K]);
    for (let g = 0; g < groups; g++) {
      padded.data.set(given.subarray(g * N * K, (g + 1) * N * K), g * columns * K);
    }
    return withTile(PANELS, () => tileWeights(padded, K, groups * columns, true, format));
  }

  /** Outputs of one group, filled up to whole panels. */
  #columns(): number {
    return Math.ceil(this.outputs / WIDTH) * WIDTH;
  }

  /** Reads the packed layout back. */
  #unpack({ address, scales, format }: TiledWeights): Float64Array {
    const { groups, inputs: K, outputs: N } = this;
    const [columns, total] = [this.#columns(), groups * this.#columns()];
    const out = new Float64Array(groups * N * K);
    const { buffer } = memory;
    const floats = new Float32Array(buffer, address, format === "float32" ? total * K : 0);
    const halves = new Uint16Array(buffer, address, format === "bfloat16" ? total * K : 0);
    const bytes = new Int8Array(buffer, address, format === "int8" ? total * K : 0);
    const scale = new Float32Array(buffer, scales, format === "int8" ? total : 0);
    const wide = new Float32Array(1);
    const bits = new Uint32Array(wide.buffer);
    for (let row = 0; row < groups * N; row++) {
      const n = Math.floor(row / N) * columns + (row % N);
      const j = n % WIDTH;
      const panel = Math.floor(n / WIDTH) * K * WIDTH;
      const place = panel + (format === "bfloat16" ? (j & ~7) + 2 * (j & 3) + ((j >> 2) & 1) : j);
      for (let k = 0; k < K; k++) {
        const at = place + k * WIDTH;
        if (format === "float32") out[row * K + k] = floats[at];
        else if (format === "int8") out[row * K + k] = bytes[at] * scale[n];
        else {
          bits[0] = halves[at] << 16;
          out[row * K + k] = wide[0];
        }
      }
    }
    return out;
  }
}
