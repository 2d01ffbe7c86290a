import type { Tensor } from "../core/index.ts";
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
 * Libraries disagree on which way is "forward". Here, everywhere: `forward` goes from data to noise, `inverse` from noise
 * to data. Each direction returns its own log-determinant, so at matching points they cancel.
 */
export abstract class Bijector extends Module {
  abstract forward(x: Tensor, condition?: Tensor): Mapped;
  abstract inverse(z: Tensor, condition?: Tensor): Mapped;
}

/** Sum over all axes but the batch: (B, …event) → (B). */
export const sumEvent = (x: Tensor): Tensor => x.sum(x.shape.slice(1).map((_, i) => i + 1));

/** One number for the whole batch, repeated: () → (B). */
export const forBatch = (value: Tensor, batch: Tensor): Tensor => value.broadcastTo([batch.shape[0]]);
