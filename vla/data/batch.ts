import ndarray, { type NdArray } from "ndarray";

/** Examples as a training step takes them: B of them, pictures of side S, T actions each. All row-major. */
export interface Batch {
  /** Its number in the run, from 0. */
  readonly number: number;
  /** Which examples of the set, (B). */
  readonly examples: Int32Array;
  /** Pixels as the encoder takes them, normalised, (B, 3, S, S). */
  readonly agentview: Float32Array;
  readonly wrist: Float32Array;
  /**
   * How the pictures were moved, whole pixels of side S: (B, 2, 2), cameras in the order agentview, wrist, then dx, dy.
   * Column x, row y show what was at column x + dx, row y + dy: what a label places at (u, v) is seen at (u − dx, v − dy).
   */
  readonly shifts: Int8Array;
  /** (B, T, 7). */
  readonly actions: Float32Array;
}

/** Random changes of the pictures. Each camera of each example draws its own. */
export interface Augmentation {
  /** Most pixels (of side S) that a picture moves, along each axis either way; what comes in repeats the edge. */
  readonly agentview: number;
  readonly wrist: number;
  /** Brightness: least and most factor on levels in [0, 1]; what exceeds 1 is cut off. */
  readonly gain: readonly [number, number];
}

/** The pictures as they are. */
export const PLAIN: Augmentation = { agentview: 0, wrist: 0, gain: [1, 1] };

/** What the batches of a run follow from, besides the examples. */
export interface BatchSettings {
  /** Orders the examples and draws what changes their pictures. An integer in [0, 2^53). */
  readonly seed: number;
  /** Examples per batch, B. */
  readonly size: number;
  /** Side of the pictures that the encoder takes, S. */
  readonly imageSize: number;
  readonly augmentation: Augmentation;
}

/**
 * The same memory as arrays with axes, for picking and slicing without a copy: `agentview.pick(3)` is the fourth
 * picture, (3, S, S).
 */
export function batchArrays(batch: Batch): {
  agentview: NdArray<Float32Array>;
  wrist: NdArray<Float32Array>;
  shifts: NdArray<Int8Array>;
  actions: NdArray<Float32Array>;
} {
  const { examples, agentview, wrist, shifts, actions } = batch;
  const B = examples.length;
  const S = Math.sqrt(agentview.length / (3 * B));
  return {
    agentview: ndarray(agentview, [B, 3, S, S]),
    wrist: ndarray(wrist, [B, 3, S, S]),
    shifts: ndarray(shifts, [B, 2, 2]),
    actions: ndarray(actions, [B, actions.length / (7 * B), 7]),
  };
}
