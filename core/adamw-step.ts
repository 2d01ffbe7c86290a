import { type AdamWStep, adamWWasm } from "./kernels/wasm/adamw.ts";
import { usesFastKernels } from "./op.ts";

export type { AdamWStep };

/**
 * One AdamW step (arXiv:1711.05101, algorithm 2) in place, for n steps so far including this one:
 *   m ← β₁ m + (1 − β₁) g    v ← β₂ v + (1 − β₂) g²
 *   p ← p (1 − lr λ) − lr/(1 − β₁ⁿ) · m / (√v / √(1 − β₂ⁿ) + ε)
 * float32 runs on the WASM kernel, which rounds at each operation; everything else here, in double precision.
 */
export function adamWStep(task: AdamWStep): void {
  const fast = usesFastKernels() ? adamWWasm(task) : null;
  if (fast) fast();
  else plain(task);
}

function plain(task: AdamWStep): void {
  const { learningRate, beta1, beta2, eps, step } = task;
  const [p, g] = [task.parameter.data, task.gradient.data];
  const [m, v] = [task.firstMoment.data, task.secondMoment.data];
  const kept = 1 - learningRate * task.weightDecay;
  const rate = learningRate / (1 - beta1 ** step);
  const root = 1 / Math.sqrt(1 - beta2 ** step);
  for (let i = 0; i < p.length; i++) {
    m[i] = beta1 * m[i] + (1 - beta1) * g[i];
    v[i] = beta2 * v[i] + (1 - beta2) * g[i] * g[i];
    p[i] = kept * p[i] - (rate * m[i]) / (Math.sqrt(v[i]) * root + eps);
  }
}
