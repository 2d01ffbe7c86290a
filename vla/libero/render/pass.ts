import { View } from "./camera.ts";
import { type Drawable, type Part, PLANE } from "./drawable.ts";
import type { FixedLayer } from "./fixed-layer.ts";
import type { Lighting } from "./lighting.ts";
import type { Lights } from "./lights.ts";
import { Rasterizer } from "./rasterizer.ts";
import { type Rectangle, resolvePixel, SAMPLES, type SampleBuffer } from "./samples.ts";
import type { RenderScene } from "./scene.ts";
import { Shader } from "./shader.ts";
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
  /** Colour per sample, (H, W, 4, 3). */
  readonly samples: Uint8ClampedArray;
}

/** Draws the scene once from one view into sample colours: visibility first, then shading of what is visible. */
export class Pass {
  readonly view: View;
  readonly raster: Rasterizer;
  readonly target: SampleBuffer;
  /** Colour per sample, (H, W, 4, 3), row 0 at the bottom. */
  readonly samples: Uint8ClampedArray;
  readonly #drawables: readonly Drawable[];
  readonly #fixed: readonly Drawable[];
  readonly #parts: readonly Part[];
  readonly #lights: Lights;
  readonly #lighting: Lighting;
  readonly #shader: Shader;
  readonly #queue: Part[] = [];
  readonly #blended: Drawable[] = [];
  /** The triangle that `#blendColors` holds the colour of at each pixel, and that colour. */
  readonly #blendedTriangle: Int32Array;
  readonly #blendColors: Float64Array;

  constructor(width: number, height: number, scene: RenderScene, lights: Lights, lighting: Lighting) {
    this.view = new View(width, height);
    this.raster = new Rasterizer(this.view);
    const pixelCount = width * height;
    this.target = {
      depth: new Float32Array(SAMPLES * pixelCount),
      shown: new Int32Array(SAMPLES * pixelCount),
      touched: new Uint8Array(pixelCount),
    };
    this.samples = new Uint8ClampedArray(3 * SAMPLES * pixelCount);
    this.#drawables = scene.drawables;
    this.#fixed = scene.drawables.filter(({ fixed }) => fixed);
    this.#parts = scene.drawables.flatMap((drawable) => drawable.parts);
    this.#lights = lights;
    this.#lighting = lighting;
    this.#shader = new Shader(lighting);
    this.#blendedTriangle = new Int32Array(pixelCount);
    this.#blendColors = new Float64Array(3 * pixelCount);
  }

