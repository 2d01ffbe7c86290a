import { beside, readText } from "../platform/node.ts";
import type { ByteSource } from "./byte-source.ts";
import { FormatError } from "./format-error.ts";
import type { LazyTensor } from "./lazy-tensor.ts";
import { describe } from "./pickle.ts";
import { openSafetensors } from "./safetensors.ts";
import { parseStrictJson } from "./strict-json.ts";
import { openTorch, stateDict, type TensorRef } from "./torch.ts";

/** A file of named tensors, whatever its format: their names in memory, their elements on disk. */
export interface TensorFile extends Disposable {
  readonly tensors: ReadonlyMap<string, LazyTensor>;
  /** Whether a training checkpoint has running averages of the tensors beside them. */
  readonly hasAverages: boolean;
  /** The averages. @throws FormatError where there are none, or not one for each tensor. */
  averages(): ReadonlyMap<string, LazyTensor>;
  /** What a Lightning checkpoint was trained with, its `hyper_parameters` by name. */
  readonly settings: ReadonlyMap<string, unknown>;
}

/** Ends of the names that `openTensors` knows, for messages. */
export const TENSOR_FILES = ".safetensors, .bin, .ckpt, .pt, .pth, or the .index.json of several";

/** Bytes of an index. */
const MAX_INDEX = 100_000_000;

/**
 * Opens a safetensors file, a PyTorch checkpoint (see `openTorch`; its checksums are verified as it is read), or the
 * shards behind an index such as `model.safetensors.index.json` or `pytorch_model.bin.index.json`; or bytes, whose name
 * says what they are, but no index. Throws FormatError.
 */
export function openTensors(from: string | ByteSource): TensorFile {
  const name = nameOf(from);
  if (name.endsWith(".safetensors")) return openPlain(from);
  if (/\.(bin|ckpt|pt|pth)$/.test(name)) return openCheckpoint(from);
  if (name.endsWith(".index.json") && typeof from === "string") return openShards(from);
  throw new FormatError(name, `a file of tensors: ${TENSOR_FILES}`, "another name");
}

const nameOf = (from: string | ByteSource): string => (typeof from === "string" ? from : from.name);

function withoutAverages(
  path: string,
  tensors: ReadonlyMap<string, LazyTensor>,
  close: () => void,
): TensorFile {
  return {
    tensors,
    hasAverages: false,
    settings: new Map(),
    averages() {
      throw new FormatError(path, "running averages", "a file of one set of tensors");
    },
    [Symbol.dispose]: close,
  };
}

function openPlain(from: string | ByteSource): TensorFile {
  const file = openSafetensors(from);
  const tensors = lazyMap(file.tensors, (_, name) => ({
    read: () => file.read(name).data,
    pieces: (unit) => file.pieces(name, unit),
  }));
  return withoutAverages(nameOf(from), tensors, () => file[Symbol.dispose]());
}

function openCheckpoint(from: string | ByteSource): TensorFile {
  const who = nameOf(from);
  // Lightning keeps hyper-parameters and callbacks beside the weights: their classes are walked over, never built.
  const file = openTorch(from, "checkpoint");
  const lazy = (ref: TensorRef): Reading => ({
    read() {
      const { data } = file.read(ref);
      file.verify(ref); // no more reading, unless it is a part of a large storage
      return data;
    },
    *pieces(unit) {
      yield* file.pieces(ref, unit);
      file.verify(ref);
    },
  });
  const mapOf = (key: string, place: unknown): ReadonlyMap<unknown, unknown> => {
    const found: unknown = place instanceof Map ? place.get(key) : undefined;
    return found instanceof Map ? found : new Map();
  };
  try {
    const settings = [...mapOf("hyper_parameters", file.root)].filter(
      (entry): entry is [string, unknown] => typeof entry[0] === "string",
    );
    return {
      tensors: lazyMap(stateDict(file, { weights: "model" }, who), lazy),
      hasAverages: Array.isArray(mapOf("EMA", mapOf("callbacks", file.root)).get("ema_weights")),
      averages: () => lazyMap(stateDict(file, { weights: "ema" }, who), lazy),
      settings: new Map(settings),
      [Symbol.dispose]: () => file[Symbol.dispose](),
    };
  } catch (error) {
    file[Symbol.dispose]();
    throw error;
  }
}

/** `weight_map` names the file of each tensor; files lie beside the index and must hold what it says. */
function openShards(path: string): TensorFile {
  const index = parseStrictJson(path, readText(path, MAX_INDEX));
  const map = index instanceof Map ? index.get("weight_map") : undefined;
  if (!(map instanceof Map)) throw new FormatError(path, "a weight_map", describe(map));

  const shards = new Map<string, TensorFile>();
  const close = (): void => {
    for (const shard of shards.values()) shard[Symbol.dispose]();
  };
  try {
    const tensors = new Map<string, LazyTensor>();
    for (const [name, file] of map) {
      const who = `${path}, ${name}`;
      if (typeof file !== "string" || /[/\\]/.test(file) || file.endsWith(".index.json"))
        throw new FormatError(who, "a file of tensors beside the index", describe(file));
      const shard = shards.get(file) ?? openTensors(beside(path, file));
      shards.set(file, shard);
      const tensor = shard.tensors.get(name);
      if (tensor === undefined) throw new FormatError(who, `a tensor in ${file}`, "none of that name");
      tensors.set(name, tensor);
    }
    return withoutAverages(path, tensors, close);
  } catch (error) {
    close();
    throw error;
  }
}

type Reading = Required<Pick<LazyTensor, "read" | "pieces">>;

const lazyMap = <T extends Pick<LazyTensor, "dtype" | "shape">>(
  tensors: ReadonlyMap<string, T>,
  reading: (tensor: T, name: string) => Reading,
): Map<string, LazyTensor> =>
  new Map(
    [...tensors].map(([name, tensor]) => [
      name,
      { dtype: tensor.dtype, shape: tensor.shape, ...reading(tensor, name) },
    ]),
  );
