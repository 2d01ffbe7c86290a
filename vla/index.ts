/**
 * For policies and decoders that are written elsewhere and loaded with `--policy ./mine.ts`, and for training of one's
 * own on what checkpoints and demonstrations hold.
 * @module nina-ts/vla
 */
export {
  type Checkpoint,
  loadCheckpoint,
  type SamplingConfig,
  saveCheckpoint,
} from "./checkpoint.ts";
export type { Augmentation } from "./data/augmentation.ts";
export { type Batch, type BatchArrays, BatchMaker, type BatchSettings, batchViews } from "./data/batch.ts";
export { ExampleSet } from "./data/example-set.ts";
export type { ChunkConfig, Decoder, DecoderKind } from "./decoder.ts";
export { registerDecoder } from "./decoders.ts";
export type { Image, Observation } from "./observation.ts";
export { Perception } from "./perception.ts";
export type { EpisodeKey, PolicyFiles, PolicyModule, PolicySource } from "./policies/index.ts";
export type { ActionChunk, ChunkRequest, Policy } from "./policies/policy.ts";
