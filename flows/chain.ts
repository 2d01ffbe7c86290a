import { sameShape, showShape, Tensor } from "../core/index.ts";
import { Bijector, type Interval, type Mapped } from "./bijector.ts";

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

  override get conditional(): boolean {
    return this.layers.some((layer) => layer.conditional);
  }

  override get domain(): Interval | undefined {
    return this.layers[0]?.domain;
  }

  override get image(): Interval | undefined {
    return this.layers.at(-1)?.image;
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
    checkLogDet(step, input, layer);
    input = step.out;
    return step;
  });
}

/** What each layer's inverse made of its input, last layer first. */
export function inverseSteps(layers: readonly Bijector[], z: Tensor, condition?: Tensor): Mapped[] {
  let input = z;
  return layers.toReversed().map((layer) => {
    const step = layer.inverse(input, condition);
    checkLogDet(step, input, layer);
    input = step.out;
    return step;
  });
}

/**
 * Throws unless there is one log-determinant per sample: any other shape would be stretched, and the density be wrong.
 */
function checkLogDet({ logDet }: Mapped, input: Tensor, layer: Bijector): void {
  const [B] = input.shape;
  if (!sameShape(logDet.shape, [B]))
    throw new Error(
      `${layer.constructor.name}: expected log-determinants (${B}), got ${showShape(logDet.shape)}`,
    );
}

/** The last output and the sum of the log-determinants; `input` itself when there are no steps. */
export function compose(steps: readonly Mapped[], input: Tensor): Mapped {
  const zero = Tensor.zeros([input.shape[0]], input.dtype);
  return {
    out: steps.at(-1)?.out ?? input,
    logDet: steps.reduce((sum, step) => sum.add(step.logDet), zero),
  };
}
