import { grad, type Tensor } from "../../../core/index.ts";
import { AdamW } from "../../../nn/index.ts";
import { isDecayed } from "../../../vla/nina/training.ts";
import type { Worst } from "../florence2/worst.ts";
import { FLOAT64, type Golden, type Precision, STORED_AS_FLOAT32, scaled } from "./golden.ts";

/** Optimiser steps on one batch, as the manifest describes them. */
export interface AdamBlock {
  readonly lrs: readonly number[];
  readonly betas: readonly [number, number];
  readonly eps: number;
  readonly weight_decay: number;
  /** Loss before each step. */
  readonly losses: readonly number[];
  readonly groups: { readonly decay: readonly string[]; readonly no_decay: readonly string[] };
}

/**
 * Takes the steps and compares losses and parameters. Adam divides a gradient by its own size, so where the true
 * gradient is (nearly) zero it makes full steps of rounding noise: such entries may differ by the sum of the learning
 * rates in each direction. Parameters without a gradient must not move at all.
 */
export function compareAdam(
  block: AdamBlock,
  named: readonly (readonly [string, Tensor])[],
  loss: () => Tensor,
  golden: Golden,
  without: readonly string[],
  precision: Precision,
  worst: Worst,
): void {
  const { lrs, betas, eps, weight_decay: weightDecay } = block;
  const optimizer = new AdamW(named, { betas, eps, weightDecay, decays: isDecayed });
  expectNames("decayed", optimizer.groups.decay, block.groups.decay);
  expectNames("undecayed", optimizer.groups.noDecay, block.groups.no_decay);
  const before = new Map(named.map(([name, p]) => [name, p.toArray()]));

  lrs.forEach((lr, step) => {
    const value = loss();
    const expected = block.losses[step];
    const tolerance = (precision === "float64" ? FLOAT64 : 1e-5) * Math.max(1, Math.abs(expected));
    worst.compare(`${precision} loss of step ${step}`, value.data, [expected], tolerance);
    optimizer.step(grad(value, optimizer.parameters), lr);
  });

  const travel = 2 * lrs.reduce((sum, lr) => sum + lr, 0);
  for (const [name, parameter] of named) {
    if (without.includes(name)) {
      worst.compare(`${precision} unmoved ${name}`, parameter.data, before.get(name) ?? [], Number.MIN_VALUE);
      continue;
    }
    const [expected, gradient] = [golden.numbers(`adam.${name}`), golden.numbers(`grad.${name}`)];
    const entries = [...gradient.keys()];
    const clear = entries.filter((i) => Math.abs(gradient[i]) > 1e-6);
    const noisy = entries.filter((i) => Math.abs(gradient[i]) <= 1e-6);
    const pick = (values: ArrayLike<number>, at: number[]): number[] => at.map((i) => values[i]);
    const exact = precision === "float64" ? scaled(STORED_AS_FLOAT32, expected) : 2e-6;
    worst.compare(`${precision} adam ${name}`, pick(parameter.data, clear), pick(expected, clear), exact);
    worst.compare(`${precision} adam ~0 ${name}`, pick(parameter.data, noisy), pick(expected, noisy), travel);
  }
  optimizer.dispose();
}

function expectNames(what: string, got: readonly string[], expected: readonly string[]): void {
  const [ours, theirs] = [[...got].sort(), [...expected].sort()];
  const odd = [...ours.filter((n) => !theirs.includes(n)), ...theirs.filter((n) => !ours.includes(n))];
  if (odd.length > 0)
    throw new Error(`${what} parameters differ from the reference: ${odd.slice(0, 5).join(", ")}`);
}
