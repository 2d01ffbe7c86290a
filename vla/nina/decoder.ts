import type { Tensor } from "../../core/index.ts";

/** The target of NinA's losses: actions moved by noise of deviation `deviation`, then clamped: clamp(a + deviation ε, −1, 1). */
export const perturb = (actions: Tensor, noise: Tensor, deviation: number): Tensor =>
  actions.add(noise.scale(deviation)).clamp(-1, 1);

/** Mean over all tokens (B, S, H) → (B, H): the only thing NinA's flows see of the features. */
export const poolTokens = (features: Tensor): Tensor => features.mean([1]);
