import type { View } from "./camera.ts";
import type { Part } from "./drawable.ts";
import type { Lighting } from "./lighting.ts";
import { sample2d, sampleCube } from "./sampling.ts";
import type { Texture } from "./texture.ts";
import type { TriangleLog } from "./triangle-log.ts";

/**
 * Colour of a triangle or the sky at a pixel's centre. Corner colours are interpolated perspective-correctly
 * (outside the triangle they extrapolate and are clamped, as centre-sampled OpenGL does), then times the texture.
 */
export class Shader {
  /** The last colour, RGB in [0, 1]. */
  readonly rgb = new Float64Array(3);
  readonly #lighting: Lighting;
  /*
   * What stays the same over a triangle is computed once for all pixels shaded in a row. Numbers go from one method to
   * the next in arrays: as arguments of functions that are too long to be inlined, V8 would make an object of each.
   */
  #triangle = -1;
  #texture: Texture | null = null;
  /** Its edge functions: aᵢ, bᵢ, cᵢ for the corners i = 0, 1, 2. */
  readonly #edges = new Float64Array(9);
  /** Colours of its corners, (3, 3). */
  readonly #colors = new Float64Array(9);
  /** For each of its texture coordinates tᵢ: t₀, t₁, t₂, Σ aᵢ tᵢ, Σ bᵢ tᵢ; then Σ aᵢ, Σ bᵢ. */
  readonly #coordinates = new Float64Array(17);
  /** Perspective-correct weights of the three corners, and the depth. */
  readonly #weights = new Float64Array(4);
  readonly #texel = new Float64Array(3);
  readonly #spot = new Float64Array(6);
  readonly #direction = new Float64Array(3);
  readonly #ddx = new Float64Array(3);
  readonly #ddy = new Float64Array(3);

  constructor(lighting: Lighting) {
    this.#lighting = lighting;
  }

  /** Forgets the last triangle: numbers of the log mean others from now on. */
  begin(): void {
    this.#triangle = -1;
  }

  /** Shades a logged triangle of a part. */
  shade(log: TriangleLog, id: number, part: Part, x: number, y: number): void {
    if (id !== this.#triangle) this.#take(log, id, part);
    const edges = this.#edges;
    const colors = this.#colors;
    const px = x + 0.5;
    const py = y + 0.5;
    const w0 = edges[0] * px + edges[1] * py + edges[2];
    const w1 = edges[3] * px + edges[4] * py + edges[5];
    const w2 = edges[6] * px + edges[7] * py + edges[8];
    const depth = 1 / (w0 + w1 + w2);
    const l0 = w0 * depth;
    const l1 = w1 * depth;
    const l2 = w2 * depth;
    const { rgb } = this;
    rgb[0] = clamp(l0 * colors[0] + l1 * colors[3] + l2 * colors[6]);
    rgb[1] = clamp(l0 * colors[1] + l1 * colors[4] + l2 * colors[7]);
    rgb[2] = clamp(l0 * colors[2] + l1 * colors[5] + l2 * colors[8]);
    const texture = this.#texture;
    if (texture === null) return;
    const weights = this.#weights;
    weights[0] = l0;
    weights[1] = l1;
    weights[2] = l2;
    weights[3] = depth;
    if (texture.kind === "cube") this.#cube(texture);
    else this.#flat(texture);
    const texel = this.#texel;
    rgb[0] *= texel[0];
    rgb[1] *= texel[1];
    rgb[2] *= texel[2];
  }

  #take(log: TriangleLog, id: number, part: Part): void {
    this.#triangle = id;
    this.#texture = part.texture;
    const edges = this.#edges;
    const logged = log.edges;
    for (let i = 0; i < 9; i++) edges[i] = logged[9 * id + i];
    const { triangleCorners } = part.surface;
    const triangle = 3 * log.triangles[id];
    this.#takeColor(part, triangleCorners[triangle], 0);
    this.#takeColor(part, triangleCorners[triangle + 1], 3);
    this.#takeColor(part, triangleCorners[triangle + 2], 6);
    const { texture } = part;
    if (texture === null) return;
    const table = part.coordinates!;
    const dimensions = texture.kind === "cube" ? 3 : 2;
    const c0 = dimensions * triangleCorners[triangle];
    const c1 = dimensions * triangleCorners[triangle + 1];
    const c2 = dimensions * triangleCorners[triangle + 2];
    const coordinates = this.#coordinates;
    for (let k = 0, at = 0; k < dimensions; k++, at += 5) {
      const t0 = table[c0 + k];
      const t1 = table[c1 + k];
      const t2 = table[c2 + k];
      coordinates[at] = t0;
      coordinates[at + 1] = t1;
      coordinates[at + 2] = t2;
      coordinates[at + 3] = edges[0] * t0 + edges[3] * t1 + edges[6] * t2;
      coordinates[at + 4] = edges[1] * t0 + edges[4] * t1 + edges[7] * t2;
    }
    coordinates[15] = edges[0] + edges[3] + edges[6];
    coordinates[16] = edges[1] + edges[4] + edges[7];
  }

