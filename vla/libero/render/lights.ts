import type { MjData, MjModel } from "@mujoco/mujoco";

/** `mjtLightType`. */
const SPOT = 0;
const DIRECTIONAL = 1;

/** Layout of one light in `Lights.table`. */
export const LIGHT_STRIDE = 21;
export const LIGHT_IS_DIRECTIONAL = 0;
export const LIGHT_POSITION = 1;
/** Unit vector the light shines along. */
export const LIGHT_DIRECTION = 4;
export const LIGHT_AMBIENT = 7;
export const LIGHT_DIFFUSE = 10;
export const LIGHT_SPECULAR = 13;
/** Constant, linear and quadratic. */
export const LIGHT_ATTENUATION = 16;
/** Cosine of the cutoff angle; -2 where there is no cone. */
export const LIGHT_COS_CUTOFF = 19;
export const LIGHT_EXPONENT = 20;

/** Without any light MuJoCo adds this much ambient light. */
const FALLBACK_AMBIENT = 0.3;

/** The active lights of a model in a flat table: the headlight first, then spot and directional lights in order. */
export class Lights {
  readonly count: number;
  readonly table: Float64Array;
  readonly globalAmbient: number;
  readonly #ids: readonly number[];
  readonly #headlight: boolean;

  constructor(model: MjModel) {
    const active = Array.from({ length: model.nlight }, (_, id) => id).filter((id) => isActive(model, id));
    this.#ids = active.filter((id) => model.light_type[id] === SPOT || model.light_type[id] === DIRECTIONAL);
    this.#headlight = model.vis.headlight.active !== 0;
    this.count = this.#ids.length + (this.#headlight ? 1 : 0);
    this.globalAmbient = active.length > 0 || this.#headlight ? 0 : FALLBACK_AMBIENT;
    this.table = new Float64Array(LIGHT_STRIDE * this.count);
    if (this.#headlight) {
      const { ambient, diffuse, specular } = model.vis.headlight;
      this.#fill(0, true, ambient, diffuse, specular);
    }
    this.#ids.forEach((id, i) => {
      const rgb = (table: Float32Array): Float32Array => table.subarray(3 * id, 3 * id + 3);
      const at = LIGHT_STRIDE * (i + (this.#headlight ? 1 : 0));
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
      this.table.set(rgb(model.light_attenuation), at + LIGHT_ATTENUATION);
      this.table[at + LIGHT_COS_CUTOFF] = cutoff < 180 ? Math.cos((cutoff * Math.PI) / 180) : -2;
      this.table[at + LIGHT_EXPONENT] = model.light_exponent[id];
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
    table[at + LIGHT_IS_DIRECTIONAL] = directional ? 1 : 0;
    table.set(ambient, at + LIGHT_AMBIENT);
    table.set(diffuse, at + LIGHT_DIFFUSE);
    table.set(specular, at + LIGHT_SPECULAR);
    table[at + LIGHT_ATTENUATION] = 1;
    table[at + LIGHT_COS_CUTOFF] = -2;
  }

  /** Takes this frame's light poses; the headlight shines along the camera's unit `forward`. */
  update(data: MjData, forward: Float64Array): void {
    const { table } = this;
    if (this.#headlight) table.set(forward, LIGHT_DIRECTION);
    const positions: Float64Array = data.light_xpos;
    const directions: Float64Array = data.light_xdir;
    for (let i = 0; i < this.#ids.length; i++) {
      const from = 3 * this.#ids[i];
      const at = LIGHT_STRIDE * (i + (this.#headlight ? 1 : 0));
      const length = Math.hypot(directions[from], directions[from + 1], directions[from + 2]) || 1;
      for (let k = 0; k < 3; k++) {
        table[at + LIGHT_POSITION + k] = positions[from + k];
        table[at + LIGHT_DIRECTION + k] = directions[from + k] / length;
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
