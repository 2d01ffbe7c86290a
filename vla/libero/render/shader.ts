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
   * Numbers go from one method to the next in arrays: as arguments of functions that are too long to be inlined, V8
   * would make an object of each.
   */
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

  /** Shades a logged triangle of a part. */
  shade(log: TriangleLog, id: number, part: Part, x: number, y: number): void {
    const lighting = this.#lighting;
    const { triangleCorners } = part.surface;
    const triangle = 3 * log.triangles[id];
    const c0 = triangleCorners[triangle];
    const c1 = triangleCorners[triangle + 1];
    const c2 = triangleCorners[triangle + 2];
    lighting.light(part, c0);
    lighting.light(part, c1);
    lighting.light(part, c2);
    const { edges } = log;
    const at = 9 * id;
    const px = x + 0.5;
    const py = y + 0.5;
    const w0 = edges[at] * px + edges[at + 1] * py + edges[at + 2];
    const w1 = edges[at + 3] * px + edges[at + 4] * py + edges[at + 5];
    const w2 = edges[at + 6] * px + edges[at + 7] * py + edges[at + 8];
    const depth = 1 / (w0 + w1 + w2);
    const l0 = w0 * depth;
    const l1 = w1 * depth;
    const l2 = w2 * depth;
    const { colors } = lighting;
    const a = 3 * (part.firstCorner + c0);
    const b = 3 * (part.firstCorner + c1);
    const c = 3 * (part.firstCorner + c2);
    const { rgb } = this;
    rgb[0] = clamp(l0 * colors[a] + l1 * colors[b] + l2 * colors[c]);
    rgb[1] = clamp(l0 * colors[a + 1] + l1 * colors[b + 1] + l2 * colors[c + 1]);
    rgb[2] = clamp(l0 * colors[a + 2] + l1 * colors[b + 2] + l2 * colors[c + 2]);
    const { texture } = part;
    if (texture === null) return;
    const weights = this.#weights;
    weights[0] = l0;
    weights[1] = l1;
    weights[2] = l2;
    weights[3] = depth;
    if (texture.kind === "cube") this.#cube(texture, edges, at, part.coordinates!, c0, c1, c2);
    else this.#flat(texture, edges, at, part.coordinates!, c0, c1, c2);
    const texel = this.#texel;
    rgb[0] *= texel[0];
    rgb[1] *= texel[1];
    rgb[2] *= texel[2];
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

  #flat(
    texture: Texture,
    e: Float64Array,
    at: number,
    uvs: Float32Array,
    c0: number,
    c1: number,
    c2: number,
  ): void {
    const l0 = this.#weights[0];
    const l1 = this.#weights[1];
    const l2 = this.#weights[2];
    const depth = this.#weights[3];
    const u0 = uvs[2 * c0];
    const u1 = uvs[2 * c1];
    const u2 = uvs[2 * c2];
    const v0 = uvs[2 * c0 + 1];
    const v1 = uvs[2 * c1 + 1];
    const v2 = uvs[2 * c2 + 1];
    const u = l0 * u0 + l1 * u1 + l2 * u2;
    const v = l0 * v0 + l1 * v1 + l2 * v2;
    const a0 = e[at];
    const a1 = e[at + 3];
    const a2 = e[at + 6];
    const b0 = e[at + 1];
    const b1 = e[at + 4];
    const b2 = e[at + 7];
    const sumA = a0 + a1 + a2;
    const sumB = b0 + b1 + b2;
    const spot = this.#spot;
    spot[0] = u;
    spot[1] = v;
    spot[2] = (a0 * u0 + a1 * u1 + a2 * u2 - u * sumA) * depth;
    spot[3] = (a0 * v0 + a1 * v1 + a2 * v2 - v * sumA) * depth;
    spot[4] = (b0 * u0 + b1 * u1 + b2 * u2 - u * sumB) * depth;
    spot[5] = (b0 * v0 + b1 * v1 + b2 * v2 - v * sumB) * depth;
    sample2d(texture, spot, this.#texel);
  }

  #cube(
    texture: Texture,
    e: Float64Array,
    at: number,
    directions: Float32Array,
    c0: number,
    c1: number,
    c2: number,
  ): void {
    const l0 = this.#weights[0];
    const l1 = this.#weights[1];
    const l2 = this.#weights[2];
    const depth = this.#weights[3];
    const sumA = e[at] + e[at + 3] + e[at + 6];
    const sumB = e[at + 1] + e[at + 4] + e[at + 7];
    for (let k = 0; k < 3; k++) {
      const t0 = directions[3 * c0 + k];
      const t1 = directions[3 * c1 + k];
      const t2 = directions[3 * c2 + k];
      const t = l0 * t0 + l1 * t1 + l2 * t2;
      this.#direction[k] = t;
      this.#ddx[k] = (e[at] * t0 + e[at + 3] * t1 + e[at + 6] * t2 - t * sumA) * depth;
      this.#ddy[k] = (e[at + 1] * t0 + e[at + 4] * t1 + e[at + 7] * t2 - t * sumB) * depth;
    }
    sampleCube(texture, this.#direction, this.#ddx, this.#ddy, this.#texel);
  }
}

function clamp(value: number): number {
  return value < 0 ? 0 : Math.min(value, 1);
}
