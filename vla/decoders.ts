import type { ChunkConfig, Decoder, DecoderKind } from "./decoder.ts";
import { flowerKind } from "./flower/flower.ts";
import { mlpKind } from "./nina/mlp.ts";
import { mseKind } from "./nina/mse.ts";
import { transformerKind } from "./nina/transformer.ts";

const ours = {
  mlp: mlpKind,
  transformer: transformerKind,
  mse: mseKind,
  flower: flowerKind,
} as const;

type Ours = typeof ours;
type ConfigOf<K> = K extends DecoderKind<infer C> ? C : never;

/** A decoder's kind and its sizes, as `config.json` of a checkpoint has them: of our kinds, or of a registered one. */
export type DecoderConfig = {
  [K in keyof Ours]: { readonly kind: K } & ConfigOf<Ours[K]>;
}[keyof Ours];

/** Every kind that a checkpoint may hold, by the name that its `config.json` has for it. */
const kinds = new Map<string, DecoderKind<ChunkConfig>>(
  // A kind is asked about configurations of its own name alone: so its type is that of any.
  Object.entries(ours) as unknown as [string, DecoderKind<ChunkConfig>][],
);

/**
 * Lets checkpoints hold a decoder of one's own: `loadCheckpoint` then builds it, and policies sample from it, in its
 * form for inference where it has `forInference`, with log-probabilities where it has `logProb`.
 *
 * @throws Error for a name that is taken.
 */
export function registerDecoder<C extends ChunkConfig>(name: string, kind: DecoderKind<C>): void {
  if (kinds.has(name))
    throw new Error(`registerDecoder: expected a new name, got ${name}, which a kind of decoder has already`);
  kinds.set(name, kind as unknown as DecoderKind<ChunkConfig>);
}

/** Names of all kinds. */
export const decoderKindNames = (): readonly string[] => [...kinds.keys()];

/** The kind of a name; undefined where there is none. */
export const decoderKind = (name: string): DecoderKind<ChunkConfig> | undefined => kinds.get(name);

/** Builds a decoder with undefined weights. @throws Error for a kind that nobody registered. */
export function makeDecoder(config: DecoderConfig): Decoder {
  const kind = kinds.get(config.kind);
  if (!kind)
    throw new Error(`makeDecoder: expected one of ${[...kinds.keys()].join(", ")}, got ${config.kind}`);
  return kind.make(config);
}
