import { openTorch, stateDict } from "../../../core/index.ts";
import { P, tensor, torchFile } from "../../core/formats/build.ts";
import { BrokenLaw, type Reader } from "../reader.ts";
import { pickleOpcodes, zipEntries } from "../structure.ts";

const FILE = "weights.pt";
const storage = Buffer.alloc(96, 1);

const dense = tensor({ dtype: "F32", key: "0", count: 24, offset: 0, shape: [2, 3], stride: [3, 1] });
const strided = tensor({ dtype: "F32", key: "0", count: 24, offset: 2, shape: [3, 4], stride: [1, 5] });
const expanded = tensor({
  dtype: "BF16",
  key: "1",
  count: 4,
  offset: 1,
  shape: [5, 3, 1],
  stride: [0, 1, 3],
});
const state = P.dict([P.text("a.weight"), dense], [P.text("b"), strided], [P.text("c"), expanded]);

const reader: Reader = {
  seeds: [
    torchFile(P.file(state), { 0: storage, 1: storage.subarray(0, 8) }),
    torchFile(
      P.file(
        P.dict(
          [P.text("state_dict"), state],
          [P.text("epoch"), P.int(3)],
          [P.text("hyper"), P.reduce(P.global("omegaconf", "DictConfig"), P.tuple(P.list(P.float(0.5))))],
        ),
      ),
      { 0: storage, 1: storage.subarray(0, 8) },
      { zip64: true },
    ),
    torchFile(P.file(P.put(1, P.list(P.none, P.bool(true), P.set(P.int(1)), P.blob(storage)))), {}),
  ].map((bytes) => ({ file: FILE, bytes })),
  mutations: [zipEntries(pickleOpcodes)],
  prepare: () => (path) => {
    using file = openTorch(path, "checkpoint");
    let kind = "no state dict";
    if (file.root instanceof Map) {
      const tensors = stateDict(file, { weights: "model" }, path);
      for (const [name, ref] of tensors) {
        const { shape, data } = file.read(ref);
        const count = shape.reduce((product, size) => product * size, 1);
        if (data.length !== count) throw new BrokenLaw(`${name}: ${data.length} numbers for ${count}`);
      }
      kind = `${tensors.size} tensors`;
    }
    return kind;
  },
};

export default reader;
