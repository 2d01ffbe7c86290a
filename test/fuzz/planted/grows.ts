import { readFileSync } from "node:fs";
import type { Reader } from "../reader.ts";

/** A reader with a fault: a `!` anywhere makes it take all memory there is, outside of the engine's heap. */
const reader: Reader = {
  seeds: [{ file: "input.bin", bytes: Buffer.from("sound") }],
  mutations: [],
  prepare: () => (path) => {
    const taken: Uint8Array[] = [];
    while (readFileSync(path).includes("!")) taken.push(new Uint8Array(2 ** 22).fill(1));
    return "nothing";
  },
};

export default reader;
