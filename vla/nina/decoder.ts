import { sameShape, showShape, type Tensor } from "../../core/index.ts";

/**
 * The target of NinA's losses: actions moved by noise of deviation `deviation`, then clamped: clamp(a + deviation ε,
 * −1, 1). Every number has a noise of its own.
 */
export function noisyTarget(actions: Tensor, noise: Tensor, deviation: number): Tensor {
  if (!sameShape(actions.shape, noise.shape))
    throw new Error(`noisyTarget: expected noise ${showShape(actions.shape)}, got ${showShape(noise.shape)}`);
  return actions.add(noise.scale(deviation)).clamp(-1, 1);
}

/** Mean over all tokens (B, S, H) → (B, H): the only thing NinA's flows see of the features. */
export const poolTokens = (features: Tensor): Tensor => features.mean([1]);
