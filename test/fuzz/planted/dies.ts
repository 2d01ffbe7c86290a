import { readFileSync } from "node:fs";
import type { Reader } from "../reader.ts";

let hasRead = false;
let hasMutated = false;

/** A reader with a fault, `!`, whose process ends before its next input where it was asked to judge one first. */
const reader: Reader = {
  seeds: [{ file: "input.bin", bytes: Buffer.from("a sound input") }],
  mutations: [
    (bytes, random) => {
      if (hasRead && !hasMutated) process.exit(1);
      hasMutated = true;
      return Buffer.concat([bytes, Buffer.from(random.integer(20) === 0 ? "!" : ".")]);
    },
  ],
  prepare: () => (path) => {
    hasRead = true;
    if (readFileSync(path).includes("!")) throw new TypeError("a fault");
    throw new Error(`${path}: expected nothing, found bytes`);
  },
};

export default reader;