  /** Draws all, in the rows of the rasteriser's rectangle. With a layer, what is fixed is drawn only when the layer no longer holds. */
  draw(options: PassOptions, layer: FixedLayer | null): void {
    const { tint, without, behind } = options;
    const { view, raster, target, samples } = this;
    this.#lighting.begin(view.eye, tint);
    if (layer !== null) {
      if (!layer.holds(view, this.#lights, this.#fixed, tint, without)) {
        this.#clear();
        this.#drawOpaque(options, "fixed");
        this.#shade(options.sky);
        layer.keep(target, samples, raster.log, this.#firstSample, this.#endSample);
      }
      raster.begin();
      layer.copyTo(target, samples, this.#firstSample, this.#endSample);
      this.#drawOpaque(options, "moving");
    } else {
      this.#clear();
      this.#drawOpaque(options, "all");
    }
    this.#shade(options.sky);
    if (options.reflection) this.#addReflection(options.reflection);
    this.#blend(without, behind);
  }

  /**
   * Fills `target` alone, with everything. Where all are taken for `solid`, transparent drawables hide what is behind
   * them, and so do those of negative opacity, which pictures leave out.
   */
  findVisible(solid: boolean): void {
    this.#clear();
    for (const part of this.#parts) {
      const { rgba, transparent } = part.owner;
      const shown = solid ? rgba[3] !== 0 : rgba[3] > 0 && !transparent;
      if (shown && this.raster.sees(part)) this.raster.drawOpaque(part, false, this.target, null);
    }
  }

  /** What a sample shows after `findVisible` or `draw`; null for nothing. */
  drawableAt(sample: number): Drawable | null {
    const part = this.raster.log.partOf(this.target.shown[sample]);
    return part < 0 ? null : this.#parts[part].owner;
  }

  /** The picture that was drawn, (H, W, 3), as a new array. */
  resolve(layer: FixedLayer | null): Uint8Array {
    const { touched } = this.target;
    const pixels = layer === null ? new Uint8Array(3 * touched.length) : layer.pixels();
    for (let i = 0; i < touched.length; i++) {
      if (touched[i] === 1) resolvePixel(this.samples, i, pixels);
    }
    return pixels;
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

  /** Draws the opaque drawables that are fixed, that are not, or all; nearer ones first, so that few samples are drawn twice. */
  #drawOpaque({ without, behind }: PassOptions, which: "fixed" | "moving" | "all"): void {
    const { raster } = this;
    const queue = this.#queue;
    queue.length = 0;
    for (const part of this.#parts) {
      const { owner } = part;
      if (which !== "all" && owner.fixed !== (which === "fixed")) continue;
      if (owner.transparent || owner === without || !(owner.rgba[3] > 0) || !raster.sees(part)) continue;
      part.depth = raster.depthOf(part);
      queue.push(part);
    }
    queue.sort((a, b) => a.depth - b.depth);
    for (const part of queue) raster.drawOpaque(part, false, this.target, behind);
  }

  /** Colours every sample of touched pixels; a triangle is shaded once per pixel however many samples it covers. */
  #shade(sky: Texture | null): void {
    this.#shader.begin();
    const { width } = this.view;
    const { left, right, bottom, top } = this.raster.rectangle;
    const { shown, touched } = this.target;
    for (let y = bottom; y <= top; y++) {
      for (let x = left; x <= right; x++) {
        const pixel = y * width + x;
        if (touched[pixel] === 0) continue;
        const first = SAMPLES * pixel;
        const only = shown[first];
        if (only === shown[first + 1] && only === shown[first + 2] && only === shown[first + 3]) {
          if (only < NOTHING) continue;
          this.#shadeSample(only, sky, x, y, first);
          for (let s = first + 1; s < first + SAMPLES; s++) this.#copySample(first, s);
          continue;
        }
        for (let s = first; s < first + SAMPLES; s++) {
          const id = shown[s];
          if (id < NOTHING) continue; // its colour is known
          let twin = first;
          while (shown[twin] !== id) twin++;
          if (twin === s) this.#shadeSample(id, sky, x, y, s);
          else this.#copySample(twin, s);
        }
      }
    }
  }

  #copySample(from: number, to: number): void {
    const { samples } = this;
    samples[3 * to] = samples[3 * from];
    samples[3 * to + 1] = samples[3 * from + 1];
    samples[3 * to + 2] = samples[3 * from + 2];
  }

  #shadeSample(id: number, sky: Texture | null, x: number, y: number, s: number): void {
    const { samples } = this;
    const { rgb } = this.#shader;
    if (id >= 0) this.#shadeTriangle(id, x, y);
    else if (sky !== null) this.#shader.sky(sky, this.view, x, y);
    else rgb.fill(0);
    samples[3 * s] = rgb[0] * 255;
    samples[3 * s + 1] = rgb[1] * 255;
    samples[3 * s + 2] = rgb[2] * 255;
  }

  #shadeTriangle(id: number, x: number, y: number): void {
    const { log } = this.raster;
    this.#shader.shade(log, id, this.#parts[log.parts[id]], x, y);
  }

  /** Only after all else that is opaque: twins copy the mirror's own colour, and each sample has its own reflection. */
  #addReflection({ mirror, rectangle, samples: reflected }: Reflection): void {
    const { samples } = this;
    const { left, right, bottom, top } = rectangle;
    for (let y = bottom; y <= top; y++) {
      const row = y * this.view.width;
      for (let s = SAMPLES * (row + left); s < SAMPLES * (row + right + 1); s++) {
        if (this.drawableAt(s) !== mirror) continue;
        this.target.touched[s >> 2] = 1;
        for (let k = 3 * s; k < 3 * s + 3; k++) samples[k] += reflected[k];
      }
    }
  }

  /** Transparent drawables, twice as MuJoCo does: nearest first, then farthest first. */
  #blend(without: Drawable | null, behind: Float32Array | null): void {
    const blended = this.#blended;
    blended.length = 0;
    for (const drawable of this.#drawables) {
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
      this.raster.drawBlended(part, turned, this.target, behind);
      this.#blendFragments(opacity);
    }
  }

  #blendFragments(opacity: number): void {
    const { fragments, fragmentCount } = this.raster;
    const { width } = this.view;
    const { samples } = this;
    const { rgb } = this.#shader;
    const colors = this.#blendColors;
    const weight = 255 * opacity;
    for (let i = 0; i < fragmentCount; i++) {
      const sample = fragments[2 * i];
      const triangle = fragments[2 * i + 1];
      const pixel = sample >> 2;
      if (this.#blendedTriangle[pixel] !== triangle) {
        this.#blendedTriangle[pixel] = triangle;
        this.#shadeTriangle(triangle, pixel % width, Math.floor(pixel / width));
        colors.set(rgb, 3 * pixel);
        this.target.touched[pixel] = 1;
      }
      for (let k = 0; k < 3; k++) {
        samples[3 * sample + k] = colors[3 * pixel + k] * weight + samples[3 * sample + k] * (1 - opacity);
      }
    }
  }
}
