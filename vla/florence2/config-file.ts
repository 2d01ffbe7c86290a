import { FormatError, printable, readText } from "../../core/index.ts";
import { show } from "../check-config.ts";
import { checkFlorenceConfig, type FlorenceConfig } from "./config.ts";

type Json = Readonly<Record<string, unknown>>;

/** Bytes of a `config.json`. */
const MAX_CONFIG = 2 ** 20;

/**
 * Where a field stands: in the `config.json` of the original repositories, and in that of the model built into
 * `transformers`.
 */
const PLACES: Readonly<Record<keyof FlorenceConfig, readonly [original: string, native: string]>> = {
  dim_embed: ["vision_config.dim_embed", "vision_config.embed_dim"],
  num_heads: both("vision_config.num_heads"),
  num_groups: both("vision_config.num_groups"),
  depths: both("vision_config.depths"),
  window_size: both("vision_config.window_size"),
  patch_size: both("vision_config.patch_size"),
  patch_stride: both("vision_config.patch_stride"),
  patch_padding: both("vision_config.patch_padding"),
  patch_prenorm: both("vision_config.patch_prenorm"),
  drop_path_rate: both("vision_config.drop_path_rate"),
  max_pos_embeddings: [
    "vision_config.image_pos_embed.max_pos_embeddings",
    "vision_config.max_position_embeddings",
  ],
  max_temporal_embeddings: [
    "vision_config.visual_temporal_embedding.max_temporal_embeddings",
    "vision_config.max_temporal_embeddings",
  ],
  vocab_size: both("text_config.vocab_size"),
  d_model: both("text_config.d_model"),
  encoder_layers: both("text_config.encoder_layers"),
  encoder_attention_heads: both("text_config.encoder_attention_heads"),
  encoder_ffn_dim: both("text_config.encoder_ffn_dim"),
  max_position_embeddings: both("text_config.max_position_embeddings"),
  dropout: both("text_config.dropout"),
};

function both(place: string): readonly [string, string] {
  return [place, place];
}

/** What `transformers` leaves out of the files that it writes, being its default: Florence2VisionConfig, BartConfig. */
const NATIVE_DEFAULTS: FlorenceConfig = {
  dim_embed: [128, 256, 512, 1024],
  num_heads: [4, 8, 16, 32],
  num_groups: [4, 8, 16, 32],
  depths: [1, 1, 9, 1],
  window_size: 12,
  drop_path_rate: 0.1,
  patch_size: [7, 3, 3, 3],
  patch_stride: [4, 2, 2, 2],
  patch_padding: [3, 1, 1, 1],
  patch_prenorm: [false, true, true, true],
  max_pos_embeddings: 50,
  max_temporal_embeddings: 100,
  vocab_size: 50265,
  d_model: 1024,
  max_position_embeddings: 1024,
  dropout: 0.1,
  encoder_layers: 12,
  encoder_attention_heads: 16,
  encoder_ffn_dim: 4096,
};

/** What the encoder takes for granted. A file may leave it out. */
const FIXED: Readonly<Record<string, unknown>> = {
  "vision_config.mlp_ratio": 4,
  "vision_config.qkv_bias": true,
  "vision_config.activation_function": "gelu",
  "vision_config.image_pos_embed.type": "learned_abs_2d",
  "vision_config.visual_temporal_embedding.type": "COSINE",
  "vision_config.image_feature_source": ["spatial_avg_pool", "temporal_avg_pool"],
  "text_config.activation_function": "gelu",
  "text_config.scale_embedding": false,
  "text_config.normalize_before": false,
  "text_config.add_final_layer_norm": false,
};

/** A `config.json` as JSON. @throws FormatError for a file that is none, or large. */
export function readConfigFile(path: string): Json {
  try {
    const json: unknown = JSON.parse(readText(path, MAX_CONFIG));
    if (typeof json === "object" && json !== null) return json as Json;
    throw new FormatError(path, "an object", show(json));
  } catch (cause) {
    if (cause instanceof SyntaxError) throw new FormatError(path, "JSON", cause.message);
    throw cause;
  }
}

/**
 * The encoder's sizes out of the `config.json` of Florence-2: as the original repositories have it, in any of their
 * revisions, or as `transformers` writes it.
 * @throws Error that lists all that is missing or not as it should be; `path` is for the message.
 */
export function parsePublishedConfig(json: Json, path: string): FlorenceConfig {
  const isNative =
    at(json, "vision_config.model_type") === "florence_vision" ||
    at(json, "vision_config.embed_dim") !== undefined;
  const fields = Object.keys(PLACES) as (keyof FlorenceConfig)[];
  const placeOf = (field: keyof FlorenceConfig): string => PLACES[field][isNative ? 1 : 0];
  const config = Object.fromEntries(
    fields.map((field) => [
      field,
      at(json, placeOf(field)) ?? (isNative ? NATIVE_DEFAULTS[field] : undefined),
    ]),
  );
  const wrong = checkFlorenceConfig(config).map((line) =>
    line.replace(/^florence\.(\w+)/, (_, field: keyof FlorenceConfig) => placeOf(field)),
  );
  for (const [place, expected] of Object.entries(FIXED)) {
    const found = at(json, place);
    if (found !== undefined && JSON.stringify(found) !== JSON.stringify(expected))
      wrong.push(`${place}: expected ${show(expected)}, found ${show(found)}`);
  }
  if (wrong.length > 0) throw new Error(`${path}: ${printable(wrong.join("; "), 1500)}`);
  return config as unknown as FlorenceConfig;
}

/** The same as the original repositories would write it. */
export function publishedConfig(config: FlorenceConfig): Json {
  const json = { model_type: "florence2" };
  const put = (place: string, value: unknown): void => {
    const path = place.split(".");
    const last = path.pop() as string;
    let inner: Record<string, unknown> = json;
    for (const key of path) inner = (inner[key] ??= {}) as Record<string, unknown>;
    inner[last] = value;
  };
  put("projection_dim", config.d_model);
  put("vocab_size", config.vocab_size);
  put("vision_config.model_type", "davit");
  put("vision_config.projection_dim", config.d_model);
  put("text_config.model_type", "florence2_language");
  for (const [field, [place]] of Object.entries(PLACES)) put(place, config[field as keyof FlorenceConfig]);
  for (const place of ["image_pos_embed.type", "visual_temporal_embedding.type", "image_feature_source"])
    put(`vision_config.${place}`, FIXED[`vision_config.${place}`]);
  return json;
}

/** What stands at a path of names with dots between them. */
function at(json: unknown, place: string): unknown {
  let value = json;
  for (const key of place.split(".")) {
    if (typeof value !== "object" || value === null || !Object.hasOwn(value, key)) return undefined;
    value = (value as Json)[key];
  }
  return value;
}
