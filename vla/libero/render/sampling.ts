import type { Level, Texture } from "./texture.ts";

/*
 * Texture lookups: linear within a level, linear between levels (OpenGL's LINEAR_MIPMAP_LINEAR), the level from the
 * derivatives of the coordinates along screen x and y. Colours are written to `out` as three numbers in [0, 1].
 */

/** 2D lookup, repeating. `dudx` and the like are derivatives of (u, v) per pixel. */
export function sample2d(
  texture: Texture,
  u: number,
  v: number,
  dudx: number,
  dvdx: number,
  dudy: number,
  dvdy: number,
  out: Float64Array,
): void {
  const levels = texture.faces[0];
  const lod = levelOfDetail(levels[0], dudx, dvdx, dudy, dvdy);
  trilinear(levels, u - Math.floor(u), v - Math.floor(v), lod, true, texture.decode, out);
}

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
  const lod = levelOfDetail(
    texture.faces[face][0],
    (signS * ddx[s] - u * sign * ddx[m]) * half,
    (signT * ddx[t] - v * sign * ddx[m]) * half,
    (signS * ddy[s] - u * sign * ddy[m]) * half,
    (signT * ddy[t] - v * sign * ddy[m]) * half,
  );
  trilinear(texture.faces[face], 0.5 * u + 0.5, 0.5 * v + 0.5, lod, false, texture.decode, out);
}

/** log₂ of how many texels of the base level one pixel spans. */
function levelOfDetail(base: Level, dudx: number, dvdx: number, dudy: number, dvdy: number): number {
  const ax = dudx * base.width;
  const ay = dvdx * base.height;
  const bx = dudy * base.width;
  const by = dvdy * base.height;
  return 0.5 * Math.log2(Math.max(ax * ax + ay * ay, bx * bx + by * by, 1e-20));
}

function trilinear(
  levels: readonly Level[],
  u: number,
  v: number,
  lod: number,
  repeat: boolean,
  decode: Float32Array,
  out: Float64Array,
): void {
  out[0] = out[1] = out[2] = 0;
  const last = levels.length - 1;
  if (!(lod > 0)) {
    bilinear(levels[0], u, v, repeat, decode, 1, out);
  } else if (lod >= last) {
    bilinear(levels[last], u, v, repeat, decode, 1, out);
  } else {
    const level = Math.floor(lod);
    bilinear(levels[level], u, v, repeat, decode, 1 - (lod - level), out);
    bilinear(levels[level + 1], u, v, repeat, decode, lod - level, out);
  }
}

/** Adds `weight` times the linear lookup at (u, v) in [0, 1]² to `out`. */
function bilinear(
  level: Level,
  u: number,
  v: number,
  repeat: boolean,
  decode: Float32Array,
  weight: number,
  out: Float64Array,
): void {
  const { width, height, texels } = level;
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
  out[0] += decode[texels[a]] * wa + decode[texels[b]] * wb + decode[texels[c]] * wc + decode[texels[d]] * wd;
  out[1] +=
    decode[texels[a + 1]] * wa +
    decode[texels[b + 1]] * wb +
    decode[texels[c + 1]] * wc +
    decode[texels[d + 1]] * wd;
  out[2] +=
    decode[texels[a + 2]] * wa +
    decode[texels[b + 2]] * wb +
    decode[texels[c + 2]] * wc +
    decode[texels[d + 2]] * wd;
}
