import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  type DTypeName,
  f32ToBf16,
  f32ToF16,
  type HostTensor,
  Random,
  toHost,
  writeSafetensors,
} from "../../../core/index.ts";
import { trainBpe } from "../../../vla/florence2/bpe-train.ts";
import type { FlorenceConfig } from "../../../vla/florence2/config.ts";
import { publishedConfig } from "../../../vla/florence2/config-file.ts";
import { Florence2 } from "../../../vla/florence2/model.ts";
import { Tokenizer, type TokenizerJson } from "../../../vla/florence2/tokenizer.ts";
import { P, tensor, torchFile } from "../../core/formats/build.ts";

/** `<Flow>` is its last token, as it is once it has been added to a published tokenizer. */
export const vocabulary: TokenizerJson = trainBpe(["push the drawer shut", "lift the block"], { size: 300 });

/** The id of `<Flow>`: as many as a published table has rows. */
export const FLOW = new Tokenizer(vocabulary).size - 1;

/** The smallest encoder that there is, but with four heads where there are two groups, and five positions to spare. */
export const smallest: FlorenceConfig = {
  dim_embed: [4, 8],
  num_heads: [2, 4],
  num_groups: [1, 2],
  depths: [1, 1],
  window_size: 2,
  patch_size: [4, 2],
  patch_stride: [4, 2],
  patch_padding: [0, 0],
  patch_prenorm: [false, true],
  drop_path_rate: 0,
  max_pos_embeddings: 4,
  max_temporal_embeddings: 2,
  d_model: 8,
  dropout: 0.1,
  encoder_layers: 1,
  encoder_attention_heads: 2,
  encoder_ffn_dim: 8,
  max_position_embeddings: 128,
  vocab_size: FLOW,
};

export type Tensors = Map<string, HostTensor>;

/** An encoder's tensors as published: the token table without a row for `<Flow>`, and no task token. */
export function publishedTensors(config = smallest, seed = 1): Tensors {
  const model = new Florence2(config).init(new Random(seed));
  const tensors = new Map([...model.namedTensors()].map(([name, x]) => [name, toHost(x)]));
  model.dispose();
  tensors.delete("prompt_embeds");
  return tensors;
}

/** What a published checkpoint has beside the encoder: a decoder and tied copies of the token table. */
export function withDecoder(tensors: Tensors): Tensors {
  const table = tensors.get("language_model.model.shared.weight") as HostTensor;
  const all = new Map(tensors);
  for (const part of ["encoder", "decoder"])
    all.set(`language_model.model.${part}.embed_tokens.weight`, table);
  all.set("language_model.lm_head.weight", table);
  all.set("language_model.model.decoder.layers.0.fc1.bias", vector(8));
  all.set("language_model.final_logits_bias", { ...vector(table.shape[0]), shape: [1, table.shape[0]] });
  return all;
}

const vector = (length: number): HostTensor => ({
  dtype: "F32",
  shape: [length],
  data: new Float32Array(length),
});

/** The names of the model that is built into `transformers`, and its one matrix that lies the other way round. */
export function nativeTensors(tensors: Tensors): Tensors {
  return new Map(
    [...tensors].map(([name, x]) => [nativeName(name), name === "image_projection" ? turned(x) : x]),
  );
}

function nativeName(name: string): string {
  if (name.startsWith("language_model.lm_head")) return name.replace("language_model.", "");
  if (name.startsWith("language_model."))
    return name.replace("language_model.model.", "model.language_model.");
  if (name === "image_projection") return "model.multi_modal_projector.image_projection.weight";
  if (!name.startsWith("vision_tower."))
    return `model.multi_modal_projector.${name.replace("image_pos_embed", "image_position_embed")}`;
  const own = name
    .replace(/(convs\.\d)\.proj/, "$1.conv")
    .replace(".fn.dw", "")
    .replace(/(window|channel)_attn\.norm/, "norm1")
    .replace("ffn.norm", "norm2")
    .replace("ffn.fn.net", "ffn")
    .replace("_attn.fn", "_attn");
  return `model.${own}`;
}

