import { type HostTensor, type LazyTensor, setHost, Tensor, toHost, unscoped } from "../core/index.ts";
import type { Module } from "./module.ts";

/**
 * Share of the old average that update number `step` (from 1) keeps: 1 − step^(−2/3), at most 0.9999. The first
 * update keeps nothing, so the average starts as a copy of the weights.
 */
export function emaDecay(step: number): number {
  return Math.min(0.9999, 1 - (1 + Math.max(0, step - 1)) ** (-2 / 3));
}

/**
 * An exponential moving average of everything in a module's state dict, frozen tensors included; integers are copied.
 *   average ← average − (1 − d) (average − weight)    with d = emaDecay(step)
 */
export class Ema {
  readonly #pairs: readonly { name: string; weight: Tensor; average: Tensor }[];

  constructor(module: Module) {
    this.#pairs = [...module.namedTensors()].map(([name, weight]) => ({
      name,
      weight,
      average: unscoped(() => Tensor.from(weight.data, weight.shape, weight.dtype)),
    }));
  }

  /** After optimiser step number `step`, counted from 1. */
  update(step: number): void {
    const share = 1 - emaDecay(step);
    for (const { weight, average } of this.#pairs) {
      const [w, a] = [weight.data, average.data];
      if (weight.dtype === "int32" || share === 1) a.set(w);
      else for (let i = 0; i < a.length; i++) a[i] -= share * (a[i] - w[i]);
    }
  }

  /** Exchanges weights and averages: once before a validation, once after it. */
  swap(): void {
    for (const { weight, average } of this.#pairs) {
      const kept = weight.data.slice();
      weight.data.set(average.data);
      average.data.set(kept);
    }
  }

  /** Copies of the averages under the names of the weights. */
  stateDict(): Map<string, HostTensor> {
    return new Map(this.#pairs.map(({ name, average }) => [name, toHost(average)]));
  }

  /** Goes on from what `stateDict` gave. Throws when an entry is missing or has another shape. */
  load(dict: ReadonlyMap<string, HostTensor | LazyTensor>): void {
    for (const { name, average } of this.#pairs) {
      const found = dict.get(name);
      if (!found) throw new Error(`Ema.load: expected an entry ${name}, got none`);
      setHost(average, found, `Ema.load: ${name}`);
    }
  }

  /** Gives back the memory of the averages. */
  dispose(): void {
    for (const { average } of this.#pairs) average.dispose();
  }
}
