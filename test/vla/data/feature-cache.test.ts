import {
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fc, test } from "@fast-check/vitest";
import { afterAll, beforeAll, beforeEach, describe, expect } from "vitest";
import { bf16ToF32, f32ToBf16, Random, readSafetensors, Scope } from "../../../core/index.ts";
import { Linear } from "../../../nn/index.ts";
import type { BatchArrays } from "../../../vla/data/batch.ts";
import { ExampleSet, type ExampleSettings } from "../../../vla/data/example-set.ts";
import { FeatureBatchMaker } from "../../../vla/data/feature-batch.ts";
import { FeatureCache } from "../../../vla/data/feature-cache.ts";
import type { FeatureSettings, FrozenEncoder } from "../../../vla/data/feature-origin.ts";
import { weightsChecksum } from "../../../vla/data/weights-checksum.ts";
import { processImage } from "../../../vla/florence2/image-processor.ts";
import { writeSmallFile } from "./small-files.ts";

const root = mkdtempSync(join(tmpdir(), "nina-ts-features-"));
const data = join(root, "task_demo.hdf5");
const examples: ExampleSettings = { path: data, pairing: "stored", horizon: 2 };
const S = 4;
let set: ExampleSet;
let path: string;
beforeAll(async () => {
  await writeSmallFile(data, { lengths: [20, 25], size: S });
  set = await ExampleSet.open(examples);
});
beforeEach(() => {
  path = join(mkdtempSync(join(root, "cache-")), "features.safetensors");
});
afterAll(() => {
  set[Symbol.dispose]();
  rmSync(root, { recursive: true });
});

/** Two tokens of 3: what each camera shows, weighted, and the example's number. */
const features = (agentview: Float32Array, wrist: Float32Array, example: number): number[] => {
  const seen = (pixels: Float32Array): number[] => [
    Math.fround(pixels.reduce((sum, value, i) => sum + value * (i % 7), 0)),
    pixels[5],
  ];
  return [...seen(agentview), example, ...seen(wrist), -example];
};

/** `left`: groups that are encoded before it fails, as a process does that is killed. */
const encoderOf = (left = Number.POSITIVE_INFINITY): FrozenEncoder => {
  let groups = 0;
  return {
    id: "weights 1",
    imageSize: S,
    shape: [2, 3],
    encode({ examples, agentview, wrist }: BatchArrays) {
      if (groups++ >= left) throw new Error("killed");
      const row = (array: Float32Array, b: number): Float32Array =>
        array.subarray(3 * S * S * b, 3 * S * S * (b + 1));
      return Float32Array.from(
        [...examples].flatMap((example, b) => features(row(agentview, b), row(wrist, b), example)),
      );
    },
  };
};

const settings: FeatureSettings = {
  copies: 3,
  seed: 5,
  type: "float32",
  augmentation: { pads: { agentview: 2, wrist: 1 }, gain: [0.9, 1.1] },
};
const ROWS = 3 * 45;

async function make(own: Partial<FeatureSettings> = {}, encoder = encoderOf()): Promise<void> {
  (await FeatureCache.open(path, set, encoder, { ...settings, ...own }))[Symbol.dispose]();
}

