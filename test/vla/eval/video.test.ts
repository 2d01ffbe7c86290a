import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import decode, { init } from "@jsquash/webp/decode.js";
import ndarray from "ndarray";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { sideBySide, VideoWriter } from "../../../vla/eval/video.ts";
import type { Observation } from "../../../vla/observation.ts";
import { picturesOf } from "../../../vla/webp/animation.ts";

const folder = mkdtempSync(join(tmpdir(), "nina-video-"));
afterAll(() => rmSync(folder, { recursive: true }));

beforeAll(async () => {
  const path = createRequire(import.meta.url).resolve("@jsquash/webp/codec/dec/webp_dec.wasm");
  await (init as (module: WebAssembly.Module) => Promise<void>)(new WebAssembly.Module(readFileSync(path)));
});

/** 16 by 16 pixels: a dark bottom and a top that is as bright as told. */
function image(brightness: number) {
  const data = Uint8Array.from({ length: 16 * 16 * 3 }, (_, i) => (i < 8 * 16 * 3 ? 20 : brightness));
  return ndarray(data, [16, 16, 3]);
}
const seen = (left: number, right: number): Observation =>
  ({ agentview_image: image(left), robot0_eye_in_hand_image: image(right) }) as unknown as Observation;

test("two images stand beside each other, the right way up", () => {
  const small = (...data: number[]) => ndarray(Uint8Array.from(data), [2, 1, 3]);
  const { width, height, data } = sideBySide(small(1, 2, 3, 4, 5, 6), small(7, 8, 9, 10, 11, 12));
  expect([width, height]).toEqual([2, 2]);
  expect([...data]).toEqual([4, 5, 6, 255, 10, 11, 12, 255, 1, 2, 3, 255, 7, 8, 9, 255]);
});

describe("VideoWriter", () => {
  test("has a picture of both cameras for each step, and a file only at the end", async () => {
    const path = join(folder, "task", "init_00.webp");
    const video = await VideoWriter.open(path);
    for (let step = 0; step < 3; step++) await video.write(seen(50 * step, 255 - 50 * step));
    expect(readdirSync(join(folder, "task"))).toEqual([]);
    video.finish();
    expect(readdirSync(join(folder, "task"))).toEqual(["init_00.webp"]);
    const pictures = picturesOf(readFileSync(path))!;
    expect(pictures).toHaveLength(3);
    for (const [step, picture] of pictures.entries()) {
      const { width, height, data } = await decode(Uint8Array.from(picture).buffer);
      expect([width, height]).toEqual([32, 16]);
      const at = (x: number, y: number): number => data[4 * (32 * y + x)];
      const expected = [50 * step, 255 - 50 * step, 20, 20];
      // Even surfaces: what a lossy codec changes is rounding between colour spaces.
      [at(4, 4), at(28, 4), at(4, 12), at(28, 12)].forEach((value, i) => {
        expect(Math.abs(value - expected[i])).toBeLessThan(8);
      });
    }
  });

  test("a video that cannot be written is named", async () => {
    const path = join(folder, "taken.webp");
    const video = await VideoWriter.open(path);
    await video.write(seen(0, 0));
    mkdirSync(path);
    expect(() => video.finish()).toThrow(`${path}: cannot be written`);
  });
});
