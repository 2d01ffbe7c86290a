import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { encode } from "fast-png";
import { makeFolder } from "../../core/index.ts";
import type { Image, Observation } from "../observation.ts";

/** Writes what a policy sees as `FOLDER/agentview_0042.png` and `FOLDER/eye_in_hand_0042.png`, 42 the control step. */
export class FrameWriter {
  readonly #folder: string;

  private constructor(folder: string) {
    this.#folder = folder;
  }

  static open(folder: string): FrameWriter {
    makeFolder(folder);
    return new FrameWriter(folder);
  }

  async write(seen: Observation, step: number): Promise<void> {
    const number = String(step).padStart(4, "0");
    await this.#save(`agentview_${number}.png`, seen.agentview_image);
    await this.#save(`eye_in_hand_${number}.png`, seen.robot0_eye_in_hand_image);
  }

  async #save(name: string, image: Image): Promise<void> {
    const path = join(this.#folder, name);
    try {
      await writeFile(path, encodeUpright(image));
    } catch (cause) {
      await rm(path, { force: true }); // half a picture is none
      throw new Error(`${path}: cannot be written: ${(cause as Error).message}`, { cause });
    }
  }
}

/** An observation's image as PNG, its last row first: observations hold the bottom row first, pictures the top. */
export function encodeUpright(image: Image): Uint8Array {
  const [height, width, channels] = image.shape;
  const data = new Uint8Array(height * width * channels);
  let i = 0;
  for (let row = height - 1; row >= 0; row--)
    for (let column = 0; column < width; column++)
      for (let channel = 0; channel < channels; channel++) data[i++] = image.get(row, column, channel);
  return encode({ width, height, data, channels, depth: 8 });
}
