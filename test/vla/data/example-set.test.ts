import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fc, test } from "@fast-check/vitest";
import { afterAll, beforeEach, describe, expect } from "vitest";
import { CAMERAS } from "../../../vla/data/demonstrations.ts";
import { ExampleSet, type ExampleSettings } from "../../../vla/data/example-set.ts";
import { action, level, writeSmallFile } from "./small-files.ts";

let folder: string;
const made: string[] = [];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "nina-ts-examples-"));
  made.push(folder);
});
afterAll(() => {
  for (const one of made) rmSync(one, { recursive: true });
});

const settings: ExampleSettings = { path: "", pairing: "stored", horizon: 3 };

describe("an example set", () => {
  const lengths = fc.array(fc.integer({ min: 1, max: 6 }), { minLength: 1, maxLength: 4 });

  test.prop(
    [
      fc.array(lengths, { minLength: 1, maxLength: 3 }),
      fc.constantFrom("stored", "causal"),
      fc.integer({ min: 1, max: 8 }),
      fc.constantFrom(0, 500, 2 ** 20),
    ],
    { numRuns: 20 },
  )("numbers all examples of its files, as a plain model does", async (files, pairing, horizon, memory) => {
    const skipped = pairing === "causal" ? 1 : 0;
    fc.pre(files.flat().some((length) => length > skipped));
    const path = mkdtempSync(join(folder, "set-"));
    let first = 0;
    for (const [f, lengths] of files.entries()) {
      const instruction = `task ${f % 2}`;
      await writeSmallFile(join(path, `${f}_demo.hdf5`), { lengths, first, instruction, size: 2 });
      first += lengths.length;
    }
    const episodeFiles = files.flatMap((lengths, f) => lengths.map(() => join(path, `${f}_demo.hdf5`)));
    // The plain model: every step of every episode, in order.
    const model = files
      .flatMap((lengths, f) => lengths.map((length) => ({ length, f })))
      .flatMap(({ length, f }, episode) =>
        Array.from({ length }, (_, step) => ({ episode, step, length, f })).slice(skipped),
      );

    using set = await ExampleSet.open({ path, pairing, horizon, memory });
    expect(set.count).toBe(model.length);
    expect(set.cameraSize).toBe(2);
    expect(set.episodes.map((_, e) => set.fileOf(e))).toEqual(episodeFiles);
    expect(set.instructions).toEqual(["task 0", "task 1"].slice(0, files.length));
    const chunk = new Float32Array(7 * horizon);
    model.forEach(({ episode, step, length, f }, i) => {
      expect(set.at(i)).toEqual({ episode, step, instruction: f % 2 });
      for (const camera of CAMERAS) {
        const seen = set.picture(i, camera);
        expect(seen.shape).toEqual([2, 2, 3]);
        expect(seen.get(1, 0, 2)).toBe(level(episode, step - skipped, camera, [1, 0, 2]));
        expect(seen.get(0, 1, 0)).toBe(level(episode, step - skipped, camera, [0, 1, 0]));
      }
      expect([...set.state(i)]).toEqual([episode, step]);
      set.writeActions(i, chunk);
      const expected = Array.from({ length: 7 * horizon }, (_, k) =>
        action(episode, Math.min(step + Math.floor(k / 7), length - 1), k % 7),
      );
      expect([...chunk]).toEqual(expected);
    });
  });

  test("gives an episode's pictures as one array, without copying", async () => {
    const path = join(folder, "one_demo.hdf5");
    await writeSmallFile(path, { lengths: [5], size: 4 });
    using set = await ExampleSet.open({ ...settings, path });
    const pictures = set.episodes[0].pictures("wrist", 1, 4);
    expect(pictures.shape).toEqual([3, 4, 4, 3]);
    expect(pictures.get(2, 3, 1, 0)).toBe(level(0, 3, "wrist", [3, 1, 0]));
    expect(pictures.pick(1).data).toBe(pictures.data);
  });

  test("refuses pictures of two sizes, with both places", async () => {
    const [a, b] = ["a_demo.hdf5", "b_demo.hdf5"].map((name) => join(folder, name));
    await writeSmallFile(a, { lengths: [2], size: 4 });
    await writeSmallFile(b, { lengths: [2], size: 6 });
    await expect(ExampleSet.open({ ...settings, path: folder })).rejects.toThrow(
      `${b}, demo_0, agentview: expected pictures of 4 x 4, as in ${a}, found 6 x 6`,
    );
  });

  test("refuses a broken file among good ones, and what holds no example", async () => {
    const [a, b] = ["a_demo.hdf5", "b_demo.hdf5"].map((name) => join(folder, name));
    await writeSmallFile(a, { lengths: [1, 1] });
    await expect(ExampleSet.open({ ...settings, path: folder, pairing: "causal" })).rejects.toThrow(
      `${folder}: expected an episode of two steps or more, for causal pairs, found none`,
    );
    writeFileSync(b, "something else");
    await expect(ExampleSet.open({ ...settings, path: folder })).rejects.toThrow(
      `${b}: expected an HDF5 file`,
    );
  });

  test("refuses an example that is not there, and a horizon that is none", async () => {
    const path = join(folder, "one_demo.hdf5");
    await writeSmallFile(path, { lengths: [3] });
    using set = await ExampleSet.open({ ...settings, path });
    for (const i of [-1, 3, 0.5, Number.NaN])
      expect(() => set.at(i)).toThrow(`ExampleSet: expected an example from 0 to 2, got ${i}`);
    await expect(ExampleSet.open({ ...settings, path, horizon: 0 })).rejects.toThrow(
      "ExampleSet: expected horizon to be an integer of at least 1, got 0",
    );
  });
});
