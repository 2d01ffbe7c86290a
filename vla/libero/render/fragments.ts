import { FRAME } from "./layout.ts";
import type { RenderMemory } from "./memory.ts";

/**
 * Samples of blended triangles that passed the depth test: the number of a sample, then that of its triangle in the
 * log.
 */
export class Fragments {
  list: Int32Array;
  readonly #memory: RenderMemory;

  constructor(memory: RenderMemory) {
    this.#memory = memory;
    this.list = memory.ints(2 << 10);
  }

  /** Begins another list. */
  begin(): void {
    const { ints } = this.#memory.frame;
    ints[FRAME.fragments / 4] = this.list.byteOffset;
    ints[FRAME.fragmentLimit / 4] = this.list.length / 2;
    ints[FRAME.fragmentCount / 4] = 0;
  }

  /** Makes room for more, when the list is full. */
  grow(): void {
    const { ints } = this.#memory.frame;
    const grown = this.#memory.ints(2 * this.list.length);
    grown.set(this.list);
    this.list = grown;
    ints[FRAME.fragments / 4] = grown.byteOffset;
    ints[FRAME.fragmentLimit / 4] = grown.length / 2;
  }
}
