import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { decode } from "fast-png";
import ndarray from "ndarray";
import { expect, test } from "vitest";
import { encodeUpright, FrameWriter } from "../../../vla/eval/frames.ts";
import type { Observation } from "../../../vla/observation.ts";

/** Two rows of three pixels, each with its own colour. */
const bottomUp = Uint8Array.from({ length: 18 }, (_, i) => 10 * i);
const upright = Uint8Array.from([...bottomUp.slice(9), ...bottomUp.slice(0, 9)]);
const image = ndarray(bottomUp, [2, 3, 3]);

test("a frame is the observation upside down, pixel for pixel", () => {
  const png = decode(encodeUpright(image));
  expect([png.width, png.height, png.channels, png.depth]).toEqual([3, 2, 3, 8]);
  expect(Uint8Array.from(png.data)).toEqual(upright);
});

test("a view that runs backwards is encoded as it reads", () => {
  const png = decode(encodeUpright(image.step(-1, 1, 1)));
  expect(Uint8Array.from(png.data)).toEqual(bottomUp);
});

test("both cameras are written, by control step", async () => {
  const root = mkdtempSync(join(tmpdir(), "nina-frames-"));
  try {
    const folder = join(root, "task", "init_07");
    const frames = FrameWriter.open(folder);
    const seen = {
      agentview_image: image,
      robot0_eye_in_hand_image: image.step(-1, 1, 1),
    } as unknown as Observation;
    await frames.write(seen, 42);
    expect(readdirSync(folder).sort()).toEqual(["agentview_0042.png", "eye_in_hand_0042.png"]);
    const data = decode(readFileSync(join(folder, "agentview_0042.png"))).data;
    expect(Uint8Array.from(data)).toEqual(upright);
  } finally {
    rmSync(root, { recursive: true });
  }
});

test("a picture that cannot be written is named", async () => {
  const root = mkdtempSync(join(tmpdir(), "nina-frames-"));
  try {
    const frames = FrameWriter.open(join(root, "task"));
    rmSync(join(root, "task"), { recursive: true });
    const seen = { agentview_image: image, robot0_eye_in_hand_image: image } as unknown as Observation;
    const path = join(root, "task", "agentview_0007.png");
    await expect(frames.write(seen, 7)).rejects.toThrow(`${path}: cannot be written: ENOENT`);
  } finally {
    rmSync(root, { recursive: true });
  }
});