function turned({ dtype, shape: [rows, columns], data }: HostTensor): HostTensor {
  const to = new Float32Array(data.length);
  for (let i = 0; i < to.length; i++) to[(i % columns) * rows + Math.floor(i / columns)] = data[i] as number;
  return { dtype, shape: [columns, rows], data: to };
}

/** Floats of 32 bits as another type. */
export function typed(tensors: Tensors, dtype: DTypeName): Tensors {
  const narrow = { F16: f32ToF16, BF16: f32ToBf16 }[dtype as string];
  return new Map(
    [...tensors].map(([name, x]) => {
      if (!narrow || x.dtype !== "F32") return [name, x];
      return [name, { dtype, shape: x.shape, data: narrow(x.data as Float32Array) }];
    }),
  );
}

/** The opcodes of a dict of tensors, and their storages; every tensor has one of its own. */
export function pickled(
  tensors: Tensors,
  first = 0,
): { values: [string, Uint8Array][]; storages: Record<string, Uint8Array> } {
  const values: [string, Uint8Array][] = [];
  const storages: Record<string, Uint8Array> = {};
  for (const [name, { dtype, shape, data }] of tensors) {
    const key = String(first + values.length);
    const stride = shape.map((_, axis) => shape.slice(axis + 1).reduce((product, size) => product * size, 1));
    values.push([name, tensor({ dtype, key, count: data.length, offset: 0, shape, stride })]);
    storages[key] = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  }
  return { values, storages };
}

/** A state dict as `torch.save` writes it. */
export function writeTorch(path: string, tensors: Tensors): void {
  const { values, storages } = pickled(tensors);
  const dict = P.dict(...values.map(([name, value]): [Uint8Array, Uint8Array] => [P.text(name), value]));
  writeFileSync(path, torchFile(P.file(dict), storages));
}

/** How weights may lie in a folder. */
export const FILES = {
  "model.safetensors": (folder: string, tensors: Tensors) =>
    writeSafetensors(join(folder, "model.safetensors"), tensors),
  "pytorch_model.bin": (folder: string, tensors: Tensors) =>
    writeTorch(join(folder, "pytorch_model.bin"), tensors),
  "model.safetensors.index.json": (folder: string, tensors: Tensors) =>
    writeShards(folder, tensors, "model.safetensors", writeSafetensors),
  "pytorch_model.bin.index.json": (folder: string, tensors: Tensors) =>
    writeShards(folder, tensors, "pytorch_model.bin", writeTorch),
} as const;

function writeShards(
  folder: string,
  tensors: Tensors,
  file: string,
  write: (path: string, tensors: Tensors) => void,
): void {
  const entries = [...tensors];
  const middle = entries.length >> 1;
  const weight_map: Record<string, string> = {};
  for (const [i, part] of [entries.slice(0, middle), entries.slice(middle)].entries()) {
    const name = file.replace(".", `-0000${i + 1}-of-00002.`);
    write(join(folder, name), new Map(part));
    for (const [tensorName] of part) weight_map[tensorName] = name;
  }
  writeFileSync(join(folder, `${file}.index.json`), JSON.stringify({ metadata: {}, weight_map }));
}

/** Writes a folder as it is downloaded; what is not given is that of the smallest encoder. */
export function writeFolder(
  folder: string,
  {
    tensors = publishedTensors(),
    file = "model.safetensors",
    config = publishedConfig(smallest),
  }: {
    tensors?: Tensors;
    file?: keyof typeof FILES;
    config?: object;
  } = {},
): string {
  mkdirSync(folder, { recursive: true });
  FILES[file](folder, tensors);
  writeFileSync(join(folder, "config.json"), JSON.stringify(config));
  writeFileSync(join(folder, "tokenizer.json"), JSON.stringify(vocabulary));
  return folder;
}
