import { floatPieces, type HostTensor, type LazyTensor } from "../../core/index.ts";

/** Tensors by name, as files give them. */
export type Weights = ReadonlyMap<string, HostTensor | LazyTensor>;

/** Where tied copies of the token table may be stored; the first one present is used. */
const TABLE_NAMES = [
  ...["shared", "encoder.embed_tokens", "decoder.embed_tokens"].map(
    (name) => `language_model.model.${name}.weight`,
  ),
  "language_model.lm_head.weight",
];
/** The token table, (rows, d). */
export const TABLE = TABLE_NAMES[0];
export const PROMPT = "prompt_embeds";
/** The task token's id under Florence-2's own tokenizer, and its row in the table of a policy trained with it. */
const FLOW_ROW = 51_289;

/**
 * The encoder's tensors of a checkpoint under the names of the original remote code, which are those of `Florence2`.
 * The checkpoint may spell them so, or as the model built into `transformers` does, or as FLOWER's loader maps them.
 * Names carry `prefix` (`vlm.` in policy checkpoints); others are left out, and so is the decoder.
 *
 * The task token is `prompt_embeds` if stored, else row `flow` of the token table, else the mean of the table, around
 * which the reference draws it.
 */
export function encoderTensors<T extends HostTensor | LazyTensor>(
  weights: ReadonlyMap<string, T>,
  prefix = "",
  flow = FLOW_ROW,
): Map<string, T | LazyTensor> {
  const own = new Map<string, T | LazyTensor>();
  for (const [name, tensor] of weights) {
    if (!name.startsWith(prefix)) continue;
    const [renamed, transposed] = originalName(name.slice(prefix.length));
    if (!isDropped(renamed)) own.set(renamed, transposed ? transpose(tensor) : tensor);
  }
  const table = TABLE_NAMES.map((name) => own.get(name)).find((found) => found !== undefined);
  if (table === undefined) return own;
  for (const name of TABLE_NAMES) own.delete(name);
  own.set(TABLE, table);
  if (!own.has(PROMPT)) own.set(PROMPT, promptFrom(table, flow));
  return own;
}

/** The encoder never runs the decoder; the bias of its logits is a leftover. */
function isDropped(name: string): boolean {
  const decoder = name.startsWith("language_model.model.decoder.") && !TABLE_NAMES.includes(name);
  return decoder || name === "language_model.final_logits_bias";
}

/** A checkpoint's name in the original spelling, and whether the matrix is stored transposed. */
function originalName(name: string): [name: string, transposed: boolean] {
  if (name === "lm_head.weight") return ["language_model.lm_head.weight", false];
  if (!name.startsWith("model.")) {
    const encoder = /^(language_encoder|language_model(?!\.(model|lm_head|final_logits_bias)\b))\./;
    return [name.replace(encoder, "language_model.model.encoder."), false];
  }
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

function transpose(tensor: HostTensor | LazyTensor): LazyTensor {
  const [rows, columns] = tensor.shape;
  return {
    dtype: tensor.dtype,
    shape: [columns, rows],
    read() {
      const from = "data" in tensor ? tensor.data : tensor.read();
      const to = from.slice();
      for (let r = 0; r < rows; r++)
        for (let c = 0; c < columns; c++) to[c * rows + r] = from[r * columns + c];
      return to;
    },
  };
}

/** Row `flow` of a table (rows, d), or the mean of its rows where it has none of that number. */
function promptFrom(table: HostTensor | LazyTensor, flow: number): LazyTensor {
  const [rows, width] = table.shape;
  const isRow = flow < rows;
  const average = (): Float32Array => {
    const sums = new Float64Array(width);
    let row = 0;
    for (const piece of floatPieces(TABLE, table, width)) {
      for (let at = 0; at < piece.length; at += width, row++) {
        if (isRow && row !== flow) continue;
        for (let i = 0; i < width; i++) sums[i] += piece[at + i];
      }
    }
    return Float32Array.from(sums, (sum) => sum / (isRow ? 1 : rows));
  };
  let prompt: Float32Array | undefined; // it is asked for twice where the table gets its row
  return { dtype: "F32", shape: [1, 1, width], read: () => (prompt ??= average()) };
}
