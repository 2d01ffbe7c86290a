import type { Part } from "./drawable.ts";
import type { Kernels } from "./kernels/kernels.ts";
import { FRAME, PART, PART_BYTES } from "./layout.ts";
import type { Lights } from "./lights.ts";
import type { RenderMemory } from "./memory.ts";
import type { RenderScene } from "./scene.ts";

/** Lights corners of the scene as one pass sees them: each once, and only those of triangles that are logged. */
export class Lighting {
  readonly #lights: Lights;
  readonly #scene: RenderScene;
  readonly #kernels: Kernels;
  readonly #frame: Int32Array;
  /** Counts the passes: a corner lit in an earlier one counts as not lit. */
  #stamp = 0;
  #tint = 1;

  constructor(lights: Lights, scene: RenderScene, memory: RenderMemory, kernels: Kernels) {
    this.#lights = lights;
    this.#scene = scene;
    this.#kernels = kernels;
    this.#frame = memory.frame.ints;
  }

  /** Forgets what was lit. `tint` scales the material's colour but not its highlight. */
  begin(tint: number): void {
    this.#stamp++;
    this.#tint = tint;
    this.#frame[FRAME.stamp / 4] = this.#stamp;
    this.#frame[FRAME.lights / 4] = this.#lights.table.byteOffset;
    this.#frame[FRAME.lightCount / 4] = this.#lights.count;
  }

  /** Makes sure that the corners of logged triangles `from` to `to` - 1, all of this part, are lit. */
  light({ index, owner }: Part, from: number, to: number): void {
    if (from === to) return;
    const { blocks } = this.#scene;
    const at = (PART_BYTES / 8) * index;
    blocks.set(owner.rotation, at + PART.rotation / 8);
    for (let k = 0; k < 3; k++) blocks[at + PART.color / 8 + k] = owner.rgba[k] * this.#tint;
    blocks[at + PART.glow / 8] = owner.emission + this.#lights.globalAmbient;
    this.#kernels.light(index, from, to);
  }
}
