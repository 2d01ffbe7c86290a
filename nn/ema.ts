import {
  checkInteger,
  type HostTensor,
  type LazyTensor,
  mismatchOf,
  moveToward,
  readHost,
  refuse,
  setHost,
  type Tensor,
  toHost,
  unscoped,
} from "../core/index.ts";
import { Module } from "./module.ts";

/**
 * Share of the old average that update number `step` (from 1; 0 is taken for 1) keeps: 1 − step^(−2/3), at most 0.9999.
 * The first update keeps nothing, so the average starts as a copy of the weights.
 */
export function emaDecay(step: number): number {
  checkInteger(step, 0, "emaDecay", "step");
  return Math.min(0.9999, 1 - (1 + Math.max(0, step - 1)) ** (-2 / 3));
}

/**
 * An exponential moving average of everything in a module's state dict, frozen tensors included; integers are copied.
 * Tied tensors have one average, under all their names.
 *   average ← average − (1 − d) (average − weight)    with d = emaDecay(step)
 */
export class Ema {
  readonly #pairs: readonly { names: readonly string[]; weight: Tensor; average: Tensor }[];

  constructor(module: Module) {
    if (!(module instanceof Module)) refuse("Ema", "a Module", module);
    this.#pairs = [...module.tensors()].map(([weight, names]) => ({
      names,
      weight,
      average: unscoped(() => weight.copy()),
    }));
  }

  /** After optimiser step number `step`, counted from 1. */
  update(step: number): void {
    const share = 1 - emaDecay(step);
    for (const { weight, average } of this.#pairs) {
      if (weight.dtype === "int32" || share === 1) average.copyFrom(weight);
      else moveToward(average, weight, share);
    }
  }

  /** Exchanges weights and averages: once before a validation, once after it. */
  swap(): void {
    for (const { weight, average } of this.#pairs) {
      const kept = unscoped(() => weight.copy());
      weight.copyFrom(average);
      average.copyFrom(kept);
      kept.dispose();
    }
  }

  /** Copies of the averages under the names of the weights; from cpu. */
  stateDict(): Map<string, HostTensor> {
    return new Map(this.#pairs.flatMap(({ names, average }) => names.map((name) => [name, toHost(average)])));
  }

  /** The same, from any device. */
  async readStateDict(): Promise<Map<string, HostTensor>> {
    const read = await Promise.all(this.#pairs.map(({ average }) => readHost(average)));
    return new Map(this.#pairs.flatMap(({ names }, i) => names.map((name) => [name, read[i]])));
  }

  /**
   * Goes on from what `stateDict` gave. Throws when an entry is missing or has another shape; then nothing has changed.
   */
  load(dict: ReadonlyMap<string, HostTensor | LazyTensor>): void {
    const found = this.#pairs.map(({ names: [name], average }) => {
      const entry = dict.get(name);
      if (!entry) throw new Error(`Ema.load: expected an entry ${name}, got none`);
      const problem = mismatchOf(average, entry);
      if (problem) throw new Error(`Ema.load: ${name}: ${problem}`);
      return { name, average, entry };
    });
    for (const { name, average, entry } of found) setHost(average, entry, `Ema.load: ${name}`);
  }

  /** Gives back the memory of the averages. */
  dispose(): void {
    for (const { average } of this.#pairs) average.dispose();
  }
}
