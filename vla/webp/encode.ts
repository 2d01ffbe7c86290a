import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

/** RGBA pixels, row 0 at the top. */
export interface Pixels {
  readonly width: number;
  readonly height: number;
  readonly data: Uint8ClampedArray<ArrayBuffer>;
}

/** Compresses a picture to a WebP file, as lossy as libwebp does unless told otherwise. */
export type Encode = (pixels: Pixels) => Promise<Uint8Array>;

let opened: Promise<Encode> | null = null;

/** libwebp as WebAssembly: loaded where a picture is to be compressed, once per thread. */
export function openEncoder(): Promise<Encode> {
  return (opened ??= load());
}

async function load(): Promise<Encode> {
  const { default: encode, init } = await import("@jsquash/webp/encode.js");
  // The package would fetch its module, as in a page; that it takes one is in its documentation, and not in its types.
  const path = createRequire(import.meta.url).resolve("@jsquash/webp/codec/enc/webp_enc_simd.wasm");
  const module = new WebAssembly.Module(readFileSync(path));
  await (init as (module: WebAssembly.Module) => Promise<unknown>)(module);
  return async (pixels) => new Uint8Array(await encode({ ...pixels, colorSpace: "srgb" }));
}
