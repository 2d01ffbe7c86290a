import type { AdamOptions, TriStage } from "../../nn/index.ts";

/**
 * The reference code's rule for weight decay: a parameter is left undecayed when its lower-cased name contains one of
 * four words. So LayerNorm weights named by position (`net.1.weight`) are decayed, the PLU's s, U and L too, and
 * everything named `adaln…` is not.
 */
export function isDecayed(name: string): boolean {
  const lower = name.toLowerCase();
  return !["bias", "layernorm", "ln", "norm"].some((word) => lower.includes(word));
}

export const adamWOptions: AdamOptions = {
  betas: [0.9, 0.95],
  eps: 1e-8,
  weightDecay: 0.05,
  decays: isDecayed,
};

export const learningRate: TriStage = {
  peak: 2e-5,
  totalSteps: 50_000,
  phases: [0.05, 0.1, 0.85],
  startFactor: 0.1,
  endFactor: 0.5,
};
