import { I32, Library, Nothing, optimising } from "../../../../core/index.ts";
import { MEMORY_LIMITS } from "../memory.ts";
import { defineLighting } from "./lighting.ts";
import { defineRaster } from "./raster.ts";
import { defineShading } from "./shading.ts";
import { defineLookups } from "./texture.ts";

/** The renderer's inner loops, over one renderer's memory (layout.ts says where they find what). */
export interface Kernels {
  /** See kernels/raster.ts. */
  drawCluster(
    points: number,
    pointCount: number,
    corners: number,
    numbers: number,
    place: number,
    count: number,
    logged: number,
  ): number;
  /** See kernels/lighting.ts. */
  light(part: number, from: number, to: number): void;
  /** See kernels/shading.ts. */
  reflect(
    left: number,
    right: number,
    bottom: number,
    top: number,
    first: number,
    end: number,
    reflected: number,
  ): void;
  resolve(pixels: number, count: number): void;
  triangle(number: number, x: number, y: number): void;
  shade(left: number, right: number, bottom: number, top: number, sky: number): void;
}

let compiled: WebAssembly.Module | undefined;

/** What kernels ask for while they run. */
export interface Requests {
  /** Makes a level of a pyramid, both by number, and returns the address of its texels. */
  readonly makeLevel: (pyramid: number, level: number) => number;
  /** Makes room for more fragments. */
  readonly moreFragments: () => void;
}

/** The kernels over that memory. */
export function bindKernels(memory: WebAssembly.Memory, requests: Requests): Kernels {
  return optimising(() => {
    compiled ??= new WebAssembly.Module(assemble());
    const { exports } = new WebAssembly.Instance(compiled, { env: { memory, ...requests } });
    return exports as unknown as Kernels;
  });
}

function assemble(): Uint8Array<ArrayBuffer> {
  const library = new Library();
  const makeLevel = library.import("makeLevel", [I32, I32], I32);
  const moreFragments = library.import("moreFragments", [], Nothing);
  const partOf = defineRaster(library, moreFragments);
  defineLighting(library);
  defineShading(library, defineLookups(library, makeLevel), partOf);
  return library.bytes(MEMORY_LIMITS);
}
