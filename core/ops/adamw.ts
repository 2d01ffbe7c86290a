import { checkFinite, checkInteger, checkShare } from "../check.ts";
import { each } from "../formula/launch.ts";
import { defineUpdate, sample, update } from "../op.ts";
import type { Tensor } from "../tensor.ts";

export interface AdamWStep {
  /** Updated in place, like both moments; all four have the same shape. */
  readonly parameter: Tensor;
  readonly gradient: Tensor;
  readonly firstMoment: Tensor;
  readonly secondMoment: Tensor;
  readonly learningRate: number;
  readonly beta1: number;
  readonly beta2: number;
  readonly eps: number;
  readonly weightDecay: number;
  /** Steps done including this one, from 1. */
  readonly step: number;
}

/** Its attributes are its params. */
export const op = defineUpdate<readonly number[]>({
  name: "adamWStep",
  updates: [2, 3, 0],
  params: (numbers) => numbers,
  updated([parameter, gradient, first, second], _numbers, param) {
    const [keep, beta1, rest1, beta2, rest2, rate, correction, eps] = Array.from({ length: 8 }, (_, i) =>
      param(i),
    );
    const { size } = parameter;
    const [p, g, m, v] = [parameter, gradient, first, second].map((x) => x.as([size]));
    const mean = each([size], (i) => beta1.mul(m.at(i)).add(rest1.mul(g.at(i))));
    const square = each([size], (i) => beta2.mul(v.at(i)).add(rest2.mul(g.at(i)).mul(g.at(i))));
    const value = each([size], (i) =>
      keep.mul(p.at(i)).sub(rate.mul(mean.at(i)).div(square.at(i).sqrt().mul(correction).add(eps))),
    );
    return [mean, square, value];
  },
  samples: [
    {
      ...sample([2, 3], [2, 3], [2, 3], [2, 3]),
      attrs: [0.99, 0.9, 0.1, 0.95, 0.05, 0.02, 4, 1e-3],
      range: [0, 1],
    },
  ],
});

/**
 * One AdamW step (arXiv:1711.05101, algorithm 2) in place, for n steps so far including this one:
 *   m ← β₁ m + (1 − β₁) g    v ← β₂ v + (1 − β₂) g²
 *   p ← p (1 − lr λ) − lr/(1 − β₁ⁿ) · m / (√v / √(1 − β₂ⁿ) + ε)
 */
export function adamWStep(task: AdamWStep): void {
  const { parameter, gradient, firstMoment, secondMoment, learningRate, beta1, beta2, eps, step } = task;
  checkFinite(learningRate, "adamWStep", "learningRate", 0);
  checkShare(beta1, "adamWStep", "beta1");
  checkShare(beta2, "adamWStep", "beta2");
  checkFinite(eps, "adamWStep", "eps", 0);
  checkFinite(task.weightDecay, "adamWStep", "weightDecay", 0);
  checkInteger(step, 1, "adamWStep", "step");
  const rate = learningRate / (1 - beta1 ** step);
  const correction = 1 / Math.sqrt(1 - beta2 ** step);
  const keep = 1 - learningRate * task.weightDecay;
  update(
    op,
    [parameter, gradient, firstMoment, secondMoment],
    [keep, beta1, 1 - beta1, beta2, 1 - beta2, rate, correction, eps],
  );
}
