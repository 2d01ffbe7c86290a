import { join } from "node:path";
import { writeFileAtomic, writeSafetensors } from "../../core/index.ts";
import type { FlorenceConfig } from "../florence2/config.ts";
import type { TokenizerJson } from "../florence2/tokenizer.ts";
import type { PerceptionConfig } from "../perception.ts";
import type { GroundedEncoder, HeadsConfig } from "./grounded-encoder.ts";

/** What an encoder's folder tells beside its weights. */
export interface EncoderFolder {
  readonly florence: FlorenceConfig;
  readonly perception: PerceptionConfig;
  readonly heads: HeadsConfig;
}

/**
 * Writes an encoder as policies' checkpoints have theirs, its heads beside it under `heads.`: `config.json`,
 * `tokenizer.json` and `model.safetensors`, each under a temporary name first. `loadEncoder` of vla/train reads it.
 */
export function writeEncoder(
  folder: string,
  model: GroundedEncoder,
  config: EncoderFolder,
  vocabulary: TokenizerJson,
): void {
  writeSafetensors(join(folder, "model.safetensors"), model.stateDict());
  writeFileAtomic(join(folder, "tokenizer.json"), `${JSON.stringify(vocabulary)}\n`);
  writeFileAtomic(join(folder, "config.json"), `${JSON.stringify(config, null, 2)}\n`);
}
