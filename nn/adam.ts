import {
  adamWStep,
  checkFinite,
  checkOptions,
  checkShare,
  noGrad,
  refuse,
  type Tensor,
  tidy,
} from "../core/index.ts";
import { type NamedParameters, Optimizer, type Slot } from "./optimizer.ts";

export interface AdamOptions {
  /** Decay rates of the running means of the gradient and of its square; 0.9 and 0.999 unless given. */
  readonly betas?: readonly [number, number];
  /** Keeps the divisor from 0; 1e-8 unless given. */
  readonly eps?: number;
  /** λ; 0 for Adam and 0.01 for AdamW unless given. */
  readonly weightDecay?: number;
  /** Which parameters are decayed, by name. All unless given. */
  readonly decays?: (name: string) => boolean;
}

const OPTIONS = ["betas", "eps", "weightDecay", "decays"];

/**
 * Adam with decoupled weight decay (arXiv:1711.05101, algorithm 2). At a parameter's n-th update with gradient g:
 *   p ← p (1 − lr λ)    m ← β₁ m + (1 − β₁) g    v ← β₂ v + (1 − β₂) g²
 *   p ← p − lr/(1 − β₁ⁿ) · m / (√v / √(1 − β₂ⁿ) + ε)
 * The learning rate lr is given at each step. Its state is `NAME.m`, `NAME.v` and `NAME.steps`.
 */
export class AdamW extends Optimizer {
  readonly #settings: Settings;

  constructor(parameters: NamedParameters, options: AdamOptions = {}) {
    checkOptions(options, OPTIONS, "AdamW");
    const { weightDecay = 0.01, decays } = options;
    super("AdamW", parameters, { weightDecay, decays }, ["m", "v"]);
    this.#settings = settingsOf(options, "AdamW");
  }

  protected update(slot: Slot, gradient: Tensor, lr: number): void {
    change(slot, gradient, lr, this.#settings, slot.decay);
  }
}

/**
 * Adam (arXiv:1412.6980, algorithm 1). Weight decay, if any, is that of a penalty ½ λ p² in the loss, as in PyTorch:
 * g + λ p stands for g in the running means.
 */
export class Adam extends Optimizer {
  readonly #settings: Settings;

  constructor(parameters: NamedParameters, options: AdamOptions = {}) {
    checkOptions(options, OPTIONS, "Adam");
    const { weightDecay = 0, decays } = options;
    super("Adam", parameters, { weightDecay, decays }, ["m", "v"]);
    this.#settings = settingsOf(options, "Adam");
  }

  protected update(slot: Slot, gradient: Tensor, lr: number): void {
    const { parameter, decay } = slot;
    if (decay === 0) change(slot, gradient, lr, this.#settings, 0);
    else
      tidy(() => {
        const penalised = noGrad(() => gradient.add(parameter.scale(decay)));
        change(slot, penalised, lr, this.#settings, 0);
      });
  }
}

interface Settings {
  readonly betas: readonly [number, number];
  readonly eps: number;
}

function settingsOf({ betas = [0.9, 0.999], eps = 1e-8 }: AdamOptions, who: string): Settings {
  if (!Array.isArray(betas) || betas.length !== 2) refuse(who, "two betas", betas);
  for (const beta of betas) checkShare(beta, who, "betas");
  checkFinite(eps, who, "eps", 0);
  return { betas, eps };
}

function change(
  { parameter, kept, steps }: Slot,
  gradient: Tensor,
  lr: number,
  { betas, eps }: Settings,
  weightDecay: number,
): void {
  adamWStep({
    parameter,
    gradient,
    firstMoment: kept.m,
    secondMoment: kept.v,
    learningRate: lr,
    beta1: betas[0],
    beta2: betas[1],
    eps,
    weightDecay,
    step: steps,
  });
}
