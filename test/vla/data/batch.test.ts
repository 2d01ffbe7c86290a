import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fc, test } from "@fast-check/vitest";
import { afterAll, beforeAll, describe, expect } from "vitest";
import { PLAIN } from "../../../vla/data/augmentation.ts";
import { type Batch, BatchMaker, type BatchSettings, batchViews } from "../../../vla/data/batch.ts";
import { CAMERAS } from "../../../vla/data/demonstrations.ts";
import { ExampleSet } from "../../../vla/data/example-set.ts";
import { processImage } from "../../../vla/florence2/image-processor.ts";
import { writeSmallFile } from "./small-files.ts";

const folder = mkdtempSync(join(tmpdir(), "nina-ts-batches-"));
const path = join(folder, "task_demo.hdf5");
const LENGTHS = [5, 1, 7, 4];
const SIZE = 6;
let set: ExampleSet;
beforeAll(async () => {
  await writeSmallFile(path, { lengths: LENGTHS, size: SIZE });
  set = await ExampleSet.open({ path, pairing: "causal", horizon: 3 });
});
afterAll(() => {
  set[Symbol.dispose]();
  rmSync(folder, { recursive: true });
});

const pad = fc.integer({ min: 0, max: 3 });
const settings: fc.Arbitrary<BatchSettings> = fc.record({
  seed: fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER }),
  size: fc.integer({ min: 1, max: 12 }),
  imageSize: fc.constantFrom(SIZE, 4),
  augmentation: fc.record({
    pads: fc.record({ agentview: pad, wrist: pad }),
    gain: fc.constantFrom([1, 1] as const, [0.85, 1.15] as const),
  }),
});

describe("batches", () => {
  test.prop([settings, fc.array(fc.nat(50), { minLength: 1, maxLength: 4 })], { numRuns: 40 })(
    "are the same whatever was made before",
    (settings, numbers) => {
      const maker = new BatchMaker(set, settings);
      const arrays = maker.allocate();
      for (const number of numbers)
        expect(maker.make(number, arrays)).toEqual(new BatchMaker(set, settings).make(number));
    },
  );

  test.prop([settings])("bring every example once per epoch, in full batches", (settings) => {
    const maker = new BatchMaker(set, { ...settings, augmentation: PLAIN });
    const all = Array.from({ length: set.count }, (_, k) => [...maker.make(k).examples]).flat();
    expect(all).toHaveLength(set.count * settings.size);
    for (let epoch = 0; epoch < settings.size; epoch++) {
      const seen = all.slice(epoch * set.count, (epoch + 1) * set.count).sort((a, b) => a - b);
      expect(seen).toEqual(Array.from({ length: set.count }, (_, i) => i));
    }
  });

  test.prop([settings, fc.nat(50)])("hold the pictures moved as their shifts tell", (settings, number) => {
    const { size, imageSize, augmentation } = { ...settings, imageSize: SIZE };
    const fixed = { ...settings, imageSize, augmentation: { ...augmentation, gain: [1, 1] as const } };
    const batch = new BatchMaker(set, fixed).make(number);
    const { shifts, actions, ...cameras } = batchViews(batch);
    const chunk = new Float32Array(21);
    const inside = (i: number): number => Math.min(SIZE - 1, Math.max(0, i));
    for (let b = 0; b < size; b++) {
      const example = batch.examples[b];
      CAMERAS.forEach((camera, k) => {
        const [dx, dy] = [shifts.get(b, k, 0), shifts.get(b, k, 1)];
        const whole = processImage(set.picture(example, camera), SIZE);
        expect(Math.max(Math.abs(dx), Math.abs(dy))).toBeLessThanOrEqual(augmentation.pads[camera]);
        for (let c = 0; c < 3; c++)
          for (let y = 0; y < SIZE; y++)
            for (let x = 0; x < SIZE; x++)
              if (
                cameras[camera].get(b, c, y, x) !== whole[(c * SIZE + inside(y + dy)) * SIZE + inside(x + dx)]
              )
                expect.fail(`example ${example}, ${camera}, channel ${c}, row ${y}, column ${x}`);
      });
      set.writeActions(example, chunk);
      expect([...chunk]).toEqual(Array.from(chunk, (_, i) => actions.get(b, Math.floor(i / 7), i % 7)));
    }
  });

  test("draw shifts over their whole range, and gains between their ends, per camera and axis", () => {
    const augmentation = { pads: { agentview: 2, wrist: 1 }, gain: [0.5, 2] as const };
    const maker = new BatchMaker(set, { seed: 3, size: 400, imageSize: 4, augmentation });
    const { shifts } = batchViews(maker.make(0));
    const values = (k: number, axis: number): number[] =>
      [...new Set(Array.from({ length: 400 }, (_, b) => shifts.get(b, k, axis)))].sort((a, b) => a - b);
    for (const axis of [0, 1]) {
      expect(values(0, axis)).toEqual([-2, -1, 0, 1, 2]);
      expect(values(1, axis)).toEqual([-1, 0, 1]);
    }
    // Two draws of a camera, or of two cameras, that went together would leave pairs out.
    const pairs = new Set(
      Array.from({ length: 400 }, (_, b) => [...shifts.pick(b, 0).data.subarray(4 * b, 4 * b + 4)].join()),
    );
    expect(pairs.size).toBeGreaterThan(150);
  });

  test("are brightened as the image processor does", () => {
    const gain = [1.5, 1.5] as const;
    const augmentation = { ...PLAIN, gain };
    const batch = new BatchMaker(set, { seed: 3, size: 2, imageSize: 4, augmentation }).make(0);
    const expected = [...batch.examples].flatMap((example) => [
      ...processImage(set.picture(example, "wrist"), 4, undefined, 1.5),
    ]);
    expect([...batch.wrist]).toEqual(expected);
  });

  test("can be viewed as arrays without a copy", () => {
    const batch: Batch = new BatchMaker(set, { seed: 0, size: 3, imageSize: 4, augmentation: PLAIN }).make(1);
    const { agentview, shifts, actions } = batchViews(batch);
    expect(agentview.shape).toEqual([3, 3, 4, 4]);
    expect(agentview.pick(2).data).toBe(batch.agentview);
    expect(agentview.get(2, 1, 3, 0)).toBe(batch.agentview[((2 * 3 + 1) * 4 + 3) * 4]);
    expect(shifts.shape).toEqual([3, 2, 2]);
    expect(actions.shape).toEqual([3, 3, 7]);
  });

  test.each<[string, object]>([
    ["seed to be an integer of at least 0, got -1", { seed: -1 }],
    ["size to be an integer of at least 1, got 0", { size: 0 }],
    [
      "the pad of wrist to be an integer in [0, 127], got 128",
      { augmentation: { pads: { agentview: 0, wrist: 128 }, gain: [1, 1] } },
    ],
    ["gain to be a finite number of at least 0, got -1", { augmentation: { ...PLAIN, gain: [-1, 1] } }],
    ["a gain from least to most, got [2, 1]", { augmentation: { ...PLAIN, gain: [2, 1] } }],
  ])("refuse %s", (message, wrong) => {
    const settings = { seed: 0, size: 1, imageSize: 4, augmentation: PLAIN, ...wrong };
    expect(() => new BatchMaker(set, settings)).toThrow(`BatchMaker: expected ${message}`);
  });
});
