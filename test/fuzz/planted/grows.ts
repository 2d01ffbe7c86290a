import { readFileSync } from "node:fs";
import type { Reader } from "../reader.ts";

/** A reader with a fault: a `!` anywhere makes it take 256 MB outside of the engine's heap, and keep them. */
const reader: Reader = {
  seeds: [{ file: "input.bin", bytes: Buffer.from("sound") }],
  mutations: [],
  prepare: () => (path) => {
    const taken: Uint8Array[] = [];
    while (readFileSync(path).includes("!"))
      if (taken.length < 16) taken.push(new Uint8Array(2 ** 24).fill(1));
    return "nothing";
  },
};

export default reader;
