import type { Part } from "../../../../../vla/libero/render/drawable.ts";
import { LIGHT, LIGHT_BYTES } from "../../../../../vla/libero/render/layout.ts";
import type { Lights } from "../../../../../vla/libero/render/lights.ts";
import { CORNER_NORMAL, CORNER_STRIDE } from "../../../../../vla/libero/render/surface.ts";

type Vector = readonly number[];

const dot = (a: Vector, b: Vector): number => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
const scaled = (a: Vector, factor: number): Vector => a.map((x) => x * factor);
const less = (a: Vector, b: Vector): Vector => a.map((x, i) => x - b[i]);
const plus = (a: Vector, b: Vector): Vector => a.map((x, i) => x + b[i]);
const unit = (a: Vector): Vector => scaled(a, 1 / (Math.sqrt(dot(a, a)) || 1));

/** x · baseᵉ, as products of squares where e is whole and small. */
function raise(x: number, base: number, exponent: number): number {
  if (exponent !== (exponent & 255)) return x * base ** exponent;
  let product = x;
  for (let n = exponent, square = base; n !== 0; n >>= 1, square *= square) if (n & 1) product *= square;
  return product;
}

/** Colour of a corner of a part, as kernels/lighting.ts says it, written plainly. */
export function cornerColor(part: Part, corner: number, lights: Lights, eye: Vector, tint: number): Vector {
  const { surface, world: w, scale, owner } = part;
  const own = surface.corners.subarray(CORNER_STRIDE * corner, CORNER_STRIDE * (corner + 1));
  const point = [...own.subarray(0, 3)];
  const at = [0, 4, 8].map((i) => dot([w[i], w[i + 1], w[i + 2]], point) + w[i + 3]);
  const straight = [0, 1, 2].map((k) => own[CORNER_NORMAL + k] / scale[k]);
  const r = owner.rotation;
  const normal = unit([0, 3, 6].map((i) => dot([r[i], r[i + 1], r[i + 2]], straight)));
  const view = unit(less(eye, at));
  const material = [0, 1, 2].map((k) => owner.rgba[k] * tint);
  const color = material.map((m) => (owner.emission + lights.globalAmbient) * m);
  const exponent = 128 * owner.shininess;

  for (let i = 0; i < lights.count; i++) {
    const light = lights.table.subarray((LIGHT_BYTES / 8) * i, (LIGHT_BYTES / 8) * (i + 1));
    const three = (of: number): Vector => [...light.subarray(of / 8, of / 8 + 3)];
    const direction = three(LIGHT.direction);
    let toLight = scaled(direction, -1);
    let strength = 1;
    if (light[LIGHT.isDirectional / 8] !== 1) {
      toLight = less(three(LIGHT.position), at);
      const distance = Math.sqrt(dot(toLight, toLight)) || 1e-12;
      toLight = toLight.map((x) => x / distance);
      const [constant, linear, quadratic] = three(LIGHT.attenuation);
      strength = 1 / (constant + linear * distance + quadratic * distance * distance);
      const cosCutoff = light[LIGHT.cosCutoff / 8];
      if (cosCutoff > -2) {
        const cosine = -dot(toLight, direction);
        if (cosine < cosCutoff) continue;
        strength = raise(strength, Math.max(cosine, 0), light[LIGHT.exponent / 8]);
      }
    }
    const facing = Math.max(0, dot(normal, toLight));
    let shine = 0;
    if (facing > 0 && owner.specular > 0) {
      const half = plus(toLight, view);
      const cosine = dot(normal, half) / (Math.sqrt(dot(half, half)) || 1);
      if (cosine > 0 || exponent === 0) shine = raise(owner.specular, cosine, exponent);
    }
    const [ambient, diffuse, specular] = [LIGHT.ambient, LIGHT.diffuse, LIGHT.specular].map(three);
    for (let k = 0; k < 3; k++)
      color[k] += strength * (material[k] * (ambient[k] + facing * diffuse[k]) + shine * specular[k]);
  }
  return color.map((c) => Math.fround(Math.max(0, Math.min(1, c))));
}
