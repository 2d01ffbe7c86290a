/**
 * For policies that are written elsewhere and loaded with `--policy ./mine.ts`: what they are given, and what they
 * give.
 * @module nina-ts/vla
 */
export type { SamplingConfig } from "./checkpoint.ts";
/** And for decoders of one's own, which checkpoints may then hold. */
export type { ChunkConfig, Decoder, DecoderKind } from "./decoder.ts";
export { registerDecoder } from "./decoders.ts";
export type { Image, Observation } from "./observation.ts";
export type { EpisodeKey, PolicyFiles, PolicyModule, PolicySource } from "./policies/index.ts";
export type { ActionChunk, ChunkRequest, Policy } from "./policies/policy.ts";