  #takeColor(part: Part, corner: number, at: number): void {
    const lighting = this.#lighting;
    lighting.light(part, corner);
    const from = 3 * (part.firstCorner + corner);
    const lit = lighting.colors;
    const colors = this.#colors;
    colors[at] = lit[from];
    colors[at + 1] = lit[from + 1];
    colors[at + 2] = lit[from + 2];
  }

  /** Colour of the skybox behind a pixel; its cube is turned so that its y axis is the world's z. */
  sky(texture: Texture, view: View, x: number, y: number): void {
    const { right, up, forward, scaleX, scaleY } = view;
    const across = (x + 0.5 - view.shiftX) / scaleX;
    const along = (y + 0.5 - view.shiftY) / scaleY;
    const direction = this.#direction;
    const ddx = this.#ddx;
    const ddy = this.#ddy;
    direction[0] = forward[0] + across * right[0] + along * up[0];
    direction[1] = forward[2] + across * right[2] + along * up[2];
    direction[2] = -(forward[1] + across * right[1] + along * up[1]);
    ddx[0] = right[0] / scaleX;
    ddx[1] = right[2] / scaleX;
    ddx[2] = -right[1] / scaleX;
    ddy[0] = up[0] / scaleY;
    ddy[1] = up[2] / scaleY;
    ddy[2] = -up[1] / scaleY;
    sampleCube(texture, direction, ddx, ddy, this.rgb);
  }

  /*
   * A coordinate t = Σ eᵢ tᵢ / Σ eᵢ, so along screen x its derivative is (Σ aᵢ tᵢ - t Σ aᵢ) · depth, along y with bᵢ.
   */

  #flat(texture: Texture): void {
    const weights = this.#weights;
    const depth = weights[3];
    const t = this.#coordinates;
    const spot = this.#spot;
    const u = weights[0] * t[0] + weights[1] * t[1] + weights[2] * t[2];
    const v = weights[0] * t[5] + weights[1] * t[6] + weights[2] * t[7];
    spot[0] = u;
    spot[1] = v;
    spot[2] = (t[3] - u * t[15]) * depth;
    spot[3] = (t[8] - v * t[15]) * depth;
    spot[4] = (t[4] - u * t[16]) * depth;
    spot[5] = (t[9] - v * t[16]) * depth;
    sample2d(texture, spot, this.#texel);
  }

  #cube(texture: Texture): void {
    const weights = this.#weights;
    const depth = weights[3];
    const t = this.#coordinates;
    for (let k = 0; k < 3; k++) {
      const at = 5 * k;
      const value = weights[0] * t[at] + weights[1] * t[at + 1] + weights[2] * t[at + 2];
      this.#direction[k] = value;
      this.#ddx[k] = (t[at + 3] - value * t[15]) * depth;
      this.#ddy[k] = (t[at + 4] - value * t[16]) * depth;
    }
    sampleCube(texture, this.#direction, this.#ddx, this.#ddy, this.#texel);
  }
}

function clamp(value: number): number {
  return value < 0 ? 0 : Math.min(value, 1);
}
