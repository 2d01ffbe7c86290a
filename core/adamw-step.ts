import { checkFinite, checkInteger, checkShare } from "./check.ts";
import { type AdamWStep, adamWWasm } from "./cpu/kernels/adamw.ts";
import { usesFastKernels } from "./cpu/plain.ts";
import { refuseInCapture } from "./recorder.ts";
import { showShape } from "./shape.ts";
import { checkTensor } from "./tensor.ts";

export type { AdamWStep };

/**
 * One AdamW step (arXiv:1711.05101, algorithm 2) in place, for n steps so far including this one:
 *   m ← β₁ m + (1 − β₁) g    v ← β₂ v + (1 − β₂) g²
 *   p ← p (1 − lr λ) − lr/(1 − β₁ⁿ) · m / (√v / √(1 − β₂ⁿ) + ε)
 * float32 runs on the WASM kernel, which rounds at each operation; everything else here, in double precision.
 */
export function adamWStep(task: AdamWStep): void {
  check(task);
  refuseInCapture("adamWStep", "update after Plan.run, as TrainingStep does");
  const fast = usesFastKernels() ? adamWWasm(task) : null;
  if (fast) fast();
  else plain(task);
}

/** The kernel works on addresses: blocks that differ would be read and written beyond their ends. */
function check(task: AdamWStep): void {
  const { parameter, gradient, firstMoment, secondMoment } = task;
  const blocks = [parameter, gradient, firstMoment, secondMoment];
  for (const x of blocks) checkTensor(x, "adamWStep");
  if (blocks.some((x) => x.size !== parameter.size || x.dtype !== parameter.dtype)) {
    const list = blocks.map((x) => `${x.dtype} ${showShape(x.shape)}`).join(", ");
    throw new Error(`adamWStep: expected parameter, gradient and moments of one size and dtype, got ${list}`);
  }
  checkFinite(task.learningRate, "adamWStep", "learningRate", 0);
  checkShare(task.beta1, "adamWStep", "beta1");
  checkShare(task.beta2, "adamWStep", "beta2");
  checkFinite(task.eps, "adamWStep", "eps", 0);
  checkFinite(task.weightDecay, "adamWStep", "weightDecay", 0);
  checkInteger(task.step, 1, "adamWStep", "step");
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
