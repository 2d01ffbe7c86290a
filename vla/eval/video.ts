import { dirname } from "node:path";
import { makeFolder, writeFileAtomic } from "../../core/index.ts";
import type { Image, Observation } from "../observation.ts";
import { animate, type Frame } from "../webp/animation.ts";
import { type Encode, openEncoder, type Pixels } from "../webp/encode.ts";

/** A control step, milliseconds: the video is as fast as the arm was. */
const STEP_MS = 50;
/** How long the end stays before it begins again, milliseconds. */
const END_MS = 1500;

/** Makes an animated WebP of what both cameras saw in an episode, side by side, one picture for each control step. */
export class VideoWriter {
  readonly #path: string;
  readonly #encode: Encode;
  readonly #files: Uint8Array[] = [];
  #size: Pick<Pixels, "width" | "height"> = { width: 0, height: 0 };

  private constructor(path: string, encode: Encode) {
    [this.#path, this.#encode] = [path, encode];
  }

  static async open(path: string): Promise<VideoWriter> {
    makeFolder(dirname(path));
    return new VideoWriter(path, await openEncoder());
  }

  async write({ agentview_image, robot0_eye_in_hand_image }: Observation): Promise<void> {
    const pixels = sideBySide(agentview_image, robot0_eye_in_hand_image);
    this.#size = pixels;
    this.#files.push(await this.#encode(pixels));
  }

  /** The episode is over: only now there is a file, and a whole one. @throws Error where it cannot be written. */
  finish(): void {
    const last = this.#files.length - 1;
    const frames = this.#files.map((file, i): Frame => ({ file, ms: i === last ? END_MS : STEP_MS }));
    const { width, height } = this.#size;
    try {
      writeFileAtomic(this.#path, animate(frames, width, height));
    } catch (cause) {
      const { message } = cause as Error;
      throw message.startsWith(this.#path)
        ? cause
        : new Error(`${this.#path}: cannot be written: ${message}`, { cause });
    }
  }
}

/** Images of one height, whose row 0 is the bottom, as one picture the right way up. */
export function sideBySide(...images: readonly Image[]): Pixels {
  const [height] = images[0].shape;
  const width = images.reduce((sum, image) => sum + image.shape[1], 0);
  const data = new Uint8ClampedArray(4 * width * height);
  let left = 0;
  for (const image of images) {
    const columns = image.shape[1];
    for (let y = 0; y < height; y++)
      for (let x = 0; x < columns; x++) {
        const at = 4 * (y * width + left + x);
        for (let c = 0; c < 3; c++) data[at + c] = image.get(height - 1 - y, x, c);
        data[at + 3] = 255;
      }
    left += columns;
  }
  return { width, height, data };
}
