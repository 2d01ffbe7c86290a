import type { WeightFormat } from "../../core/index.ts";
import { forInference } from "../../nn/index.ts";
import type { FlorenceConfig } from "./config.ts";
import { Florence2 } from "./model.ts";
import { encoderTensors, TABLE, type Weights } from "./names.ts";

/**
 * Builds an encoder and fills it from a checkpoint in any of the spellings that `encoderTensors` knows, under `prefix`.
 * The numbers of token rows and positions come from the file.
 *
 * @param format what weights are sealed as, for inference alone; null for an encoder that can be trained
 */
export function loadFlorence2(
  config: FlorenceConfig,
  weights: Weights,
  prefix = "",
  format: WeightFormat | null = null,
): Florence2 {
  const own = encoderTensors(weights, prefix);
  const build = (): Florence2 => new Florence2(sizedBy(own, config));
  return (format === null ? build() : forInference(format, build)).load(own);
}

/** The configuration with the token rows and positions that the tensors have. */
export function sizedBy(tensors: Weights, config: FlorenceConfig): FlorenceConfig {
  // A table of another shape than (rows, features) is left to `load`, which lists it.
  const rows = (name: string, least: number): number | undefined => {
    const shape = tensors.get(name)?.shape;
    return shape?.length === 2 && shape[0] >= least ? shape[0] : undefined;
  };
  const positions = rows("language_model.model.encoder.embed_positions.weight", 3);
  return {
    ...config,
    vocab_size: rows(TABLE, 2) ?? config.vocab_size,
    max_position_embeddings: positions ? positions - 2 : config.max_position_embeddings,
  };
}
