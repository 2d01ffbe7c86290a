import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type HostTensor, readSafetensors, Tensor } from "../../../core/index.ts";
import { inDType, type Module } from "../../../nn/index.ts";
import type { Worst } from "../florence2/worst.ts";

/** float32: the fast kernels, judged by the manifest's tolerances. float64: the plain ones, judged to rounding. */
export type Precision = "float32" | "float64";

/** Deviation of the reference's own float32 run. */
export type Deviation = Readonly<Record<string, { abs: number } | number | undefined>>;

/** What the manifest says about one case; other fields depend on the kind. */
export interface GoldenCase {
  readonly name: string;
  readonly kind: string;
  readonly file: string;
  readonly measured_f32_vs_f64?: Deviation;
}

/** Reads `manifest.json` of a folder of goldens. */
export function readManifest(dir: string): readonly GoldenCase[] {
  const manifest: unknown = JSON.parse(readFileSync(join(dir, "manifest.json"), "utf8"));
  const cases = (manifest as { cases?: unknown }).cases;
  if (!Array.isArray(cases)) throw new Error(`${dir}/manifest.json: expected a list "cases"`);
  const nameless = cases.findIndex((one) => typeof one?.name !== "string" || typeof one?.kind !== "string");
  if (nameless !== -1) throw new Error(`${dir}/manifest.json: expected name and kind of case ${nameless}`);
  return cases as GoldenCase[];
}

/** The tensors of one golden file. */
export class Golden {
  readonly tensors: ReadonlyMap<string, HostTensor>;
  readonly #file: string;

  constructor(dir: string, file: string) {
    this.#file = file;
    this.tensors = readSafetensors(join(dir, file));
  }

  has(name: string): boolean {
    return this.tensors.has(name);
  }

  host(name: string): HostTensor {
    const found = this.tensors.get(name);
    if (!found) throw new Error(`${this.#file}: no tensor ${name}`);
    return found;
  }

  /** The numbers of a floating-point tensor. */
  numbers(name: string): Float32Array | Float64Array {
    const { data, dtype } = this.host(name);
    if (!(data instanceof Float32Array || data instanceof Float64Array))
      throw new Error(`${this.#file}: ${name} holds ${dtype}, expected F32 or F64`);
    return data;
  }

  tensor(name: string, dtype: Precision): Tensor {
    return Tensor.from(this.numbers(name), this.host(name).shape, dtype);
  }

  /** Names with a prefix, cut off. */
  names(prefix: string): string[] {
    return [...this.tensors.keys()]
      .filter((name) => name.startsWith(prefix))
      .map((n) => n.slice(prefix.length));
  }

  /** Builds a module in the given precision and fills it with the tensors under a prefix. */
  load<M extends Module>(make: () => M, dtype: Precision, prefix: string): M {
    return inDType(dtype, make).load(this.tensors, { prefix });
  }
}

/** The largest absolute value. */
export const size = (values: ArrayLike<number>): number => {
  let largest = 0;
  for (let i = 0; i < values.length; i++) largest = Math.max(largest, Math.abs(values[i]));
  return largest;
};

/** `factor` relative to numbers above 1, absolute below. */
export const scaled = (factor: number, reference: ArrayLike<number>): number =>
  factor * Math.max(1, size(reference));

/** What the reference's own float32 run deviates by; 0 where the manifest does not say. */
export function measured(one: GoldenCase, name: string): number {
  const deviation = one.measured_f32_vs_f64?.[name];
  return typeof deviation === "number" ? deviation : (deviation?.abs ?? 0);
}

/** float64 against float64: products and sums in another order. */
export const FLOAT64 = 1e-10;
/** float64 against a float64 result that was stored as float32. */
export const STORED_AS_FLOAT32 = 2e-7;

/**
 * A result against the golden one. float32 may be off by `factor`, or by four times what the reference's own float32
 * run is off.
 */
export function compareOutput(
  name: string,
  got: Tensor,
  factor: number,
  golden: Golden,
  one: GoldenCase,
  precision: Precision,
  worst: Worst,
): void {
  const expected = golden.numbers(`out64.${name}`);
  const tolerance =
    precision === "float64"
      ? scaled(FLOAT64, expected)
      : Math.max(scaled(factor, expected), 4 * measured(one, `out.${name}`));
  worst.compare(`${precision} ${name}`, got.data, expected, tolerance);
}
