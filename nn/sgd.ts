import {
  addInto,
  checkOptions,
  checkShare,
  noGrad,
  refuse,
  scaleInPlace,
  type Tensor,
  tidy,
} from "../core/index.ts";
import { type NamedParameters, Optimizer, type Slot } from "./optimizer.ts";

export interface SgdOptions {
  /** μ, the share of the last step's direction that the next one keeps; 0 unless given. */
  readonly momentum?: number;
  /** Looks ahead along the direction (Nesterov, 1983); needs momentum. False unless given. */
  readonly nesterov?: boolean;
  /** λ, of a penalty ½ λ p² in the loss; 0 unless given. */
  readonly weightDecay?: number;
  /** Which parameters are decayed, by name. All unless given. */
  readonly decays?: (name: string) => boolean;
}

/**
 * Stochastic gradient descent with momentum, in PyTorch's form, whose learning rate is not part of the direction. With
 * gradient g:
 *   d ← g + λ p    b ← μ b + d    p ← p − lr b, or with Nesterov's p ← p − lr (d + μ b)
 * b is 0 at first; without momentum p ← p − lr d. The learning rate is given at each step. Its state is `NAME.momentum`
 * (b, where there is momentum) and `NAME.steps`.
 */
export class SGD extends Optimizer {
  readonly #momentum: number;
  readonly #nesterov: boolean;

  constructor(parameters: NamedParameters, options: SgdOptions = {}) {
    checkOptions(options, ["momentum", "nesterov", "weightDecay", "decays"], "SGD");
    const { momentum = 0, nesterov = false, weightDecay = 0, decays } = options;
    checkShare(momentum, "SGD", "momentum");
    if (typeof nesterov !== "boolean") refuse("SGD", "nesterov to be true or false", nesterov);
    if (nesterov && momentum === 0) refuse("SGD", "momentum above 0 with nesterov", momentum);
    super("SGD", parameters, { weightDecay, decays }, momentum > 0 ? ["momentum"] : []);
    this.#momentum = momentum;
    this.#nesterov = nesterov;
  }

  protected update({ parameter, decay, kept }: Slot, gradient: Tensor, lr: number): void {
    noGrad(() =>
      tidy(() => {
        let direction = decay > 0 ? gradient.add(parameter.scale(decay)) : gradient;
        if (this.#momentum > 0) {
          scaleInPlace(kept.momentum, this.#momentum);
          addInto(kept.momentum, direction);
          direction = this.#nesterov ? direction.add(kept.momentum.scale(this.#momentum)) : kept.momentum;
        }
        addInto(parameter, direction.scale(-lr));
      }),
    );
  }
}
