import { join } from "node:path";
import { type HostTensor, openSafetensors, readSafetensors, writeSafetensors } from "../../../core/index.ts";
import { BrokenLaw, type Input, type Reader } from "../reader.ts";
import { safetensorsHeader } from "../structure.ts";

const FILE = "weights.safetensors";

/** The file's layout, written by hand: a length, a JSON header, the data. */
export function safetensorsFile(header: unknown, data: Uint8Array): Buffer {
  const text = Buffer.from(JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length));
  return Buffer.concat([length, text, data]);
}

const seed = (header: unknown, bytes: number): Input => ({
  file: FILE,
  bytes: safetensorsFile(header, Buffer.alloc(bytes, 1)),
});

const reader: Reader = {
  seeds: [
    seed({ a: { dtype: "F32", shape: [2, 3], data_offsets: [0, 24] } }, 24),
    seed(
      {
        __metadata__: { format: "pt" },
        "layer.weight": { dtype: "BF16", shape: [4, 2], data_offsets: [8, 24] },
        "layer.bias": { dtype: "I64", shape: [], data_offsets: [0, 8] },
        empty: { dtype: "U8", shape: [0, 7], data_offsets: [24, 24] },
        mask: { dtype: "BOOL", shape: [3], data_offsets: [24, 27] },
      },
      27,
    ),
    seed({}, 0),
  ],
  mutations: [safetensorsHeader],
  prepare(folder) {
    const written = join(folder, "written.safetensors");
    return (path) => {
      const tensors = readSafetensors(path);
      checkEqual(tensors, readSafetensors(path), "read twice, a file is the same");
      using file = openSafetensors(path);
      writeSafetensors(written, tensors, Object.fromEntries(file.metadata));
      checkEqual(tensors, readSafetensors(written), "written and read again, a file is the same");
      const kinds = [...new Set(Array.from(tensors.values(), ({ dtype }) => dtype))].sort();
      return `${tensors.size} tensors of ${kinds.join(" ")}`;
    };
  },
};

export default reader;

function checkEqual(
  a: ReadonlyMap<string, HostTensor>,
  b: ReadonlyMap<string, HostTensor>,
  law: string,
): void {
  const same = ([name, { dtype, shape, data }]: [string, HostTensor]): boolean => {
    const other = b.get(name);
    return (
      other?.dtype === dtype &&
      String(other.shape) === String(shape) &&
      Buffer.compare(bytesOf(data), bytesOf(other.data)) === 0
    );
  };
  if (a.size !== b.size || ![...a].every(same)) throw new BrokenLaw(law);
}

const bytesOf = (data: HostTensor["data"]): Buffer =>
  Buffer.from(data.buffer, data.byteOffset, data.byteLength);
