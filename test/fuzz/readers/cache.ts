import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { crc32 } from "node:zlib";
import { Cache } from "../../../core/index.ts";
import { anyBytes, type Mutation, once } from "../mutate.ts";
import { BrokenLaw, type Input, type Reader } from "../reader.ts";
import { inScratch } from "./scratch.ts";

/** The file of a cache that holds `content` under `key`. */
export function cacheFile(key: string, content: Uint8Array): Input {
  return inScratch((folder) => {
    new Cache(folder).write(key, content);
    const [file] = readdirSync(folder);
    return { file, bytes: readFileSync(join(folder, file)) };
  });
}

/** Bytes of a file before its key: the format's name, the key's length, the content's checksum. */
const HEAD = 24;

/** Changes the content of a cache file, and its checksum to match. */
export const cacheContent: Mutation = (bytes, random, other) => {
  if (bytes.length < HEAD) return anyBytes(bytes, random, other);
  const start = HEAD + bytes.readUInt32LE(HEAD - 8);
  const content = anyBytes(bytes.subarray(start), random, other.subarray(start));
  const out = Buffer.concat([bytes.subarray(0, start), content]);
  if (!once(random, 8)) out.writeUInt32LE(crc32(content), HEAD - 4);
  return out;
};

const KEY = "fuzz: a key";

/** A damaged entry counts as absent and makes room for another. */
const reader: Reader = {
  seeds: [cacheFile(KEY, Buffer.from("content")), cacheFile(KEY, Buffer.alloc(0))],
  mutations: [cacheContent],
  prepare: () => (path) => {
    const cache = new Cache(dirname(path));
    const content = cache.read(KEY);
    if (content) {
      if (
        !readFileSync(path)
          .subarray(-content.length || Infinity)
          .equals(content)
      )
        throw new BrokenLaw("not what was kept");
      return "content";
    }
    if (existsSync(path)) throw new BrokenLaw("a damaged entry that stays");
    cache.write(KEY, Buffer.from("new"));
    if (cache.read(KEY)?.length !== 3) throw new BrokenLaw("a damaged entry that cannot be replaced");
    return null;
  },
};

export default reader;
