import type { View } from "./camera.ts";
import { BOX, type Drawable, type Part, PLANE } from "./drawable.ts";
import { FixedLayer } from "./fixed-layer.ts";
import type { RenderMemory } from "./memory.ts";
import { Pass, type Reflection, type Tools } from "./pass.ts";
import type { Rectangle } from "./samples.ts";
import { placePart } from "./scene.ts";
import { planeSurface } from "./shapes.ts";
import { Snapshot } from "./snapshot.ts";
import { holdSurface } from "./surface.ts";

/** Where a view sees the mirror. */
interface Sight {
  /** 1/depth of the mirror per sample, 0 where it is not: the stencil. */
  readonly mask: Float32Array;
  /** Holds all of the mask's samples that are not 0; null where there are none. */
  rectangle: Rectangle | null;
  /** What the mask was drawn from. */
  readonly snapshot: Snapshot;
  /** What is fixed in the mirror, for a view that is fixed like the mirror itself. */
  readonly layer: FixedLayer | null;
}

/**
 * The reflection MuJoCo draws: in the first opaque plane or box (scene order) with positive reflectance, a box
 * mirroring in its +z face only. Reflecting the scene or the camera gives the same picture, so the scene stays and
 * is drawn from a reflected view, accepted only where the mirror is seen and only behind it.
 */
export class Mirror {
  readonly #candidates: readonly Drawable[];
  readonly #faces = new Map<Drawable, Part>();
  readonly #pass: Pass;
  readonly #memory: RenderMemory;
  /** Of fixed cameras, by number, and of all others. */
  readonly #sights = new Map<number, Sight>();
  readonly #passingSight: Sight;
  readonly #point = new Float64Array(3);
  readonly #normal = new Float64Array(3);

  /** The mirror of a scene, null if nothing in it can reflect. */
  static of(width: number, height: number, tools: Tools): Mirror | null {
    const candidates = tools.scene.drawables.filter(
      ({ type, reflectance }) => (type === PLANE || type === BOX) && reflectance > 0,
    );
    return candidates.length === 0
      ? null
      : new Mirror(new Pass(width, height, tools), candidates, tools.memory);
  }

  private constructor(pass: Pass, candidates: readonly Drawable[], memory: RenderMemory) {
    this.#candidates = candidates;
    this.#pass = pass;
    this.#memory = memory;
    this.#passingSight = this.#makeSight(false);
    for (const drawable of candidates) this.#faces.set(drawable, mirrorFace(drawable, memory));
  }

  /** Draws what the mirror shows to the view, of this camera where it is fixed; null when it sees no reflection. */
  draw(view: View, fixedCamera: number | null): Reflection | null {
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
    this.#pass.view.reflect(view, this.#point, this.#normal);
    const sight = this.#sightOf(mirror.fixed ? fixedCamera : null);
    this.#findMirror(mirror, sight);
    const { rectangle, mask, layer } = sight;
    if (rectangle === null) return null;
    this.#pass.raster.rectangle = rectangle;
    this.#pass.draw(
      { sky: null, tint: mirror.reflectance, without: mirror, behind: mask, reflection: null },
      layer,
    );
    return { mirror, rectangle, colors: this.#pass.target.colors };
  }

  #sightOf(fixedCamera: number | null): Sight {
    if (fixedCamera === null) return this.#passingSight;
    let sight = this.#sights.get(fixedCamera);
    if (!sight) this.#sights.set(fixedCamera, (sight = this.#makeSight(true)));
    return sight;
  }

  #makeSight(fixed: boolean): Sight {
    const { view, target } = this.#pass;
    return {
      mask: this.#memory.floats(target.depth.length),
      rectangle: null,
      snapshot: new Snapshot(),
      layer: fixed ? new FixedLayer(view.width, view.height) : null,
    };
  }

  /** Finds the samples that see the mirror, with no regard to what is in front. */
  #findMirror(mirror: Drawable, sight: Sight): void {
    const { raster, target, view } = this.#pass;
    const face = this.#faces.get(mirror)!;
    placePart(face);
    const { snapshot, mask } = sight;
    snapshot.begin();
    snapshot.add(mirror.parts[0].index);
    snapshot.addAll(face.world);
    view.describe(snapshot);
    if (snapshot.same) return;
    raster.rectangle = { left: 0, right: view.width - 1, bottom: 0, top: view.height - 1 };
    sight.rectangle = null;
    if (!raster.sees(face)) return;
    // Points of the mirror plane look the same in both views, and so does its winding: undo the view's turn.
    this.#pass.findPart(face, true);
    mask.set(target.depth);
    sight.rectangle = rectangleOf(target.touched, view.width);
  }
}

/** The smallest rectangle that holds all pixels whose byte is 1; null where there are none. */
function rectangleOf(touched: Uint8Array, width: number): Rectangle | null {
  let left = width;
  let right = -1;
  let bottom = touched.length;
  let top = -1;
  for (let i = 0; i < touched.length; i++) {
    if (touched[i] === 0) continue;
    const x = i % width;
    const y = (i - x) / width;
    if (x < left) left = x;
    if (x > right) right = x;
    if (y < bottom) bottom = y;
    top = y;
  }
  return right < 0 ? null : { left, right, bottom, top };
}

/** The surface that reflects: the whole plane, or the +z face of a box. */
function mirrorFace(drawable: Drawable, memory: RenderMemory): Part {
  if (drawable.type === PLANE) return drawable.parts[0];
  const axis = { lines: [-1, 1], step: 0 };
  return {
    owner: drawable,
    index: drawable.parts[0].index,
    surface: holdSurface(planeSurface(axis, axis), memory),
    scale: [drawable.size[0], drawable.size[1], 1],
    shift: drawable.size[2],
    texture: null,
    coordinates: null,
    world: new Float64Array(12),
    depth: 0,
  };
}
