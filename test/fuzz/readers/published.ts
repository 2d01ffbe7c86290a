import { readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { openFlorence2 } from "../../../vla/florence2/published.ts";
import { writeFolder } from "../../vla/florence2/folders.ts";
import { BrokenLaw, type Reader } from "../reader.ts";
import { jsonValues, safetensorsHeader } from "../structure.ts";
import { inScratch } from "./scratch.ts";

/** A published encoder's folder at the smallest size: configuration, tokenizer, weights in two files with an index. */
const reader: Reader = {
  seeds: inScratch((folder) => {
    writeFolder(folder, { file: "model.safetensors.index.json" });
    return readdirSync(folder).map((file) => ({ file, bytes: readFileSync(join(folder, file)) }));
  }),
  mutations: [
    (bytes, random, other) => (bytes[0] === 0x7b ? jsonValues : safetensorsHeader)(bytes, random, other),
  ],
  prepare: () => (path) => {
    using encoder = openFlorence2(dirname(path));
    let numbers = 0;
    for (const [name, tensor] of encoder.tensors) {
      const { data } = { data: tensor.read() };
      if (data.length !== tensor.shape.reduce((product, size) => product * size, 1))
        throw new BrokenLaw(`${name}: ${data.length} numbers`);
      numbers += data.length;
    }
    return `${numbers} numbers`;
  },
};

export default reader;
