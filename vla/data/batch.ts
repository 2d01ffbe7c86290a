import ndarray, { type NdArray } from "ndarray";
import { checkInteger, type Random } from "../../core/index.ts";
import type { EpochOrder } from "../../nn/index.ts";
import { processImage } from "../florence2/image-processor.ts";
import { type Augmentation, type Change, checkAugmentation, drawChanges } from "./augmentation.ts";
import { CAMERAS, type Camera } from "./demonstrations.ts";
import type { ExampleSet } from "./example-set.ts";
import { orderOf, streamsOf } from "./order.ts";

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

/** Room for the arrays of a batch: B examples, pictures of side S, T actions each. All row-major. */
export interface BatchArrays {
  /** Which examples of the set, (B). */
  readonly examples: Int32Array;
  /** Pixels as the encoder takes them, normalised, (B, 3, S, S). */
  readonly agentview: Float32Array;
  readonly wrist: Float32Array;
  /**
   * How the pictures were moved, whole pixels of side S: (B, 2, 2), cameras in the order agentview, wrist, then dx, dy.
   * Column x, row y show what was at column x + dx, row y + dy: what a label places at column u, row v is seen at column
   * u − dx, row v − dy.
   */
  readonly shifts: Int8Array;
  /** (B, T, 7). */
  readonly actions: Float32Array;
}

/** Examples as a training step takes them. */
export interface Batch extends BatchArrays {
  /** Its number in the run, from 0. */
  readonly number: number;
}

/** Makes the batches of a run: number k is a pure function of (examples, settings, k), whatever was made before. */
export class BatchMaker {
  readonly #set: ExampleSet;
  readonly #settings: BatchSettings;
  readonly #order: EpochOrder;
  readonly #streams: (position: number) => Random;

  constructor(set: ExampleSet, settings: BatchSettings) {
    const { seed, size, imageSize, augmentation } = settings;
    checkInteger(seed, 0, "BatchMaker", "seed");
    checkInteger(size, 1, "BatchMaker", "size");
    checkInteger(imageSize, 1, "BatchMaker", "imageSize");
    checkAugmentation(augmentation, "BatchMaker");
    this.#set = set;
    this.#settings = settings;
    this.#order = orderOf(set.count, seed);
    this.#streams = streamsOf(seed, "changes of pictures");
  }

  /** Batch number `number`, written into `arrays`. */
  make(number: number, arrays: BatchArrays = this.allocate()): Batch {
    const { size, imageSize, augmentation } = this.#settings;
    for (let b = 0; b < size; b++) {
      const position = number * size + b;
      const changes = drawChanges(augmentation, this.#streams(position));
      writeExample(this.#set, imageSize, this.#order.at(position), changes, arrays, b);
    }
    return { number, ...arrays };
  }

  /** Room for one batch, in memory that threads can share. */
  allocate(): BatchArrays {
    return allocateArrays(this.#set, this.#settings.size, this.#settings.imageSize);
  }
}

export function allocateArrays(set: ExampleSet, size: number, imageSize: number): BatchArrays {
  const floats = (count: number): Float32Array => new Float32Array(new SharedArrayBuffer(4 * size * count));
  return {
    examples: new Int32Array(new SharedArrayBuffer(4 * size)),
    agentview: floats(3 * imageSize * imageSize),
    wrist: floats(3 * imageSize * imageSize),
    shifts: new Int8Array(new SharedArrayBuffer(4 * size)),
    actions: floats(7 * set.settings.horizon),
  };
}

/** Writes an example, its pictures changed, at place `b` of a batch. */
export function writeExample(
  set: ExampleSet,
  imageSize: number,
  example: number,
  changes: Readonly<Record<Camera, Change>>,
  arrays: BatchArrays,
  b: number,
): void {
  const row = (array: Float32Array, length: number): Float32Array =>
    array.subarray(b * length, (b + 1) * length);
  arrays.examples[b] = example;
  CAMERAS.forEach((camera, c) => {
    const { dx, dy, gain } = changes[camera];
    const out = row(arrays[camera], 3 * imageSize * imageSize);
    processImage(set.picture(example, camera), imageSize, { dx, dy }, gain, out);
    arrays.shifts.set([dx, dy], 4 * b + 2 * c);
  });
  set.writeActions(example, row(arrays.actions, 7 * set.settings.horizon));
}

/**
 * The same memory as arrays with axes, for picking and slicing without a copy: `agentview.pick(3)` is the fourth
 * picture, (3, S, S).
 */
export function batchViews(batch: BatchArrays): {
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
