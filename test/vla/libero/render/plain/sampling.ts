import type { Pyramid, Texture } from "../../../../../vla/libero/render/texture.ts";

/*
 * Texture lookups, written plainly to check the kernels: linear within a level, linear between levels (OpenGL's
 * LINEAR_MIPMAP_LINEAR), the level from the derivatives of the coordinates along screen x and y. Colours are written to
 * `out` as three numbers in [0, 1].
 */

/** 2D lookup, repeating, at `spot`: u, v, ∂u/∂x, ∂v/∂x, ∂u/∂y, ∂v/∂y per pixel. */
export function sample2d(texture: Texture, spot: Float64Array, out: Float64Array): void {
  trilinear(texture.faces[0], spot, true, texture.decode, out);
}

/** Where `sampleCube` looks on a face, like the spot of `sample2d`. */
const faceSpot = new Float64Array(6);

/** Cube lookup along a direction (x, y, z), not normalised, by OpenGL's face table; faces clamp at their edges. */
export function sampleCube(
  texture: Texture,
  direction: Float64Array,
  ddx: Float64Array,
  ddy: Float64Array,
  out: Float64Array,
): void {
  const x = direction[0];
  const y = direction[1];
  const z = direction[2];
  const ax = Math.abs(x);
  const ay = Math.abs(y);
  const az = Math.abs(z);
  // Along the major axis m the face shows s = signS * direction[S] / |m| and t = signT * direction[T] / |m|.
  let face: number;
  let m: number;
  let s: number;
  let t: number;
  let signS: number;
  let signT: number;
  if (ax >= ay && ax >= az) {
    face = x > 0 ? 0 : 1;
    m = 0;
    s = 2;
    signS = x > 0 ? -1 : 1;
    t = 1;
    signT = -1;
  } else if (ay >= az) {
    face = y > 0 ? 2 : 3;
    m = 1;
    s = 0;
    signS = 1;
    t = 2;
    signT = y > 0 ? 1 : -1;
  } else {
    face = z > 0 ? 4 : 5;
    m = 2;
    s = 0;
    signS = z > 0 ? 1 : -1;
    t = 1;
    signT = -1;
  }
  const major = Math.abs(direction[m]);
  const sign = direction[m] < 0 ? -1 : 1;
  const u = (signS * direction[s]) / major;
  const v = (signT * direction[t]) / major;
  const half = 0.5 / major; // the face spans -1..1, the texture 0..1
  faceSpot[0] = 0.5 * u + 0.5;
  faceSpot[1] = 0.5 * v + 0.5;
  faceSpot[2] = (signS * ddx[s] - u * sign * ddx[m]) * half;
  faceSpot[3] = (signT * ddx[t] - v * sign * ddx[m]) * half;
  faceSpot[4] = (signS * ddy[s] - u * sign * ddy[m]) * half;
  faceSpot[5] = (signT * ddy[t] - v * sign * ddy[m]) * half;
  trilinear(texture.faces[face], faceSpot, false, texture.decode, out);
}

/** The weighted mean of one linear lookup or, between two levels of detail, of two. */
function trilinear(
  pyramid: Pyramid,
  spot: Float64Array,
  repeat: boolean,
  decode: Float64Array,
  out: Float64Array,
): void {
  const u = repeat ? spot[0] - Math.floor(spot[0]) : spot[0];
  const v = repeat ? spot[1] - Math.floor(spot[1]) : spot[1];
  // How many texels of the base level one pixel spans, squared.
  const ax = spot[2] * pyramid.width;
  const ay = spot[3] * pyramid.height;
  const bx = spot[4] * pyramid.width;
  const by = spot[5] * pyramid.height;
  const span = Math.max(ax * ax + ay * ay, bx * bx + by * by);
  const coarsest = pyramid.count - 1;
  const detail = span > 1 ? Math.min(0.5 * Math.log2(span), coarsest) : 0;
  const finer = Math.floor(detail);
  const share = detail - finer;
  let red = 0;
  let green = 0;
  let blue = 0;
  for (let i = 0; i < (share > 0 ? 2 : 1); i++) {
    const { width, height, texels } = pyramid.level(finer + i);
    const weight = i === 0 ? 1 - share : share;
    const fx = u * width - 0.5;
    const fy = v * height - 0.5;
    let x0 = Math.floor(fx);
    let y0 = Math.floor(fy);
    const tx = fx - x0;
    const ty = fy - y0;
    let x1 = x0 + 1;
    let y1 = y0 + 1;
    if (x0 < 0) x0 = repeat ? width - 1 : 0;
    if (y0 < 0) y0 = repeat ? height - 1 : 0;
    if (x1 >= width) x1 = repeat ? 0 : width - 1;
    if (y1 >= height) y1 = repeat ? 0 : height - 1;
    const a = 3 * (y0 * width + x0);
    const b = 3 * (y0 * width + x1);
    const c = 3 * (y1 * width + x0);
    const d = 3 * (y1 * width + x1);
    const wa = (1 - tx) * (1 - ty) * weight;
    const wb = tx * (1 - ty) * weight;
    const wc = (1 - tx) * ty * weight;
    const wd = tx * ty * weight;
    red += decode[texels[a]] * wa + decode[texels[b]] * wb + decode[texels[c]] * wc + decode[texels[d]] * wd;
    green +=
      decode[texels[a + 1]] * wa +
      decode[texels[b + 1]] * wb +
      decode[texels[c + 1]] * wc +
      decode[texels[d + 1]] * wd;
    blue +=
      decode[texels[a + 2]] * wa +
      decode[texels[b + 2]] * wb +
      decode[texels[c + 2]] * wc +
      decode[texels[d + 2]] * wd;
  }
  out[0] = red;
  out[1] = green;
  out[2] = blue;
}
