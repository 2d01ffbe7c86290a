import { View } from "./camera.ts";
import { type Drawable, type Part, PLANE } from "./drawable.ts";
import type { FixedLayer } from "./fixed-layer.ts";
import type { Fragments } from "./fragments.ts";
import type { Kernels } from "./kernels/kernels.ts";
import { FRAME } from "./layout.ts";
import type { Lighting } from "./lighting.ts";
import type { Lights } from "./lights.ts";
import type { RenderMemory } from "./memory.ts";
import { Rasterizer } from "./rasterizer.ts";
import { type Rectangle, SAMPLES, type SampleBuffer } from "./samples.ts";
import type { RenderScene } from "./scene.ts";
import type { Texture } from "./texture.ts";
import { NOTHING } from "./triangle-log.ts";

/** A plane seen from behind shows this share of its opacity. */
const BACK_OPACITY = 0.3;

/** What one pass draws, beyond the scene. */
export interface PassOptions {
  /** Drawn behind everything; null for black. */
  readonly sky: Texture | null;
  /** Scales material colours (1, or the mirror's reflectance). */
  readonly tint: number;
  /** A drawable to leave out. */
  readonly without: Drawable | null;
  /** Where given, only what is farther than this (1/depth per sample) is drawn. */
  readonly behind: Float32Array | null;
  /** What a drawable reflects: added to its colour. */
  readonly reflection: Reflection | null;
}

/** The reflection in a mirror. */
export interface Reflection {
  readonly mirror: Drawable;
  /** Where the mirror may be seen. */
  readonly rectangle: Rectangle;
  /** `SampleBuffer.colors` of what is seen in it. */
  readonly colors: Uint8Array;
}

/** What all passes of a renderer draw with. */
export interface Tools {
  readonly memory: RenderMemory;
  readonly kernels: Kernels;
  readonly scene: RenderScene;
  readonly lights: Lights;
  readonly lighting: Lighting;
  readonly fragments: Fragments;
}

/** Draws the scene once from one view into sample colours: visibility first, then shading of what is visible. */
export class Pass {
  readonly view: View;
  readonly raster: Rasterizer;
  readonly target: SampleBuffer;
  readonly #pixels: Uint8Array;
  readonly #tools: Tools;
  readonly #fixed: readonly Drawable[];
  readonly #queue: Part[] = [];
  readonly #blended: Drawable[] = [];
  /** The triangle that `#blendColors` holds the colour of at each pixel, and that colour. */
  readonly #blendedTriangle: Int32Array;
  readonly #blendColors: Float64Array;

  constructor(width: number, height: number, tools: Tools) {
    const { memory, scene } = tools;
    this.view = new View(width, height);
    this.raster = new Rasterizer(this.view, memory, tools.kernels, tools.fragments);
    const pixelCount = width * height;
    this.target = {
      depth: memory.floats(SAMPLES * pixelCount),
      shown: memory.ints(SAMPLES * pixelCount),
      touched: memory.bytes(pixelCount),
      colors: memory.bytes(4 * SAMPLES * pixelCount),
    };
    this.#pixels = memory.bytes(3 * pixelCount);
    this.#tools = tools;
    this.#fixed = scene.drawables.filter(({ fixed }) => fixed);
    this.#blendedTriangle = new Int32Array(pixelCount);
    this.#blendColors = new Float64Array(3 * pixelCount);
  }

