import { readFileSync } from "node:fs";
import type { Reader } from "../reader.ts";

/** A reader with a fault: a `!` anywhere makes it look at what is not there. */
const reader: Reader = {
  seeds: [{ file: "input.bin", bytes: Buffer.from("a sound input") }],
  mutations: [],
  prepare: () => (path) => {
    const bytes = readFileSync(path);
    if (!bytes.includes("!")) throw new Error(`${path}: expected nothing, found ${bytes.length} bytes`);
    return (undefined as unknown as string).trim();
  },
};

export default reader;
