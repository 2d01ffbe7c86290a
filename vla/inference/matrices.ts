/** Matrices that are multiplied out ahead of inference, in float64 on the host: row-major, (outputs, inputs). */
import type { Module } from "../../nn/index.ts";

export type Numbers = Float64Array;

/** The tensors of a module by name, as float64 numbers. Throws for a name it does not have. */
export function numbersOf(module: Module): (name: string) => Numbers {
  const tensors = new Map(module.namedTensors());
  return (name) => {
    const tensor = tensors.get(name);
    if (!tensor) throw new Error(`${module.constructor.name}: has no tensor ${name}`);
    return new Float64Array(tensor.data);
  };
}

/** A B for A (M, K) and B (K, N): four rows of B at a time, so that sums are stored a quarter as often. */
export function product(a: Numbers, b: Numbers, K: number): Numbers {
  const [M, N] = [a.length / K, b.length / K];
  const out = new Float64Array(M * N);
  const fours = K - (K % 4);
  for (let m = 0; m < M; m++) {
    const [to, from] = [m * N, m * K];
    for (let k = 0; k < fours; k += 4) {
      const [x0, x1, x2, x3] = [a[from + k], a[from + k + 1], a[from + k + 2], a[from + k + 3]];
      const b0 = k * N;
      const [b1, b2, b3] = [b0 + N, b0 + 2 * N, b0 + 3 * N];
      for (let n = 0; n < N; n++)
        out[to + n] += x0 * b[b0 + n] + x1 * b[b1 + n] + x2 * b[b2 + n] + x3 * b[b3 + n];
    }
    for (let k = fours; k < K; k++) {
      const x = a[from + k];
      for (let n = 0; n < N; n++) out[to + n] += x * b[k * N + n];
    }
  }
  return out;
}

/** A x + b */
export function affine(a: Numbers, x: Numbers, b: Numbers): Numbers {
  return product(a, x, x.length).map((value, i) => value + b[i]);
}

/** Columns `from` to `to` of a matrix of `width` columns. */
export function columns(a: Numbers, width: number, from: number, to: number): Numbers {
  const out = new Float64Array((a.length / width) * (to - from));
  for (let row = 0; row * width < a.length; row++)
    out.set(a.subarray(row * width + from, row * width + to), row * (to - from));
  return out;
}

/** Every column less its mean: outputs that LayerNorm would centre anyway. */
export function centred(a: Numbers, width: number): Numbers {
  const rows = a.length / width;
  const means = new Float64Array(width);
  for (let i = 0; i < a.length; i++) means[i % width] += a[i] / rows;
  return a.map((value, i) => value - means[i % width]);
}

/** Column j times factors[j]: a LayerNorm's gain moved into the matrix that reads its output. */
export function scaledColumns(a: Numbers, factors: Numbers): Numbers {
  return a.map((value, i) => value * factors[i % factors.length]);
}
