import { join } from "node:path";
import {
  f32ToBf16,
  floatPieces,
  fromPieces,
  type Kept,
  type LazyTensor,
  makeFolder,
  rounded,
  SCALES,
  type WeightFormat,
  writeFileAtomic,
  writeSafetensorsInTurns,
} from "../../core/index.ts";
import { publishedConfig } from "./config-file.ts";
import type { PublishedEncoder } from "./published.ts";

/** Weights of linear layers, (outputs, inputs): what int8 is for. Kernels of convolutions end alike, with more axes. */
const LINEAR = /\.(qkv|proj|fc[12]|[qkv]_proj|out_proj)\.weight$/;
/** Numbers of no weight, of which there are few. */
const EXACT = /^(prompt_embeds|visual_temporal_embed\.)/;

/**
 * Writes an encoder as a folder of its own, which `openFlorence2` reads: `model.safetensors`, `config.json` as the
 * original repositories have it, with its perception, and `tokenizer.json`, each under a temporary name first. One
 * piece of a tensor at a time is in memory.
 *
 * @param format what weights are rounded to. With bfloat16 vectors stay float32. With int8 the matrices of linear
 *   layers are I8 numbers with a float32 scale for each output, `NAME.scales`; tables and kernels are bfloat16.
 * @param watch sees each tensor, by its name in the file, before it is read
 */
export async function exportEncoder(
  {
    tensors,
    config,
    perception,
    vocabulary,
  }: Pick<PublishedEncoder, "tensors" | "config" | "perception" | "vocabulary">,
  out: string,
  format: WeightFormat,
  watch: (tensors: ReadonlyMap<string, LazyTensor>) => ReadonlyMap<string, LazyTensor> = (all) => all,
): Promise<void> {
  const kept = new Map<string, LazyTensor>();
  for (const [name, tensor] of tensors) {
    const isLarge = tensor.shape.length > 1 && !EXACT.test(name);
    if (format === "int8" && tensor.shape.length === 2 && LINEAR.test(name)) {
      const { numbers, scales } = asInt8(name, tensor);
      kept.set(name, numbers).set(name + SCALES, scales);
    } else {
      kept.set(name, format !== "float32" && isLarge ? asBfloat16(name, tensor) : asFloat32(name, tensor));
    }
  }
  makeFolder(out);
  await writeSafetensorsInTurns(join(out, "model.safetensors"), watch(kept), { format: "pt" });
  writeFileAtomic(join(out, "tokenizer.json"), `${JSON.stringify(vocabulary)}\n`);
  writeFileAtomic(
    join(out, "config.json"),
    `${JSON.stringify({ ...publishedConfig(config), perception }, null, 2)}\n`,
  );
}

const asFloat32 = (name: string, tensor: LazyTensor): LazyTensor =>
  fromPieces("F32", tensor.shape, (unit) => floatPieces(name, tensor, unit));

function asBfloat16(name: string, tensor: LazyTensor): LazyTensor {
  if (tensor.dtype === "BF16") return tensor;
  return fromPieces("BF16", tensor.shape, function* (unit) {
    for (const piece of floatPieces(name, tensor, unit)) yield f32ToBf16(piece);
  });
}

/** The tensor is read twice: files have scales before the numbers that they belong to. */
function asInt8(name: string, tensor: LazyTensor): { numbers: LazyTensor; scales: LazyTensor } {
  if (tensor.scales) return { numbers: { ...tensor, scales: undefined }, scales: tensor.scales };
  const [outputs, inputs] = tensor.shape;
  const rowsOf = (piece: Float32Array): Kept[] =>
    Array.from({ length: piece.length / inputs }, (_, row) =>
      rounded(piece.subarray(row * inputs, (row + 1) * inputs), "int8"),
    );
  const numbers = fromPieces("I8", tensor.shape, function* () {
    for (const piece of floatPieces(name, tensor, inputs)) {
      const all = new Int8Array(piece.length);
      for (const [row, kept] of rowsOf(piece).entries()) all.set(kept.numbers, row * inputs);
      yield all;
    }
  });
  const scales = fromPieces("F32", [outputs], function* () {
    for (const piece of floatPieces(name, tensor, inputs))
      yield Float32Array.from(rowsOf(piece), ({ scale }) => scale);
  });
  return { numbers, scales };
}
