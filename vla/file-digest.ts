import { openFile, sha256 } from "./platform/node.ts";
import type { Digest } from "./platform/platform.ts";

const CHUNK_BYTES = 2 ** 20;

/** SHA-256 of a file of any size, in hexadecimal. */
export const fileDigest = (path: string): string => digestOf(path).hex();

/** The same, not yet written out. */
export function digestOf(path: string): Digest {
  using file = openFile(path);
  const digest = sha256();
  const chunk = new Uint8Array(Math.min(CHUNK_BYTES, file.size));
  for (let at = 0; at < file.size; at += chunk.length) {
    const piece = chunk.subarray(0, file.size - at);
    file.readInto(piece, at);
    digest.update(piece);
  }
  return digest;
}
