import {
  type HostTensor,
  type LazyTensor,
  type Shape,
  sizeOf,
  Tensor,
  type TensorData,
  tidy,
  toHost,
} from "../core/index.ts";
import { outline } from "../nn/index.ts";
import type { FlorenceConfig } from "../vla/florence2/config.ts";
import { cosineTable, Florence2 } from "../vla/florence2/model.ts";

/** 32-bit FNV-1a hash of a string's UTF-8 bytes. */
export function fnv1a(text: string): number {
  let hash = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(text)) hash = Math.imul(hash ^ byte, 0x01000193);
  return hash >>> 0;
}

function mix(x: number): number {
  let y = x;
  y = Math.imul(y ^ (y >>> 16), 0x7feb352d);
  y = Math.imul(y ^ (y >>> 15), 0x846ca68b);
  return (y ^ (y >>> 16)) >>> 0;
}

/** Fills a tensor with base + k(i) 2^(e−23), k in [−2²³, 2²³) hashed from the tag and the element's index. */
export const fill = (tensor: Tensor, tag: string, exponent: number, base = 0, first = 0): void =>
  fillNumbers(tensor.data, tag, exponent, base, first);

function fillNumbers(data: TensorData, tag: string, exponent: number, base: number, first: number): void {
  const salt = fnv1a(tag);
  const scale = 2 ** (exponent - 23);
  for (let i = 0; i < data.length; i++) {
    data[i] = base + ((mix((mix(first + i) + salt) >>> 0) >>> 8) - 8_388_608) * scale;
  }
}

/** The rule that gives a weight its size, by its name in the original spelling. */
function rule(name: string, shape: readonly number[]): { exponent: number; base: number } {
  if (name === "language_model.model.shared.weight") return { exponent: 0, base: 0 };
  if (name.includes("embed_positions") || name.startsWith("image_pos_embed."))
    return { exponent: -1, base: 0 };
  if (name.endsWith(".bias")) return { exponent: -4, base: 0 };
  if (shape.length === 1) return { exponent: -2, base: 1 };
  if (name.includes(".dw.")) return { exponent: -3, base: 0 };
  const fanIn = name === "image_projection" ? shape[0] : shape.slice(1).reduce((a, b) => a * b, 1);
  const gain = /\.(qkv|q_proj|k_proj)\./.test(name) ? 1 : 0;
  return { exponent: gain - (Math.floor(Math.log2(fanIn)) >> 1), base: 0 };
}

/** Fills a whole encoder with the deterministic weights that the full-size goldens were made with. */
export function generate(model: Florence2, seed: number): Florence2 {
  for (const [name, tensor] of model.namedTensors()) {
    if (name === "prompt_embeds") {
      const [rows, features] = model.language_model.model.shared.weight.shape;
      fill(tensor, `${seed}:language_model.model.shared.weight`, 0, 0, rows * features);
    } else if (name === "visual_temporal_embed.pos_idx_to_embed") {
      cosineTable(tensor);
    } else {
      const { exponent, base } = rule(name, tensor.shape);
      fill(tensor, `${seed}:${name}`, exponent, base);
    }
  }
  return model;
}

/** Numbers of a piece, and where all pieces are made: one after the other. */
const PIECE = 2 ** 18;
const room = new Float32Array(PIECE);

/** The same weights as a file would give them, piece by piece. */
export function generatedTensors(config: FlorenceConfig, seed: number): Map<string, HostTensor | LazyTensor> {
  const model = outline(() => new Florence2(config));
  const tensors = new Map<string, HostTensor | LazyTensor>();
  for (const [name, { shape }] of model.namedTensors()) tensors.set(name, lazyWeights(shape, seed, name));
  const table = "language_model.model.shared.weight";
  const { size } = model.language_model.model.shared.weight;
  tensors.set("prompt_embeds", lazyWeights(model.prompt_embeds.shape, seed, table, size));
  const { shape } = model.visual_temporal_embed.pos_idx_to_embed;
  const cosines = tidy(() => {
    const times = Tensor.empty(shape);
    cosineTable(times);
    return [toHost(times)];
  });
  return tensors.set("visual_temporal_embed.pos_idx_to_embed", cosines[0]);
}

function lazyWeights(shape: Shape, seed: number, name: string, first = 0): LazyTensor {
  const { exponent, base } = rule(name, shape);
  const size = sizeOf(shape);
  const pieces = function* (unit: number): Iterable<Float32Array> {
    const most = unit * Math.max(1, Math.floor(PIECE / unit));
    const whole = unit > PIECE ? new Float32Array(unit) : room;
    for (let at = 0; at < size; at += most) {
      const piece = whole.subarray(0, Math.min(most, size - at));
      fillNumbers(piece, `${seed}:${name}`, exponent, base, first + at);
      yield piece;
    }
  };
  return { dtype: "F32", shape, read: () => [...pieces(size)][0], pieces };
}