describe("a feature cache", () => {
  test("holds the features of every example plain, then of copies that differ", async () => {
    using cache = await FeatureCache.open(path, set, encoderOf(), settings);
    const rows = [0, 1, 2].map((copy) =>
      Array.from({ length: set.count }, (_, example) => {
        const row = new Float32Array(6);
        cache.writeRow(copy, example, row);
        expect([row[2], row[5]]).toEqual([example, -example]);
        return [...row];
      }),
    );
    const plain = Array.from({ length: set.count }, (_, i) =>
      features(processImage(set.picture(i, "agentview"), S), processImage(set.picture(i, "wrist"), S), i),
    );
    expect(rows[0]).toEqual(plain);
    const same = (a: number[][], b: number[][]): number =>
      a.filter((row, i) => `${row}` === `${b[i]}`).length;
    for (const [a, b] of [
      [0, 1],
      [0, 2],
      [1, 2],
    ])
      expect(same(rows[a], rows[b])).toBe(0); // gains differ
  });

  test("is a safetensors file, in bfloat16 the rounded numbers", async () => {
    await make();
    const { shape, data: exact } = readSafetensors(path).get("features") ?? {};
    expect(shape).toEqual([3, 45, 2, 3]);
    rmSync(path);
    await make({ type: "bfloat16" });
    using cache = await FeatureCache.open(path, set, encoderOf(0), { ...settings, type: "bfloat16" });
    const row = new Float32Array(6);
    cache.writeRow(2, 44, row);
    expect(row).toEqual(bf16ToF32(f32ToBf16((exact as Float32Array).slice(-6))));
  });

  test.prop([fc.integer({ min: 0, max: 4 }), fc.double({ min: 0, max: 1, noNaN: true })], { numRuns: 10 })(
    "killed at any moment goes on to the same bytes",
    async (groups, share) => {
      // Features that tell in whose company they were encoded, as the last bits of real ones do.
      const together = (encoder: FrozenEncoder): FrozenEncoder => ({
        ...encoder,
        encode: (batch) => encoder.encode(batch).map((value) => value + batch.examples[0]),
      });
      rmSync(path, { force: true });
      await make({}, together(encoderOf()));
      const whole = readFileSync(path);
      rmSync(path);
      await expect(make({}, together(encoderOf(groups)))).rejects.toThrow("killed");
      const part = `${path}.part`;
      truncateSync(part, Math.floor(share * readFileSync(part).length)); // in the middle of a write
      await make({}, together(encoderOf()));
      expect(readFileSync(path).equals(whole)).toBe(true);
      expect(existsSync(part)).toBe(false);
    },
  );

  test("goes on where it was: nothing that is on disk is encoded again", async () => {
    await expect(make({}, encoderOf(3))).rejects.toThrow("killed");
    await make({}, encoderOf(Math.ceil(ROWS / 32) - 3));
    await make({}, encoderOf(0)); // there already
  });

  test("of other settings, weights or data is refused, finished or not", async () => {
    const refusal = (what: string): string => `expected features with ${what}`;
    const others: [Partial<FeatureSettings>, Partial<FrozenEncoder>, string][] = [
      [{ seed: 6 }, {}, "seed 6 (delete it to have them made anew), found 5"],
      [{ copies: 1 }, {}, "shape [1,45,2,3]"],
      [{ copies: 2 }, {}, "shape [2,45,2,3] (delete it to have them made anew), found [3,45,2,3]"],
      [{ type: "bfloat16" }, {}, 'type "BF16"'],
      [{}, { id: "weights 2" }, 'encoder "weights 2" (delete it to have them made anew), found "weights 1"'],
    ];
    await expect(make({}, encoderOf(1))).rejects.toThrow("killed");
    for (const finished of [false, true]) {
      const at = finished ? path : `${path}.part`;
      for (const [own, encoder, message] of others)
        await expect(make(own, { ...encoderOf(), ...encoder })).rejects.toThrow(`${at}: ${refusal(message)}`);
      await make();
    }
    utimesSync(data, 1, 1);
    await expect(make()).rejects.toThrow(`${path}: ${refusal('files ["task_demo.hdf5 of 1970')}`);
    writeFileSync(path, "something else");
    await expect(make()).rejects.toThrow(`${path}: expected features (delete it to have them made), found`);
  });

  test("refuses what no encoder of its kind gives", async () => {
    const giving = (value: Float32Array): FrozenEncoder => ({ ...encoderOf(), encode: () => value });
    await expect(make({}, giving(new Float32Array(5)))).rejects.toThrow(
      "expected 192 features of the encoder, got 5",
    );
    const wrong = new Float32Array(192);
    wrong[7] = Number.NaN;
    await expect(make({}, giving(wrong))).rejects.toThrow("expected finite features, got NaN for example 1");
    await expect(make({ copies: 0 })).rejects.toThrow("FeatureCache: expected copies to be an integer");
  });
});

describe("batches of cached features", () => {
  const run = fc.record({ seed: fc.nat(1000), size: fc.integer({ min: 1, max: 20 }) });

  test.prop([run, fc.array(fc.nat(60), { minLength: 1, maxLength: 4 })], { numRuns: 30 })(
    "are the rows that they name, and the same whatever was made before",
    async (own, numbers) => {
      using cache = await FeatureCache.open(path, set, encoderOf(), settings);
      const maker = new FeatureBatchMaker(cache, set, own);
      for (const number of numbers) {
        const batch = maker.make(number);
        expect(batch).toEqual(new FeatureBatchMaker(cache, set, own).make(number));
        const [row, chunk] = [new Float32Array(6), new Float32Array(14)];
        batch.examples.forEach((example, b) => {
          cache.writeRow(batch.copies[b], example, row);
          set.writeActions(example, chunk);
          expect(batch.features.subarray(6 * b, 6 * b + 6)).toEqual(row);
          expect(batch.actions.subarray(14 * b, 14 * b + 14)).toEqual(chunk);
        });
      }
    },
  );

  test("bring every example once per epoch, in all of its copies by and by", async () => {
    using cache = await FeatureCache.open(path, set, encoderOf(), settings);
    const maker = new FeatureBatchMaker(cache, set, { seed: 1, size: 9 });
    const copies = new Set<string>();
    for (let epoch = 0; epoch < 20; epoch++) {
      const seen = Array.from({ length: 5 }, (_, k) => maker.make(5 * epoch + k)).flatMap((batch) => {
        batch.examples.forEach((example, b) => {
          copies.add(`${example}/${batch.copies[b]}`);
        });
        return [...batch.examples];
      });
      expect(seen.sort((a, b) => a - b)).toEqual(Array.from({ length: 45 }, (_, i) => i));
    }
    expect(copies.size).toBeGreaterThan(0.99 * ROWS); // one is missed with probability (2/3)^20
  });
});

test("the checksum of weights follows every number and name", () => {
  using _ = new Scope();
  const layer = (seed: number): Linear => new Linear(3, 2).init(new Random(seed));
  expect(weightsChecksum(layer(1))).toBe(weightsChecksum(layer(1)));
  expect(weightsChecksum(layer(1))).not.toBe(weightsChecksum(layer(2)));
  const changed = layer(1);
  changed.weight.data[5] += 1;
  expect(weightsChecksum(changed)).not.toBe(weightsChecksum(layer(1)));
});
