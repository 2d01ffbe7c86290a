import type { Compat } from "./compat.ts";
import { type Drawable, MESH, PLANE } from "./drawable.ts";
import { CORNER_STRIDE, type Surface } from "./surface.ts";
import type { Texture } from "./texture.ts";

/** How a material lays its texture: `texrepeat` and `texuniform` of the MJCF. */
export interface Tiling {
  readonly repeat: readonly [number, number];
  readonly uniform: boolean;
}

/**
 * Texture coordinates of every corner of a surface, (C, 2) for a 2D texture and (C, 3) for a cube;
 * null where MuJoCo leaves the surface untextured (a cube texture on a mesh with coordinates of its own).
 */
export function textureCoordinates(
  drawable: Drawable,
  surface: Surface,
  texture: Texture,
  tiling: Tiling,
  compat: Compat,
): Float32Array | null {
  const ownUvs = drawable.type === MESH && surface.uvs !== null;
  if (texture.kind === "cube") return ownUvs ? null : cubeDirections(drawable, surface, tiling);
  if (ownUvs && compat === "mujoco-2.3") return surface.uvs;
  if (ownUvs || (compat === "mujoco-3.14" && drawable.type !== MESH)) {
    return scaledUvs(drawable, surface, tiling);
  }
  return projectedUvs(drawable, surface, tiling);
}

/** A cube texture is looked up along the position in the unscaled shape. */
function cubeDirections(drawable: Drawable, surface: Surface, tiling: Tiling): Float32Array {
  const { corners } = surface;
  const count = corners.length / CORNER_STRIDE;
  const directions = new Float32Array(3 * count);
  for (let c = 0; c < count; c++) {
    for (let k = 0; k < 3; k++) {
      directions[3 * c + k] = corners[CORNER_STRIDE * c + k] * (tiling.uniform ? drawable.size[k] : 1);
    }
  }
  return directions;
}

/** The shape's own coordinates, repeated. */
function scaledUvs(drawable: Drawable, surface: Surface, tiling: Tiling): Float32Array {
  const uvs = Float32Array.from(surface.uvs!);
  for (let k = 0; k < 2; k++) {
    const repeat = tiling.repeat[k] > 0 ? tiling.repeat[k] : 1;
    const scale = tiling.uniform && drawable.size[k] > 0 ? repeat * drawable.size[k] : repeat;
    for (let i = k; i < uvs.length; i += 2) uvs[i] *= scale;
  }
  return uvs;
}

/** Projection along the shape's z axis, as fixed-function OpenGL generates it from object coordinates. */
function projectedUvs(drawable: Drawable, surface: Surface, tiling: Tiling): Float32Array {
  const { corners } = surface;
  const count = corners.length / CORNER_STRIDE;
  const uvs = new Float32Array(2 * count);
  for (let k = 0; k < 2; k++) {
    const size = drawable.size[k];
    let scale = tiling.repeat[k];
    // Meshes and planes are stored in true size, the other shapes in unit size.
    if ((drawable.type === MESH || drawable.type === PLANE) && size > 0) scale /= size;
    if (tiling.uniform && size > 0) scale *= size;
    const slope = k === 0 ? 0.5 * scale : -0.5 * scale;
    for (let c = 0; c < count; c++) uvs[2 * c + k] = slope * corners[CORNER_STRIDE * c + k] - 0.5;
  }
  return uvs;
}
