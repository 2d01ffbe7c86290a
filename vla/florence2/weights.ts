import {
  cpu,
  type HostTensor,
  type LazyTensor,
  onDevice,
  Scope,
  setHost,
  Tensor,
  type TypedArray,
} from "../../core/index.ts";
import type { FlorenceConfig } from "./config.ts";
import { Florence2 } from "./model.ts";

type Weights = ReadonlyMap<string, HostTensor | LazyTensor>;

/** Where tied copies of the token table may be stored; the first one present is used. */
const TABLE_NAMES = ["shared", "encoder.embed_tokens", "decoder.embed_tokens"].map(
  (name) => `language_model.model.${name}.weight`,
);
const SHARED = TABLE_NAMES[0];
const PROMPT = "prompt_embeds";
/** The task token's row in a policy checkpoint whose tokenizer is Florence-2's own. */
const FLOW_ROW = 51_289;

/**
 * Builds an encoder and fills it from a checkpoint in any of its spellings: the original remote-code names, the names
 * of the model built into `transformers`, or the language-encoder names that FLOWER's loader maps. Names carry
 * `prefix` (`vlm.` in policy checkpoints). The numbers of token rows and positions come from the file.
 *
 * The task token is taken from `prompt_embeds` if stored, else from row 51289 of the token table, else it is the mean
 * of the table, around which the reference draws it.
 */
export function loadFlorence2(config: FlorenceConfig, weights: Weights, prefix = ""): Florence2 {
  const own = new Map<string, HostTensor | LazyTensor>();
  for (const [name, tensor] of weights) {
    if (!name.startsWith(prefix)) continue;
    const [renamed, transposed] = originalName(name.slice(prefix.length));
    if (!isDropped(renamed)) own.set(renamed, transposed ? transpose(tensor) : tensor);
  }
  const table = [...TABLE_NAMES, "language_model.lm_head.weight"].find((name) => own.has(name));
  if (table) {
    const tied = own.get(table) as HostTensor;
    for (const name of [...TABLE_NAMES, "language_model.lm_head.weight"]) own.delete(name);
    own.set(SHARED, tied);
    if (!own.has(PROMPT)) own.set(PROMPT, promptFrom(tied));
  }
  // A table of another shape than (rows, features) is left to `load`, which lists it.
  const rows = (name: string, least: number): number | undefined => {
    const shape = own.get(name)?.shape;
    return shape?.length === 2 && shape[0] >= least ? shape[0] : undefined;
  };
  const positions = rows("language_model.model.encoder.embed_positions.weight", 3);
  const model = new Florence2({
    ...config,
    vocab_size: rows(SHARED, 2) ?? config.vocab_size,
    max_position_embeddings: positions ? positions - 2 : config.max_position_embeddings,
  });
  return model.load(own);
}

/** The encoder never runs the decoder; the bias of its logits is a leftover. */
function isDropped(name: string): boolean {
  const decoder = name.startsWith("language_model.model.decoder.") && !TABLE_NAMES.includes(name);
  return decoder || name === "language_model.final_logits_bias";
}

/** A checkpoint's name in the original spelling, and whether the matrix is stored transposed. */
function originalName(name: string): [name: string, transposed: boolean] {
  if (name === "lm_head.weight") return ["language_model.lm_head.weight", false];
  if (name.startsWith("language_encoder.")) {
    return [name.replace("language_encoder.", "language_model.model.encoder."), false];
  }
  if (!name.startsWith("model.")) return [name, false];
  const rest = name.slice("model.".length);
  if (rest.startsWith("language_model."))
    return [rest.replace("language_model.", "language_model.model."), false];
  if (rest.startsWith("multi_modal_projector.")) {
    const part = rest.slice("multi_modal_projector.".length);
    if (part === "image_projection.weight") return ["image_projection", true];
    return [part.replace("image_position_embed.", "image_pos_embed."), false];
  }
  return [
    rest
      .replace(/^(vision_tower\.convs\.\d+)\.conv\./, "$1.proj.")
      .replace(/\.(conv[12])\./, ".$1.fn.dw.")
      .replace(/\.(window_attn|channel_attn)\./, ".$1.fn.")
      .replace(/\.ffn\./, ".ffn.fn.net.")
      .replace(/\.spatial_block\.norm1\./, ".spatial_block.window_attn.norm.")
      .replace(/\.channel_block\.norm1\./, ".channel_block.channel_attn.norm.")
      .replace(/\.norm2\./, ".ffn.norm."),
    false,
  ];
}

const read = (tensor: HostTensor | LazyTensor): TypedArray =>
  "data" in tensor ? tensor.data : tensor.read();

function transpose(tensor: HostTensor | LazyTensor): LazyTensor {
  const [rows, columns] = tensor.shape;
  return {
    dtype: tensor.dtype,
    shape: [columns, rows],
    read() {
      const from = read(tensor);
      const to = from.slice();
      for (let r = 0; r < rows; r++)
        for (let c = 0; c < columns; c++) to[c * rows + r] = from[r * columns + c];
      return to;
    },
  };
}

function promptFrom(table: HostTensor | LazyTensor): LazyTensor {
  const [rows, features] = table.shape;
  const shape = [1, 1, features];
  if (rows > FLOW_ROW) {
    return {
      dtype: table.dtype,
      shape,
      read: () => read(table).slice(FLOW_ROW * features, (FLOW_ROW + 1) * features),
    };
  }
  return {
    dtype: "F32",
    shape,
    read() {
      using _ = new Scope();
      const all = onDevice(cpu, () => Tensor.empty(table.shape));
      setHost(all, table, "loadFlorence2: token table");
      return Float32Array.from(all.mean([0]).data);
    },
  };
}
