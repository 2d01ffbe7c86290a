import type { View } from "./camera.ts";
import type { Drawable } from "./drawable.ts";
import type { Lights } from "./lights.ts";
import { SAMPLES, type SampleBuffer } from "./samples.ts";
import { Snapshot } from "./snapshot.ts";
import { KEPT_NOTHING, keptPart, NOTHING, type TriangleLog } from "./triangle-log.ts";

/**
 * What never moves, seen by a camera that never moves: drawn and coloured once and then only copied. It holds for as
 * long as all that it was drawn from stays the same, number for number.
 */
export class FixedLayer {
  readonly #depth: Float32Array;
  readonly #shown: Int32Array;
  readonly #colors: Uint8Array;
  /** Colours of its pixels, (H, W, 3). */
  readonly pixels: Uint8Array;
  readonly #snapshot = new Snapshot();

  constructor(width: number, height: number) {
    const sampleCount = SAMPLES * width * height;
    this.#depth = new Float32Array(sampleCount);
    this.#shown = new Int32Array(sampleCount);
    this.#colors = new Uint8Array(4 * sampleCount);
    this.pixels = new Uint8Array(3 * width * height);
  }

  /** Whether the kept picture is what would be drawn now. If not, draw what is fixed and call `keep`. */
  holds(
    view: View,
    lights: Lights,
    fixed: readonly Drawable[],
    tint: number,
    without: Drawable | null,
  ): boolean {
    const snapshot = this.#snapshot;
    snapshot.begin();
    view.describe(snapshot);
    snapshot.addAll(lights.table);
    snapshot.add(tint);
    snapshot.add(without === null ? -1 : without.parts[0].index);
    for (let i = 0; i < fixed.length; i++) {
      const { position, rotation, rgba } = fixed[i];
      snapshot.addAll(position);
      snapshot.addAll(rotation);
      snapshot.addAll(rgba);
    }
    return snapshot.same;
  }

  /** Takes over what was drawn, all of it coloured: samples from number `first` to before `end`. */
  keep(target: SampleBuffer, pixels: Uint8Array, log: TriangleLog, first: number, end: number): void {
    this.#depth.set(target.depth.subarray(first, end), first);
    this.#colors.set(target.colors.subarray(4 * first, 4 * end), 4 * first);
    const { shown } = target;
    for (let s = first; s < end; s++) {
      this.#shown[s] = shown[s] === NOTHING ? KEPT_NOTHING : keptPart(log.partOf(shown[s]));
    }
    this.pixels.set(pixels);
  }

  /** Begins a picture with what was kept. */
  copyTo(target: SampleBuffer, first: number, end: number): void {
    target.depth.set(this.#depth.subarray(first, end), first);
    target.shown.set(this.#shown.subarray(first, end), first);
    target.touched.fill(0, first / SAMPLES, end / SAMPLES);
    target.colors.set(this.#colors.subarray(4 * first, 4 * end), 4 * first);
  }
}
