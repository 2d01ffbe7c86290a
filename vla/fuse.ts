import type { Decoder } from "./decoder.ts";
import { FlowerDecoder } from "./flower/flower.ts";
import { FusedFlower } from "./flower/fused.ts";
import type { FusedDecoder, FuseOptions } from "./fused.ts";
import { FusedMlp } from "./nina/fused-mlp.ts";
import { FusedMse } from "./nina/fused-mse.ts";
import { FusedTransformer } from "./nina/fused-transformer.ts";
import { MlpDecoder } from "./nina/mlp.ts";
import { MseDecoder } from "./nina/mse.ts";
import { TransformerDecoder } from "./nina/transformer.ts";

/** Makes a trained decoder ready for inference: see `FusedDecoder`. Throws for a decoder without a fused form. */
export function fuse(decoder: Decoder, options: FuseOptions): FusedDecoder {
  if (decoder instanceof MlpDecoder) return new FusedMlp(decoder, options);
  if (decoder instanceof TransformerDecoder) return new FusedTransformer(decoder, options);
  if (decoder instanceof MseDecoder) return new FusedMse(decoder, options);
  if (decoder instanceof FlowerDecoder) return new FusedFlower(decoder, options);
  throw new Error(`fuse: ${decoder.constructor.name} has no fused form`);
}
