import { Tensor } from "../core/index.ts";
import { Bijector, type Mapped } from "./bijector.ts";

/**
 * Bijectors one after the other:
 *   z = fₙ(… f₂(f₁(x)))    log |det J| = Σᵢ log |det Jᵢ|
 */
export class Chain extends Bijector {
  layers: Bijector[];

  constructor(layers: Bijector[]) {
    super();
    this.layers = layers;
  }

  forward(x: Tensor, condition?: Tensor): Mapped {
    return compose(forwardSteps(this.layers, x, condition), x);
  }

  inverse(z: Tensor, condition?: Tensor): Mapped {
    return compose(inverseSteps(this.layers, z, condition), z);
  }
}

/** What each layer made of its input, first layer first. */
export function forwardSteps(layers: readonly Bijector[], x: Tensor, condition?: Tensor): Mapped[] {
  let input = x;
  return layers.map((layer) => {
    const step = layer.forward(input, condition);
    input = step.out;
    return step;
  });
}

/** What each layer's inverse made of its input, last layer first. */
export function inverseSteps(layers: readonly Bijector[], z: Tensor, condition?: Tensor): Mapped[] {
  let input = z;
  return layers.toReversed().map((layer) => {
    const step = layer.inverse(input, condition);
    input = step.out;
    return step;
  });
}

/** The last output and the sum of the log-determinants; `input` itself when there are no steps. */
export function compose(steps: readonly Mapped[], input: Tensor): Mapped {
  const zero = Tensor.zeros([input.shape[0]], input.dtype);
  return {
    out: steps.at(-1)?.out ?? input,
    logDet: steps.reduce((sum, step) => sum.add(step.logDet), zero),
  };
}
