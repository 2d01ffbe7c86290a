import type { NdArray } from "ndarray";
import type { Observation } from "../observation.ts";

/** The cameras that a policy sees through, in the order of everything that has one entry per camera. */
export const CAMERAS = ["agentview", "wrist"] as const;
export type Camera = (typeof CAMERAS)[number];

/** One recorded episode, read as it is asked for: action t and the observation stored with it, t from 0. */
export interface Episode {
  /** Within its file, such as `demo_3`. */
  readonly name: string;
  readonly instruction: string;
  /** Name of the task's file, without extension. */
  readonly task: string;
  /** The simulator's model, MJCF: a state does not tell where fixtures stand, this does. */
  readonly model: string;
  /** Steps. */
  readonly length: number;
  /** The observation stored with an action; the format tells when it was taken. */
  observation(step: number): Observation;
  /** Height and width of a camera's pictures, pixels. */
  pictureSize(camera: Camera): readonly [number, number];
  /** Pictures `start` to `end` of a camera as one array (end − start, H, W, 3), row 0 the bottom row: read at once. */
  pictures(camera: Camera, start: number, end: number): NdArray<Uint8Array>;
  /** Actions `start` to `end`, the last one not included, row-major (end − start, 7), each number in [−1, 1]. */
  actions(start: number, end: number): Float64Array;
  /** Simulator states (time, qpos, qvel) before actions `start` to `end`, row-major (end − start, 1 + nq + nv). */
  states(start: number, end: number): Float64Array;
}

/**
 * Episodes from one file or folder. A data format is one file of this folder that gives them; everything after, from
 * windows to batches, is the same for all.
 */
export interface Demonstrations extends Disposable {
  /** Shown in messages. */
  readonly name: string;
  readonly episodes: readonly Episode[];
}
