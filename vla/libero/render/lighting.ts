import type { Part } from "./drawable.ts";
import {
  LIGHT_AMBIENT,
  LIGHT_ATTENUATION,
  LIGHT_COS_CUTOFF,
  LIGHT_DIFFUSE,
  LIGHT_DIRECTION,
  LIGHT_EXPONENT,
  LIGHT_IS_DIRECTIONAL,
  LIGHT_POSITION,
  LIGHT_SPECULAR,
  LIGHT_STRIDE,
  type Lights,
} from "./lights.ts";

/**
 * Gouraud lighting as fixed-function OpenGL does it, at corners and only at those that are seen. For material colour m:
 *
 *   c = (emission + globalAmbient) m + Σ k (ambient m + max(N·L, 0) diffuse m + [N·L > 0] max(N·H, 0)^(128 shininess) specular)
 *
 * L points to the light, H is the unit vector half-way between L and the eye, k the light's attenuation and cone.
 * Colours are clamped to [0, 1] per corner.
 */
export class Lighting {
  /** Colour of every corner lit so far, (C, 3). */
  readonly colors: Float32Array;
  /** Which pass lit a corner; a corner lit in an earlier pass counts as not lit. */
  readonly #litIn: Uint32Array;
  #pass = 0;
  readonly #lights: Lights;
  #eyeX = 0;
  #eyeY = 0;
  #eyeZ = 0;
  #tint = 1;

  constructor(lights: Lights, cornerCount: number) {
    this.#lights = lights;
    this.colors = new Float32Array(3 * cornerCount);
    this.#litIn = new Uint32Array(cornerCount);
  }

  /** Forgets what was lit. `tint` scales the material's colour but not its highlight. */
  begin(eye: Float64Array, tint: number): void {
    this.#pass++;
    this.#eyeX = eye[0];
    this.#eyeY = eye[1];
    this.#eyeZ = eye[2];
    this.#tint = tint;
  }

  /** Makes sure that `colors` holds this corner of the part. */
  light(part: Part, corner: number): void {
    const slot = part.firstCorner + corner;
    if (this.#litIn[slot] === this.#pass) return;
    this.#litIn[slot] = this.#pass;
    this.#compute(part, corner, 3 * slot);
  }

  #compute(part: Part, corner: number, out: number): void {
    const { surface, world, scale, owner } = part;
    const { points, normals } = surface;
    const p = 3 * surface.cornerPoints[corner];
    const n = 3 * corner;
    const px = points[p];
    const py = points[p + 1];
    const pz = points[p + 2];
    const x = world[0] * px + world[1] * py + world[2] * pz + world[3];
    const y = world[4] * px + world[5] * py + world[6] * pz + world[7];
    const z = world[8] * px + world[9] * py + world[10] * pz + world[11];

    // Normals go with the inverse transpose; world = rotation · scale, so rotation · (n / scale).
    const r = owner.rotation;
    const ux = normals[n] / scale[0];
    const uy = normals[n + 1] / scale[1];
    const uz = normals[n + 2] / scale[2];
    let nx = r[0] * ux + r[1] * uy + r[2] * uz;
    let ny = r[3] * ux + r[4] * uy + r[5] * uz;
    let nz = r[6] * ux + r[7] * uy + r[8] * uz;
    const normalScale = 1 / (Math.sqrt(nx * nx + ny * ny + nz * nz) || 1);
    nx *= normalScale;
    ny *= normalScale;
    nz *= normalScale;

    let vx = this.#eyeX - x;
    let vy = this.#eyeY - y;
    let vz = this.#eyeZ - z;
    const eyeScale = 1 / (Math.sqrt(vx * vx + vy * vy + vz * vz) || 1);
    vx *= eyeScale;
    vy *= eyeScale;
    vz *= eyeScale;

    const red = owner.rgba[0] * this.#tint;
    const green = owner.rgba[1] * this.#tint;
    const blue = owner.rgba[2] * this.#tint;
    const glow = owner.emission + this.#lights.globalAmbient;
    let cr = glow * red;
    let cg = glow * green;
    let cb = glow * blue;

    const exponent = 128 * owner.shininess;
    const specular = owner.specular;
    const { table, count } = this.#lights;
    for (let i = 0, at = 0; i < count; i++, at += LIGHT_STRIDE) {
      // Most exponents are whole and small: 10 or 64 squarings and products take a third of the time of **.
      let lx: number;
      let ly: number;
      let lz: number;
      let k = 1;
      const dx = table[at + LIGHT_DIRECTION];
      const dy = table[at + LIGHT_DIRECTION + 1];
      const dz = table[at + LIGHT_DIRECTION + 2];
      if (table[at + LIGHT_IS_DIRECTIONAL] === 1) {
        lx = -dx;
        ly = -dy;
        lz = -dz;
      } else {
        lx = table[at + LIGHT_POSITION] - x;
        ly = table[at + LIGHT_POSITION + 1] - y;
        lz = table[at + LIGHT_POSITION + 2] - z;
        const distance = Math.sqrt(lx * lx + ly * ly + lz * lz) || 1e-12;
        lx /= distance;
        ly /= distance;
        lz /= distance;
        const a = at + LIGHT_ATTENUATION;
        k = 1 / (table[a] + table[a + 1] * distance + table[a + 2] * distance * distance);
        const cosCutoff = table[at + LIGHT_COS_CUTOFF];
        if (cosCutoff > -2) {
          const cosine = -(lx * dx + ly * dy + lz * dz);
          if (cosine < cosCutoff) continue;
          const exponent = table[at + LIGHT_EXPONENT];
          const base = Math.max(cosine, 0);
          if (exponent !== (exponent & 255)) k *= base ** exponent;
          else
            for (let n = exponent, square = base; n !== 0; n >>= 1, square *= square) if (n & 1) k *= square;
        }
      }
      const facing = Math.max(0, nx * lx + ny * ly + nz * lz);
      let shine = 0;
      if (facing > 0 && specular > 0) {
        const hx = lx + vx;
        const hy = ly + vy;
        const hz = lz + vz;
        const cosine = (nx * hx + ny * hy + nz * hz) / (Math.sqrt(hx * hx + hy * hy + hz * hz) || 1);
        if (cosine > 0 || exponent === 0) {
          shine = specular;
          if (exponent !== (exponent & 255)) shine *= cosine ** exponent;
          else
            for (let n = exponent, square = cosine; n !== 0; n >>= 1, square *= square)
              if (n & 1) shine *= square;
        }
      }
      const am = at + LIGHT_AMBIENT;
      const di = at + LIGHT_DIFFUSE;
      const sp = at + LIGHT_SPECULAR;
      cr += k * (red * (table[am] + facing * table[di]) + shine * table[sp]);
      cg += k * (green * (table[am + 1] + facing * table[di + 1]) + shine * table[sp + 1]);
      cb += k * (blue * (table[am + 2] + facing * table[di + 2]) + shine * table[sp + 2]);
    }
    const { colors } = this;
    colors[out] = Math.max(0, Math.min(1, cr));
    colors[out + 1] = Math.max(0, Math.min(1, cg));
    colors[out + 2] = Math.max(0, Math.min(1, cb));
  }
}
