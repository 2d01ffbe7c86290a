import { createHash } from "node:crypto";
import { toHost } from "../../core/index.ts";
import type { Module } from "../../nn/index.ts";

/**
 * SHA-256 over names, types, shapes and numbers of a module's parameters and buffers: the same for the same weights.
 */
export function weightsChecksum(module: Module): string {
  const hash = createHash("sha256");
  for (const [name, tensor] of module.namedTensors()) {
    const { dtype, shape, data } = toHost(tensor);
    hash.update(JSON.stringify([name, dtype, shape]));
    hash.update(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
  }
  return hash.digest("hex");
}
