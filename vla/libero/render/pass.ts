import { View } from "./camera.ts";
import { type Drawable, type Part, PLANE } from "./drawable.ts";
import type { Lighting } from "./lighting.ts";
import { Rasterizer, SAMPLES, type SampleBuffer } from "./rasterizer.ts";
import type { RenderScene } from "./scene.ts";
import { Shader } from "./shader.ts";
import type { Texture } from "./texture.ts";

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
  /** A drawable whose colour is added to these sample colours. */
  readonly mirror: { readonly drawable: Drawable; readonly samples: Uint8ClampedArray } | null;
}

/** Draws the scene once from one view into sample colours: visibility first, then shading of what is visible. */
export class Pass {
  readonly view: View;
  readonly raster: Rasterizer;
  readonly target: SampleBuffer;
  /** Colour per sample, (H, W, 4, 3), row 0 at the bottom. */
  readonly samples: Uint8ClampedArray;
  readonly #drawables: readonly Drawable[];
  readonly #parts: readonly Part[];
  readonly #lighting: Lighting;
  readonly #shader: Shader;
  readonly #inView: Uint8Array;
  readonly #blended: Drawable[] = [];

  /** `extraPoints` are kept free behind the scene's points for parts of the caller's own. */
  constructor(width: number, height: number, scene: RenderScene, lighting: Lighting, extraPoints = 0) {
    this.view = new View(width, height);
    this.raster = new Rasterizer(this.view, scene.pointCount + extraPoints);
    const sampleCount = SAMPLES * width * height;
    this.target = { depth: new Float32Array(sampleCount), triangle: new Int32Array(sampleCount) };
    this.samples = new Uint8ClampedArray(3 * sampleCount);
    this.#drawables = scene.drawables;
    this.#parts = scene.drawables.flatMap((drawable) => drawable.parts);
    this.#lighting = lighting;
    this.#shader = new Shader(lighting);
    this.#inView = new Uint8Array(this.#parts.length);
  }

  draw(options: PassOptions): void {
    this.#lighting.begin(this.view.eye, options.tint);
    this.findVisible(options, false);
    this.#shade(options);
    this.#blend(options);
  }

  /**
   * Fills `target` alone. Where all are taken for `solid`, transparent drawables hide what is behind them, and so do those
   * of negative opacity, which pictures leave out.
   */
  findVisible({ without, behind }: Pick<PassOptions, "without" | "behind">, solid: boolean): void {
    this.target.depth.fill(0);
    this.target.triangle.fill(-1);
    this.raster.clearLog();
    const parts = this.#parts;
    for (let i = 0; i < parts.length; i++) {
      const part = parts[i];
      const { owner } = part;
      const shown = solid ? owner.rgba[3] !== 0 : owner.rgba[3] > 0;
      this.#inView[i] = shown && owner !== without && this.raster.sees(part) ? 1 : 0;
      if (this.#inView[i] === 0) continue;
      this.raster.project(part);
      if (solid || !owner.transparent) this.raster.drawOpaque(part, i, false, this.target, behind);
    }
  }

  /** What a sample shows after `findVisible`; null for nothing. */
  drawableAt(sample: number): Drawable | null {
    const triangle = this.target.triangle[sample];
    return triangle < 0 ? null : this.#parts[this.raster.parts[triangle]].owner;
  }

  /** Colours every sample; a triangle is shaded once per pixel however many samples it covers. */
  #shade({ sky, mirror }: PassOptions): void {
    const { width, height } = this.view;
    const { triangle } = this.target;
    const { parts: partOf } = this.raster;
    const { samples } = this;
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        const first = SAMPLES * (y * width + x);
        for (let s = first; s < first + SAMPLES; s++) {
          const id = triangle[s];
          let twin = first;
          while (triangle[twin] !== id) twin++;
          if (twin === s) this.#shadeSample(id, sky, x, y, s);
          else {
            samples[3 * s] = samples[3 * twin];
            samples[3 * s + 1] = samples[3 * twin + 1];
            samples[3 * s + 2] = samples[3 * twin + 2];
          }
        }
        if (mirror === null) continue;
        // Only now: twins copy the mirror's own colour, and each sample has its own reflection.
        for (let s = first; s < first + SAMPLES; s++) {
          const id = triangle[s];
          if (id < 0 || this.#parts[partOf[id]].owner !== mirror.drawable) continue;
          for (let k = 3 * s; k < 3 * s + 3; k++) samples[k] += mirror.samples[k];
        }
      }
    }
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
    const { edges, parts, corners } = this.raster;
    const part = this.#parts[parts[id]];
    this.#shader.shade(edges, 9 * id, part, corners[3 * id], corners[3 * id + 1], corners[3 * id + 2], x, y);
  }

  /** Transparent drawables, twice as MuJoCo does: nearest first, then farthest first. */
  #blend({ behind, without }: PassOptions): void {
    const blended = this.#blended;
    blended.length = 0;
    for (const drawable of this.#drawables) {
      if (drawable.transparent && drawable !== without) blended.push(drawable);
    }
    if (blended.length === 0) return;
    blended.sort((a, b) => (a.distance === b.distance ? 0 : a.distance - b.distance));
    for (let i = 0; i < blended.length; i++) this.#blendDrawable(blended[i], behind);
    for (let i = blended.length - 1; i >= 0; i--) this.#blendDrawable(blended[i], behind);
  }

  #blendDrawable(drawable: Drawable, behind: Float32Array | null): void {
    const turned = drawable.type === PLANE && drawable.behind;
    const opacity = Math.min(1, drawable.rgba[3]) * (turned ? BACK_OPACITY : 1);
    for (const part of drawable.parts) {
      const index = this.#parts.indexOf(part);
      if (this.#inView[index] === 0) continue;
      this.raster.drawBlended(part, index, turned, this.target, behind);
      this.#blendFragments(opacity);
    }
  }

  #blendFragments(opacity: number): void {
    const { fragments, fragmentCount } = this.raster;
    const { width } = this.view;
    const { samples } = this;
    const { rgb } = this.#shader;
    const weight = 255 * opacity;
    for (let i = 0; i < fragmentCount; i++) {
      const pixel = fragments[3 * i];
      const covered = fragments[3 * i + 1];
      this.#shadeTriangle(fragments[3 * i + 2], pixel % width, Math.floor(pixel / width));
      for (let s = 0; s < SAMPLES; s++) {
        if ((covered & (1 << s)) === 0) continue;
        const at = 3 * (SAMPLES * pixel + s);
        for (let k = 0; k < 3; k++) samples[at + k] = rgb[k] * weight + samples[at + k] * (1 - opacity);
      }
    }
  }
}
