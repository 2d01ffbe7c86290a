import type { MjData, MjModel } from "@mujoco/mujoco";
import { LIGHT, LIGHT_BYTES } from "./layout.ts";
import type { RenderMemory } from "./memory.ts";

/** `mjtLightType`. */
const SPOT = 0;
const DIRECTIONAL = 1;

/** Numbers of a light in `Lights.table`. */
const STRIDE = LIGHT_BYTES / 8;

/** Without any light MuJoCo adds this much ambient light. */
const FALLBACK_AMBIENT = 0.3;

/**
 * The active lights of a model in a flat table (`LIGHT` of layout.ts): the headlight first, then spot and directional
 * lights in order.
 */
export class Lights {
  readonly count: number;
  readonly table: Float64Array;
  readonly globalAmbient: number;
  readonly #ids: readonly number[];
  readonly #headlight: boolean;

  constructor(model: MjModel, memory: RenderMemory) {
    const active = Array.from({ length: model.nlight }, (_, id) => id).filter((id) => isActive(model, id));
    this.#ids = active.filter((id) => model.light_type[id] === SPOT || model.light_type[id] === DIRECTIONAL);
    this.#headlight = model.vis.headlight.active !== 0;
    this.count = this.#ids.length + (this.#headlight ? 1 : 0);
    this.globalAmbient = active.length > 0 || this.#headlight ? 0 : FALLBACK_AMBIENT;
    this.table = memory.doubles(STRIDE * this.count);
    if (this.#headlight) {
      const { ambient, diffuse, specular } = model.vis.headlight;
      this.#fill(0, true, ambient, diffuse, specular);
    }
    this.#ids.forEach((id, i) => {
      const rgb = (table: Float32Array): Float32Array => table.subarray(3 * id, 3 * id + 3);
      const at = STRIDE * (i + (this.#headlight ? 1 : 0));
      const directional = model.light_type[id] === DIRECTIONAL;
      this.#fill(
        at,
        directional,
        rgb(model.light_ambient),
        rgb(model.light_diffuse),
        rgb(model.light_specular),
      );
      if (directional) return;
      const cutoff: number = model.light_cutoff[id]; // degrees; 180 means no cone
      this.table.set(rgb(model.light_attenuation), at + LIGHT.attenuation / 8);
      this.table[at + LIGHT.cosCutoff / 8] = cutoff < 180 ? Math.cos((cutoff * Math.PI) / 180) : -2;
      this.table[at + LIGHT.exponent / 8] = model.light_exponent[id];
    });
  }

  #fill(
    at: number,
    directional: boolean,
    ambient: Float32Array,
    diffuse: Float32Array,
    specular: Float32Array,
  ): void {
    const { table } = this;
    table[at + LIGHT.isDirectional / 8] = directional ? 1 : 0;
    table.set(ambient, at + LIGHT.ambient / 8);
    table.set(diffuse, at + LIGHT.diffuse / 8);
    table.set(specular, at + LIGHT.specular / 8);
    table[at + LIGHT.attenuation / 8] = 1;
    table[at + LIGHT.cosCutoff / 8] = -2;
  }

  /** Takes this frame's light poses; the headlight shines along the camera's unit `forward`. */
  update(data: MjData, forward: Float64Array): void {
    const { table } = this;
    if (this.#headlight) table.set(forward, LIGHT.direction / 8);
    const positions: Float64Array = data.light_xpos;
    const directions: Float64Array = data.light_xdir;
    for (let i = 0; i < this.#ids.length; i++) {
      const from = 3 * this.#ids[i];
      const at = STRIDE * (i + (this.#headlight ? 1 : 0));
      const length = Math.hypot(directions[from], directions[from + 1], directions[from + 2]) || 1;
      for (let k = 0; k < 3; k++) {
        table[at + LIGHT.position / 8 + k] = positions[from + k];
        table[at + LIGHT.direction / 8 + k] = directions[from + k] / length;
      }
    }
  }
}

function isActive(model: MjModel, id: number): boolean {
  const row = model.light(id); // the only way to a boolean field in 3.14: its array cannot be read
  const active = Boolean(row.active);
  row.delete();
  return active;
}
