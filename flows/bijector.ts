import { type Shape, sameShape, showShape, type Tensor } from "../core/index.ts";
import { Module } from "../nn/index.ts";

/** A mapped batch and how the map changes volume there. */
export interface Mapped {
  /** (B, …event) */
  readonly out: Tensor;
  /** log |det J| of the map at each sample, (B). */
  readonly logDet: Tensor;
}

/**
 * An invertible map of a batch (B, …event), given an optional condition (B, …) that is the same in both directions.
 *
 * Libraries disagree on which way is "forward". Here, everywhere: `forward` goes from data to noise, `inverse` from
 * noise to data. Each direction returns its own log-determinant, so at matching points they cancel.
 *
 * A condition is given to every layer of a flow, and those that have no use for it, such as permutations, leave it. A
 * `Flow` refuses a condition that none of its layers can use: it would be ignored without a word.
 */
export abstract class Bijector extends Module {
  abstract forward(x: Tensor, condition?: Tensor): Mapped;
  abstract inverse(z: Tensor, condition?: Tensor): Mapped;

  /**
   * Where each entry of x must lie, with room to its ends, so that a round trip keeps its digits: all numbers unless
   * overridden.
   */
  get domain(): Interval | undefined {
    return undefined;
  }

  /** The same for z. */
  get image(): Interval | undefined {
    return undefined;
  }

  /**
   * Whether a condition can change the map. Unless overridden it is told by `forward`: one that takes `x` alone cannot
   * see a condition. Override it where `forward(x, condition = …)` has a default, which JavaScript does not count.
   */
  get conditional(): boolean {
    return seesCondition(this.forward);
  }
}

/**
 * Whether a condition can change what a module gives: as it says itself, or as the parameters of its `forward` tell.
 */
export const takesCondition = (module: {
  readonly conditional?: boolean;
  readonly forward: (x: Tensor, condition?: Tensor) => unknown;
}): boolean => module.conditional ?? seesCondition(module.forward);

/** False for functions of one argument. Those of none, `(...all) => …`, may take any. */
const seesCondition = ({ length }: { readonly length: number }): boolean => length !== 1;

/** Throws unless x is a batch (B, …event): another shape could be stretched to fit, and the density be wrong. */
export function checkEvent(x: Tensor, event: Shape, who: string): void {
  if (x.shape.length !== event.length + 1 || !sameShape(x.shape.slice(1), event))
    throw new Error(`${who}: expected a batch of ${showShape(event)}, got ${showShape(x.shape)}`);
}

export type Interval = readonly [low: number, high: number];

/** Sum over all axes but the batch: (B, …event) → (B). */
export const sumEvent = (x: Tensor): Tensor => x.sum(x.shape.slice(1).map((_, i) => i + 1));

/** One number for the whole batch, repeated: () → (B). */
export const forBatch = (value: Tensor, batch: Tensor): Tensor => value.broadcastTo([batch.shape[0]]);
