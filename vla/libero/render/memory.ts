import { FRAME_BYTES } from "./layout.ts";

/** Bytes of a page of WebAssembly memory. */
const PAGE = 65_536;
/** 2 GiB: addresses stay positive as signed integers. */
const MOST_PAGES = 32_767;
/** Every array begins at a multiple of this many bytes. */
const ALIGN = 16;

/** Pages that kernels are told of: what they import must not be larger. */
export const MEMORY_LIMITS = { minimum: 1, maximum: MOST_PAGES, shared: true } as const;

/**
 * What a renderer's kernels read and write: arrays in one WebAssembly memory, which is freed as a whole with the
 * renderer. The memory is shared because such memory can grow under the arrays that are in use, not because threads
 * share it.
 */
export class RenderMemory {
  readonly memory = new WebAssembly.Memory({ initial: 1, maximum: MOST_PAGES, shared: true });
  /** The block at address 0, `FRAME` of layout.ts, as numbers of either kind. */
  readonly frame: { readonly doubles: Float64Array; readonly ints: Int32Array };
  #end = 0;

  constructor() {
    const doubles = this.doubles(FRAME_BYTES / 8);
    this.frame = { doubles, ints: new Int32Array(doubles.buffer, 0, FRAME_BYTES / 4) };
  }

  bytes(length: number): Uint8Array {
    const at = this.#take(length);
    return new Uint8Array(this.memory.buffer, at, length);
  }

  ints(length: number): Int32Array {
    const at = this.#take(4 * length);
    return new Int32Array(this.memory.buffer, at, length);
  }

  floats(length: number): Float32Array {
    const at = this.#take(4 * length);
    return new Float32Array(this.memory.buffer, at, length);
  }

  doubles(length: number): Float64Array {
    const at = this.#take(8 * length);
    return new Float64Array(this.memory.buffer, at, length);
  }

  /** The same numbers in this memory. */
  copy<T extends Float32Array | Float64Array | Uint32Array | Uint8Array>(from: T): T {
    const at = this.#take(from.byteLength);
    const type = from.constructor as new (buffer: ArrayBufferLike, at: number, length: number) => T;
    const to = new type(this.memory.buffer, at, from.length);
    to.set(from as never);
    return to;
  }

  /**
   * Room of that many bytes, all zero; and as many behind it as one vector has, so that the last may be read as a
   * vector.
   */
  #take(bytes: number): number {
    const at = this.#end;
    const end = Math.ceil((at + bytes + ALIGN) / ALIGN) * ALIGN;
    const missing = end - this.memory.buffer.byteLength;
    if (missing > 0) {
      const pages = Math.ceil(missing / PAGE);
      try {
        this.memory.grow(pages);
      } catch (cause) {
        throw new Error(`RenderMemory: expected room for ${bytes} more bytes beside ${at}, found none`, {
          cause,
        });
      }
    }
    this.#end = end;
    return at;
  }
}