  /** Tells the kernels what this pass draws, and from where. */
  #enter(): void {
    const { view, target } = this;
    const { memory, scene } = this.#tools;
    const { doubles, ints } = memory.frame;
    doubles.set(view.eye, FRAME.eye / 8);
    doubles.set(view.right, FRAME.right / 8);
    doubles.set(view.up, FRAME.up / 8);
    doubles.set(view.forward, FRAME.forward / 8);
    doubles[FRAME.scale / 8] = view.scaleX;
    doubles[FRAME.scale / 8 + 1] = view.scaleY;
    doubles[FRAME.shift / 8] = view.shiftX;
    doubles[FRAME.shift / 8 + 1] = view.shiftY;
    doubles[FRAME.nearest / 8] = 1 / view.near;
    doubles[FRAME.farthest / 8] = 1 / view.far;
    ints[FRAME.width / 4] = view.width;
    ints[FRAME.depth / 4] = target.depth.byteOffset;
    ints[FRAME.shown / 4] = target.shown.byteOffset;
    ints[FRAME.touched / 4] = target.touched.byteOffset;
    ints[FRAME.samples / 4] = target.colors.byteOffset;
    ints[FRAME.log / 4] = this.raster.log.doubles.byteOffset;
    ints[FRAME.parts / 4] = scene.blocks.byteOffset;
  }

  /**
   * Draws all, in the rows of the rasteriser's rectangle. With a layer, what is fixed is drawn only when the layer no
   * longer holds.
   */
  draw(options: PassOptions, layer: FixedLayer | null): void {
    const { tint, without, behind } = options;
    const { view, raster, target } = this;
    const { lights, lighting, kernels } = this.#tools;
    this.#enter();
    lighting.begin(tint);
    if (layer !== null) {
      if (!layer.holds(view, lights, this.#fixed, tint, without)) {
        this.#clear();
        this.#drawOpaque(options, "fixed");
        this.#shade(options.sky);
        kernels.resolve(this.#pixels.byteOffset, target.touched.length);
        layer.keep(target, this.#pixels, raster.log, this.#firstSample, this.#endSample);
      }
      raster.begin();
      layer.copyTo(target, this.#firstSample, this.#endSample);
      this.#drawOpaque(options, "moving");
    } else {
      this.#clear();
      this.#drawOpaque(options, "all");
    }
    this.#shade(options.sky);
    if (options.reflection) this.#addReflection(options.reflection);
    this.#blend(without, behind);
  }

  /** Finds the samples that see a part, with no regard to what is in front. */
  findPart(part: Part, turned: boolean): void {
    this.#enter();
    this.#clear();
    this.target.touched.fill(0);
    this.raster.drawOpaque(part, turned, this.target, null);
  }

  /**
   * Fills `target` alone, with everything. Where all are taken for `solid`, transparent drawables hide what is behind
   * them, and so do those of negative opacity, which pictures leave out.
   */
  findVisible(solid: boolean): void {
    this.#enter();
    this.#clear();
    for (const part of this.#tools.scene.parts) {
      const { rgba, transparent } = part.owner;
      const shown = solid ? rgba[3] !== 0 : rgba[3] > 0 && !transparent;
      if (shown && this.raster.sees(part)) this.raster.drawOpaque(part, false, this.target, null);
    }
  }

  /** What a sample shows after `findVisible` or `draw`; null for nothing. */
  drawableAt(sample: number): Drawable | null {
    const part = this.raster.log.partOf(this.target.shown[sample]);
    return part < 0 ? null : this.#tools.scene.parts[part].owner;
  }

  /** The picture that was drawn, (H, W, 3), as a new array. */
  resolve(layer: FixedLayer | null): Uint8Array {
    if (layer !== null) this.#pixels.set(layer.pixels);
    this.#tools.kernels.resolve(this.#pixels.byteOffset, this.target.touched.length);
    return this.#pixels.slice();
  }

  get #firstSample(): number {
    return SAMPLES * this.view.width * this.raster.rectangle.bottom;
  }

  get #endSample(): number {
    return SAMPLES * this.view.width * (this.raster.rectangle.top + 1);
  }

  /** Begins a picture with nothing, all of which has to be coloured. */
  #clear(): void {
    const first = this.#firstSample;
    const end = this.#endSample;
    this.target.depth.fill(0, first, end);
    this.target.shown.fill(NOTHING, first, end);
    this.target.touched.fill(1, first / SAMPLES, end / SAMPLES);
    this.raster.begin();
  }

  /**
   * Draws the opaque drawables that are fixed, that are not, or all; nearer ones first, so that few samples are drawn
   * twice.
   */
  #drawOpaque({ without, behind }: PassOptions, which: "fixed" | "moving" | "all"): void {
    const { raster } = this;
    const queue = this.#queue;
    queue.length = 0;
    for (const part of this.#tools.scene.parts) {
      const { owner } = part;
      if (which !== "all" && owner.fixed !== (which === "fixed")) continue;
      if (owner.transparent || owner === without || !(owner.rgba[3] > 0) || !raster.sees(part)) continue;
      part.depth = raster.depthOf(part);
      queue.push(part);
    }
    queue.sort((a, b) => a.depth - b.depth);
    for (const part of queue) {
      const first = raster.log.count;
      raster.drawOpaque(part, false, this.target, behind);
      this.#tools.lighting.light(part, first, raster.log.count);
    }
  }

  /** Colours every sample of touched pixels whose colour is not known yet. */
  #shade(sky: Texture | null): void {
    const { left, right, bottom, top } = this.raster.rectangle;
    this.#tools.kernels.shade(left, right, bottom, top, sky === null ? 0 : sky.address);
  }

  /** Only after all else that is opaque, since each sample has its own reflection. */
  #addReflection({ mirror: { parts }, rectangle, colors }: Reflection): void {
    const { left, right, bottom, top } = rectangle;
    const first = parts[0].index;
    this.#tools.kernels.reflect(left, right, bottom, top, first, first + parts.length, colors.byteOffset);
  }

  /** Transparent drawables, twice as MuJoCo does: nearest first, then farthest first. */
  #blend(without: Drawable | null, behind: Float32Array | null): void {
    const blended = this.#blended;
    blended.length = 0;
    for (const drawable of this.#tools.scene.drawables) {
      if (drawable.transparent && drawable.rgba[3] > 0 && drawable !== without) blended.push(drawable);
    }
    if (blended.length === 0) return;
    this.#blendedTriangle.fill(NOTHING);
    blended.sort((a, b) => (a.distance === b.distance ? 0 : a.distance - b.distance));
    for (let i = 0; i < blended.length; i++) this.#blendDrawable(blended[i], behind);
    for (let i = blended.length - 1; i >= 0; i--) this.#blendDrawable(blended[i], behind);
  }

  #blendDrawable(drawable: Drawable, behind: Float32Array | null): void {
    const turned = drawable.type === PLANE && drawable.behind;
    const opacity = Math.min(1, drawable.rgba[3]) * (turned ? BACK_OPACITY : 1);
    for (const part of drawable.parts) {
      if (!this.raster.sees(part)) continue;
      const { log } = this.raster;
      const first = log.count;
      this.raster.drawBlended(part, turned, this.target, behind);
      this.#tools.lighting.light(part, first, log.count);
      this.#blendFragments(opacity);
    }
  }

  #blendFragments(opacity: number): void {
    const { fragments, fragmentCount } = this.raster;
    const { width } = this.view;
    const { colors, touched } = this.target;
    const { memory, kernels } = this.#tools;
    const shaded = memory.frame.doubles.subarray(FRAME.color / 8, FRAME.color / 8 + 3);
    const own = this.#blendColors;
    const weight = 255 * opacity;
    for (let i = 0; i < fragmentCount; i++) {
      const sample = fragments[2 * i];
      const triangle = fragments[2 * i + 1];
      const pixel = sample >> 2;
      if (this.#blendedTriangle[pixel] !== triangle) {
        this.#blendedTriangle[pixel] = triangle;
        kernels.triangle(triangle, pixel % width, Math.floor(pixel / width));
        own.set(shaded, 3 * pixel);
        touched[pixel] = 1;
      }
      for (let k = 0; k < 3; k++) {
        const behind = colors[4 * sample + k];
        colors[4 * sample + k] = toByte(own[3 * pixel + k] * weight + behind * (1 - opacity));
      }
    }
  }
}

/** The nearest byte; of two, the even one. */
const nearestByte = new Uint8ClampedArray(1);
function toByte(value: number): number {
  nearestByte[0] = value;
  return nearestByte[0];
}
