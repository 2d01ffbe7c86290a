import type { MjData, MjModel } from "@mujoco/mujoco";
import type { View } from "../../../../../vla/libero/render/camera.ts";
import type { Part } from "../../../../../vla/libero/render/drawable.ts";
import type { Lights } from "../../../../../vla/libero/render/lights.ts";
import { COLUMNS, SAMPLES } from "../../../../../vla/libero/render/samples.ts";
import { type RenderScene, updateDrawables } from "../../../../../vla/libero/render/scene.ts";
import { CORNER_STRIDE } from "../../../../../vla/libero/render/surface.ts";
import { cornerColor } from "./lighting.ts";
import { sample2d, sampleCube } from "./sampling.ts";

/**
 * A triangle with its edge functions: aᵢ, bᵢ, cᵢ for the corners i = 0, 1, 2 (kernels/raster.ts says what they are).
 */
interface Triangle {
  readonly part: Part;
  readonly corners: readonly number[];
  readonly edges: readonly (readonly [number, number, number])[];
}

/**
 * A picture of the opaque drawables of a scene, (H, W, 3), drawn in the simplest way there is: every triangle is tried
 * at every sample, and every sample is shaded. No mirror, nothing is blended.
 */
export function plainPicture(
  scene: RenderScene,
  model: MjModel,
  data: MjData,
  view: View,
  lights: Lights,
): Uint8Array {
  updateDrawables(scene.drawables, model, data, view.eye);
  lights.update(data, view.forward);
  const triangles = scene.parts
    .filter(({ owner }) => !owner.transparent && owner.rgba[3] > 0)
    .flatMap((part) => trianglesOf(part, view));
  const pixels = new Uint8Array(3 * view.width * view.height);
  const byte = new Uint8ClampedArray(1);
  for (let pixel = 0; pixel < view.width * view.height; pixel++) {
    const x = pixel % view.width;
    const y = (pixel - x) / view.width;
    const sums = [2, 2, 2];
    for (let s = 0; s < SAMPLES; s++) {
      const seen = nearest(triangles, x, y, s, view);
      const color = seen ? shaded(seen, x, y, view, lights) : skyColor(scene, view, x, y);
      for (let k = 0; k < 3; k++) {
        byte[0] = color[k] * 255;
        sums[k] += byte[0];
      }
    }
    for (let k = 0; k < 3; k++) pixels[3 * pixel + k] = sums[k] / SAMPLES;
  }
  return pixels;
}

/** The triangles of a part that face the camera and are not behind it, in the order of the surface. */
function trianglesOf(part: Part, view: View): Triangle[] {
  const { triangleCorners, corners, clusters } = part.surface;
  const w = part.world;
  /** Camera coordinates in pixels times depth, and the depth. */
  const seen = (corner: number): number[] => {
    const p = corners.subarray(CORNER_STRIDE * corner, CORNER_STRIDE * corner + 3);
    // Axis by axis from the part's frame, as the kernels do: products are rounded in the same order.
    const along = (axis: Float64Array, scale: number): number => {
      const column = (k: number): number => {
        const [a, b, c] =
          k < 3 ? [w[k], w[4 + k], w[8 + k]] : [0, 1, 2].map((i) => w[4 * i + 3] - view.eye[i]);
        return scale * (axis[0] * a + axis[1] * b + axis[2] * c);
      };
      return column(0) * p[0] + column(1) * p[1] + column(2) * p[2] + column(3);
    };
    return [along(view.right, view.scaleX), along(view.up, view.scaleY), along(view.forward, 1)];
  };
  const found: { number: number; triangle: Triangle }[] = [];
  for (let place = 0; place < clusters.triangles.length; place++) {
    const own = [...triangleCorners.subarray(3 * place, 3 * place + 3)];
    const eyes = own.map(seen);
    const points = eyes.map(([x, y, z]) => [x * (1 / z) + view.shiftX, y * (1 / z) + view.shiftY, 1 / z]);
    const inside = points.map(([, , k]) => k > 0 && k <= 1 / view.near);
    const edges = inside.every(Boolean)
      ? edgesOf(points)
      : inside.some(Boolean)
        ? edgesAcrossNear(points)
        : null;
    if (edges) found.push({ number: clusters.triangles[place], triangle: { part, corners: own, edges } });
  }
  return found.sort((a, b) => a.number - b.number).map(({ triangle }) => triangle);
}

function edgesOf([p0, p1, p2]: number[][]): Triangle["edges"] | null {
  const area = (p1[0] - p0[0]) * (p2[1] - p0[1]) - (p2[0] - p0[0]) * (p1[1] - p0[1]);
  if (!(area > 0)) return null;
  const edge = (own: number[], next: number[], other: number[]): [number, number, number] => {
    const weight = own[2] / area;
    return [
      (next[1] - other[1]) * weight,
      (other[0] - next[0]) * weight,
      (next[0] * other[1] - other[0] * next[1]) * weight,
    ];
  };
  return [edge(p0, p1, p2), edge(p1, p2, p0), edge(p2, p0, p1)];
}

