import type { View } from "./camera.ts";
import { BOX, type Drawable, type Part, PLANE } from "./drawable.ts";
import type { Lighting } from "./lighting.ts";
import { Pass } from "./pass.ts";
import { SAMPLES } from "./rasterizer.ts";
import { placePart, type RenderScene } from "./scene.ts";
import { planeSurface } from "./shapes.ts";

/** Points of a box's mirror face. */
const FACE_POINTS = 4;

/**
 * The reflection MuJoCo draws: in the first opaque plane or box (scene order) with positive reflectance, a box
 * mirroring in its +z face only. Reflecting the scene or the camera gives the same picture, so the scene stays and
 * is drawn from a reflected view, accepted only where the mirror is seen and only behind it.
 */
export class Mirror {
  readonly #candidates: readonly Drawable[];
  readonly #faces = new Map<Drawable, Part>();
  readonly #pass: Pass;
  /** 1/depth of the mirror per sample, 0 where it is not: the stencil. */
  readonly #mask: Float32Array;
  readonly #point = new Float64Array(3);
  readonly #normal = new Float64Array(3);

  /** The mirror of a scene, null if nothing in it can reflect. */
  static of(width: number, height: number, scene: RenderScene, lighting: Lighting): Mirror | null {
    const candidates = scene.drawables.filter(
      ({ type, reflectance }) => (type === PLANE || type === BOX) && reflectance > 0,
    );
    return candidates.length > 0 ? new Mirror(width, height, scene, lighting, candidates) : null;
  }

  private constructor(
    width: number,
    height: number,
    scene: RenderScene,
    lighting: Lighting,
    candidates: readonly Drawable[],
  ) {
    this.#candidates = candidates;
    this.#pass = new Pass(width, height, scene, lighting, FACE_POINTS);
    this.#mask = this.#pass.target.depth.slice();
    for (const drawable of candidates) this.#faces.set(drawable, mirrorFace(drawable, scene));
  }

  /** Colours of the reflection per sample, (H, W, 4, 3); black where there is none. */
  get samples(): Uint8ClampedArray {
    return this.#pass.samples;
  }

  /** Draws what the mirror shows to the view; returns the mirror, or null when this view sees no reflection. */
  draw(view: View): Drawable | null {
    const mirror = this.#candidates.find((drawable) => !drawable.transparent && drawable.rgba[3] > 0);
    if (mirror === undefined) return null;
    const { position: p, rotation: r } = mirror;
    const lift = mirror.type === BOX ? mirror.size[2] : 0;
    let side = 0;
    for (let k = 0; k < 3; k++) {
      this.#normal[k] = r[3 * k + 2];
      this.#point[k] = p[k] + lift * r[3 * k + 2];
      side += (view.eye[k] - this.#point[k]) * this.#normal[k];
    }
    if (side < 0) return null;
    const { raster } = this.#pass;
    this.#pass.view.reflect(view, this.#point, this.#normal);
    raster.setScissor(0, view.width - 1, 0, view.height - 1);
    if (!this.#drawMask(mirror)) return null;
    this.#pass.draw({
      sky: null,
      tint: mirror.reflectance,
      without: mirror,
      behind: this.#mask,
      mirror: null,
    });
    return mirror;
  }

  /** Finds the samples that see the mirror, with no regard to what is in front; false when there are none. */
  #drawMask(mirror: Drawable): boolean {
    const { raster, target, view } = this.#pass;
    const face = this.#faces.get(mirror)!;
    placePart(face);
    target.depth.fill(0);
    raster.clearLog();
    raster.project(face);
    // Points of the mirror plane look the same in both views, and so does its winding: undo the view's turn.
    raster.drawOpaque(face, 0, true, target, null);
    this.#mask.set(target.depth);
    let left = view.width;
    let right = -1;
    let bottom = view.height;
    let top = -1;
    const rowSamples = SAMPLES * view.width;
    for (let i = 0; i < this.#mask.length; i++) {
      if (this.#mask[i] === 0) continue;
      const y = Math.floor(i / rowSamples);
      const x = Math.floor((i % rowSamples) / SAMPLES);
      if (x < left) left = x;
      if (x > right) right = x;
      if (y < bottom) bottom = y;
      top = y;
    }
    raster.setScissor(left, right, bottom, top);
    return right >= left;
  }
}

/** The surface that reflects: the whole plane, or the +z face of a box. */
function mirrorFace(drawable: Drawable, scene: RenderScene): Part {
  if (drawable.type === PLANE) return drawable.parts[0];
  const axis = { lines: [-1, 1], step: 0 };
  return {
    owner: drawable,
    surface: planeSurface(axis, axis),
    scale: [drawable.size[0], drawable.size[1], 1],
    shift: drawable.size[2],
    texture: null,
    coordinates: null,
    firstPoint: scene.pointCount,
    firstCorner: scene.cornerCount,
    world: new Float64Array(12),
  };
}
