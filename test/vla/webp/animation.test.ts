import { fc, test } from "@fast-check/vitest";
import { describe, expect } from "vitest";
import { animate, picturesOf } from "../../../vla/webp/animation.ts";

/** A file of one picture, as far as the container can tell. */
const picture = fc
  .tuple(fc.constantFrom("VP8 ", "VP8L"), fc.uint8Array({ minLength: 1, maxLength: 40 }))
  .map(([name, data]): Uint8Array => {
    const padded = data.length + (data.length % 2);
    const file = Buffer.alloc(20 + padded);
    file.write("RIFF", 0, "latin1");
    file.writeUInt32LE(12 + padded, 4);
    file.write(`WEBP${name}`, 8, "latin1");
    file.writeUInt32LE(data.length, 16);
    file.set(data, 20);
    return file;
  });
const frames = fc.array(fc.record({ file: picture, ms: fc.nat(2 ** 24 - 1) }), {
  minLength: 1,
  maxLength: 5,
});
const bytesOf = (files: readonly Uint8Array[] | null) =>
  files?.map((file) => Buffer.from(file).toString("hex"));

describe("animate", () => {
  test.prop([frames])("loses nothing: every picture can be taken out again, byte for byte", (frames) => {
    const file = animate(frames, 7, 5);
    expect(bytesOf(picturesOf(file))).toEqual(bytesOf(frames.map(({ file }) => file)));
  });

  test.prop([frames, fc.nat(), fc.nat(255)])(
    "damaged files are refused or read, never obeyed",
    (frames, at, value) => {
      const file = animate(frames, 7, 5);
      expect(picturesOf(file.subarray(0, at % file.length))).toBe(null);
      const changed = Buffer.from(file);
      changed[at % changed.length] = value;
      const pictures = picturesOf(changed) ?? [];
      expect(pictures.length).toBeLessThanOrEqual(frames.length);
    },
  );

  test("writes the header of the format", () => {
    const still = fc.sample(picture, { numRuns: 1, seed: 1 })[0];
    const file = Buffer.from(animate([{ file: still, ms: 50 }], 128, 64));
    expect(file.toString("latin1", 0, 4) + file.toString("latin1", 8, 16)).toBe("RIFFWEBPVP8X");
    expect([...file.subarray(20, 30)]).toEqual([2, 0, 0, 0, 127, 0, 0, 63, 0, 0]);
    expect(file.readUInt32LE(4)).toBe(file.length - 8);
  });

  test("refuses what is no picture", () => {
    expect(() => animate([{ file: new Uint8Array(40), ms: 50 }], 2, 2)).toThrow("frame 0 is none");
    expect(() => animate([], 0, 2)).toThrow("expected pictures of 1 to 16777215 pixels a side, got 0 x 2");
  });
});