/** Of corners on both sides of the near plane, in homogeneous coordinates. */
function edgesAcrossNear(points: number[][]): Triangle["edges"] | null {
  const [p0, p1, p2] = points.map(([x, y, k]) => [x * (1 / k), y * (1 / k), 1 / k]);
  const cross = (a: number[], b: number[], i: number, j: number): number => a[i] * b[j] - b[i] * a[j];
  const volume = p0[0] * cross(p1, p2, 1, 2) - p0[1] * cross(p1, p2, 0, 2) + p0[2] * cross(p1, p2, 0, 1);
  if (!(volume > 0)) return null;
  const edge = (next: number[], other: number[]): [number, number, number] => [
    cross(next, other, 1, 2) / volume,
    cross(next, other, 2, 0) / volume,
    cross(next, other, 0, 1) / volume,
  ];
  return [edge(p1, p2), edge(p2, p0), edge(p0, p1)];
}

/** Depths are compared as float32; of equals the last one wins. */
function nearest(
  triangles: readonly Triangle[],
  x: number,
  y: number,
  s: number,
  view: View,
): Triangle | null {
  const dx = (((COLUMNS >> (2 * s)) & 3) + 0.5) / 4;
  const dy = (s + 0.5) / 4;
  let best: Triangle | null = null;
  let held = 0;
  for (const triangle of triangles) {
    let inverse = 0;
    let covered = true;
    for (const [a, b, c] of triangle.edges) {
      const weight = a * x + b * y + c + (a * dx + b * dy);
      covered &&= !(weight < 0);
      inverse += weight;
    }
    if (!covered) continue;
    if (inverse > 1 / view.near || inverse < 1 / view.far || Math.fround(inverse) < held) continue;
    best = triangle;
    held = Math.fround(inverse);
  }
  return best;
}

const clamp = (value: number): number => (value < 0 ? 0 : Math.min(value, 1));

/** At the pixel's centre, whichever sample sees it. */
function shaded(
  { part, corners, edges }: Triangle,
  x: number,
  y: number,
  view: View,
  lights: Lights,
): number[] {
  const weights = edges.map(([a, b, c]) => a * (x + 0.5) + b * (y + 0.5) + c);
  const depth = 1 / (weights[0] + weights[1] + weights[2]);
  const mean = (of: readonly number[], factors = weights.map((weight) => weight * depth)): number =>
    factors[0] * of[0] + factors[1] * of[1] + factors[2] * of[2];
  const lit = corners.map((corner) => cornerColor(part, corner, lights, [...view.eye], 1));
  const color = [0, 1, 2].map((k) => clamp(mean(lit.map((c) => c[k]))));
  const { texture, coordinates } = part;
  if (!texture || !coordinates) return color;
  const dimensions = texture.kind === "cube" ? 3 : 2;
  const along = [0, 1].map((axis) => edges.map((edge) => edge[axis]));
  const places = Array.from({ length: dimensions }, (_, k) => {
    const t = corners.map((corner) => coordinates[dimensions * corner + k]);
    const at = mean(t);
    return [at, ...along.map((e) => (mean(t, e) - at * (e[0] + e[1] + e[2])) * depth)];
  });
  const [at, ddx, ddy] = [0, 1, 2].map((i) => Float64Array.from(places.map((place) => place[i])));
  const texel = new Float64Array(3);
  if (texture.kind === "cube") sampleCube(texture, at, ddx, ddy, texel);
  else sample2d(texture, Float64Array.of(...at, ...ddx, ...ddy), texel);
  return color.map((c, k) => c * texel[k]);
}

/** The skybox' cube is turned so that its y axis is the world's z. */
function skyColor({ skybox }: RenderScene, view: View, x: number, y: number): ArrayLike<number> {
  if (!skybox) return [0, 0, 0];
  const { right, up, forward } = view;
  const across = (x + 0.5 - view.shiftX) / view.scaleX;
  const along = (y + 0.5 - view.shiftY) / view.scaleY;
  const turned = (v: ArrayLike<number>): Float64Array => Float64Array.of(v[0], v[2], -v[1]);
  const ray = [0, 1, 2].map((k) => forward[k] + across * right[k] + along * up[k]);
  const color = new Float64Array(3);
  sampleCube(
    skybox,
    turned(ray),
    turned(right.map((r) => r / view.scaleX)),
    turned(up.map((u) => u / view.scaleY)),
    color,
  );
  return color;
}
