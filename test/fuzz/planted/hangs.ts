import { readFileSync } from "node:fs";
import type { Reader } from "../reader.ts";

/** A reader with a fault: a `!` anywhere keeps it for ever. */
const reader: Reader = {
  seeds: [{ file: "input.bin", bytes: Buffer.from("sound") }],
  mutations: [],
  prepare: () => (path) => {
    while (readFileSync(path).includes("!"));
    return "nothing";
  },
};

export default reader;
