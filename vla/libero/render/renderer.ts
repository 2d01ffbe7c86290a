import type { MainModule, MjData, MjModel } from "@mujoco/mujoco";
import ndarray, { type NdArray } from "ndarray";
import type { Cache } from "../../../core/index.ts";
import type { Image } from "../../observation.ts";
import { cameraNames, type Frustum, frustumOf, isFixedCamera } from "./camera.ts";
import type { Compat } from "./compat.ts";
import { FixedLayer } from "./fixed-layer.ts";
import { Fragments } from "./fragments.ts";
import { bindKernels } from "./kernels/kernels.ts";
import { Lighting } from "./lighting.ts";
import { Lights } from "./lights.ts";
import { RenderMemory } from "./memory.ts";
import { Mirror } from "./mirror.ts";
import { Pass } from "./pass.ts";
import { FIRST_SAMPLE, SAMPLES } from "./samples.ts";
import { type RenderScene, readScene, updateDrawables } from "./scene.ts";

export interface RendererOptions {
  /** Size of the pictures, pixels. */
  readonly width: number;
  readonly height: number;
  /** Whose rules to follow; the default is what LIBERO's demonstrations were drawn with. */
  readonly compat?: Compat;
  /** Where what is made of meshes is kept between processes; default: nowhere. */
  readonly cache?: Cache;
}

/** Draws one model in one size. */
export interface Renderer {
  /**
   * The picture of a camera for the state `mj_forward` or `mj_step` left in the data: uint8 RGB, shape (H, W, 3),
   * row 0 at the BOTTOM. Throws for an unknown camera.
   */
  render(camera: string): Image;
  /**
   * How far away each pixel's surface is: metres along the camera's axis at the pixel's first sample, ∞ where there is
   * nothing, shape (H, W), row 0 at the BOTTOM. Transparent surfaces are looked through.
   */
  depth(camera: string): NdArray<Float32Array>;
  /**
   * The geom at the centre of each pixel, −1 where there is none or a site, shape (H, W), row 0 at the BOTTOM.
   * Transparent geoms count like others, and as in MuJoCo's segmentation so do sites of negative opacity, which
   * pictures leave out: the grip site and an unlit burner cover a few pixels.
   */
  geoms(camera: string): NdArray<Int32Array>;
}

/**
 * A software renderer that draws a model as MuJoCo's classic OpenGL renderer does with LIBERO's settings: geom groups
 * 1 and 2 shown, sites by their opacity (0 and below: hidden), per-corner lighting, textures modulate, no gamma,
 * the first mirror reflects, four samples per pixel, shaded once.
 *
 * Shapes, materials and lights are read here, once, a texture when it is first seen; a frame takes only poses, colours
 * of geoms and sites, and cameras. What is fixed, seen by a fixed camera, is drawn again only when one of these
 * changes. Left out: shadows (lights are drawn as if `castshadow="false"`, as all of LIBERO's are), haze, tendons.
 * Throws for what it cannot draw at all: height fields, signed distance fields, flexes, skins, orthographic cameras.
 */
export function createRenderer(
  mj: MainModule,
  model: MjModel,
  data: MjData,
  { width, height, compat = "mujoco-2.3", cache }: RendererOptions,
): Renderer {
  for (const [name, size] of Object.entries({ width, height })) {
    if (!Number.isInteger(size) || size < 1) {
      throw new Error(
        `createRenderer: expected ${name} to be a positive whole number of pixels, found ${size}`,
      );
    }
  }
  return new SoftwareRenderer(mj, model, data, width, height, compat, cache);
}

class SoftwareRenderer implements Renderer {
  readonly #model: MjModel;
  readonly #data: MjData;
  readonly #cameras: ReadonlyMap<string, number>;
  readonly #frustums = new Map<number, Frustum>();
  readonly #scene: RenderScene;
  readonly #lights: Lights;
  readonly #pass: Pass;
  readonly #mirror: Mirror | null;
  /** What is fixed, as each fixed camera sees it; null for cameras that move. */
  readonly #layers = new Map<number, FixedLayer | null>();

  constructor(
    mj: MainModule,
    model: MjModel,
    data: MjData,
    width: number,
    height: number,
    compat: Compat,
    cache: Cache | undefined,
  ) {
    this.#model = model;
    this.#data = data;
    this.#cameras = cameraNames(mj, model);
    const memory = new RenderMemory();
    const scene = readScene(mj, model, compat, memory, cache);
    const fragments = new Fragments(memory);
    const kernels = bindKernels(memory.memory, {
      makeLevel: (pyramid, level) => scene.textures.makeLevel(pyramid, level),
      moreFragments: () => fragments.grow(),
    });
    const lights = new Lights(model, memory);
    const lighting = new Lighting(lights, scene, memory, kernels);
    const tools = { memory, kernels, scene, lights, lighting, fragments };
    this.#scene = scene;
    this.#lights = lights;
    this.#pass = new Pass(width, height, tools);
    this.#mirror = Mirror.of(width, height, tools);
  }

  render(camera: string): Image {
    const { view } = this.#pass;
    const id = this.#look(camera);
    const layer = this.#layerOf(id);
    this.#lights.update(this.#data, view.forward);
    const reflection = this.#mirror?.draw(view, layer && id) ?? null;
    this.#pass.draw({ sky: this.#scene.skybox, tint: 1, without: null, behind: null, reflection }, layer);
    return ndarray(this.#pass.resolve(layer), [view.height, view.width, 3]);
  }

  depth(camera: string): NdArray<Float32Array> {
    const { view, target } = this.#pass;
    this.#look(camera);
    this.#pass.findVisible(false);
    const metres = Float32Array.from(
      { length: view.width * view.height },
      (_, i) => 1 / target.depth[SAMPLES * i],
    );
    return ndarray(metres, [view.height, view.width]);
  }

  geoms(camera: string): NdArray<Int32Array> {
    const { view } = this.#pass;
    this.#look(camera);
    view.shift(...FIRST_SAMPLE); // so that each pixel's first sample sees what its centre saw
    this.#pass.findVisible(true);
    const ids = Int32Array.from({ length: view.width * view.height }, (_, i) => {
      const shown = this.#pass.drawableAt(SAMPLES * i);
      return shown?.source === "geom" ? shown.id : -1;
    });
    return ndarray(ids, [view.height, view.width]);
  }

  /** Turns the view to a camera, takes over where everything is, and returns the camera's number. */
  #look(camera: string): number {
    const { view } = this.#pass;
    const id = this.#cameraId(camera);
    view.set(this.#data, id, this.#frustum(id));
    updateDrawables(this.#scene.drawables, this.#model, this.#data, view.eye);
    return id;
  }

  #cameraId(camera: string): number {
    const id = this.#cameras.get(camera);
    if (id === undefined) {
      const known = [...this.#cameras.keys()].join(", ") || "none";
      throw new Error(`render: expected a camera of the model (${known}), found "${camera}"`);
    }
    return id;
  }

  #frustum(camera: number): Frustum {
    let frustum = this.#frustums.get(camera);
    if (!frustum) this.#frustums.set(camera, (frustum = frustumOf(this.#model, camera)));
    return frustum;
  }

  #layerOf(camera: number): FixedLayer | null {
    let layer = this.#layers.get(camera);
    if (layer === undefined) {
      const { width, height } = this.#pass.view;
      layer = isFixedCamera(this.#model, camera) ? new FixedLayer(width, height) : null;
      this.#layers.set(camera, layer);
    }
    return layer;
  }
}
