import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { fc, test } from "@fast-check/vitest";
import { afterAll, beforeAll, describe, expect } from "vitest";
import { BatchMaker, type BatchSettings } from "../../../vla/data/batch.ts";
import { BatchStream } from "../../../vla/data/batch-stream.ts";
import { ExampleSet, type ExampleSettings } from "../../../vla/data/example-set.ts";
import { writeSmallFile } from "./small-files.ts";

const folder = mkdtempSync(join(tmpdir(), "nina-ts-stream-"));
const path = join(folder, "task_demo.hdf5");
const examples: ExampleSettings = { path, pairing: "causal", horizon: 4 };
const settings: BatchSettings = {
  seed: 1,
  size: 5,
  imageSize: 6,
  augmentation: { pads: { agentview: 2, wrist: 1 }, gain: [0.9, 1.1] },
};
beforeAll(() => writeSmallFile(path, { lengths: [5, 1, 7] }));
afterAll(() => rmSync(folder, { recursive: true }));

describe("a stream of batches", () => {
  // Two runs alone: each starts a thread, which loads the program anew.
  test.prop([fc.nat(2 ** 32), fc.nat(1000), fc.integer({ min: 1, max: 9 }), fc.constantFrom(0, 2 ** 20)], {
    numRuns: 2,
  })("gives what the maker makes, from any number on", async (seed, first, size, memory) => {
    using set = await ExampleSet.open({ ...examples, memory });
    const own = { ...settings, seed, size };
    const maker = new BatchMaker(set, own);
    using stream = new BatchStream(set, own, first);
    for (let k = first; k < first + 12; k++) {
      const batch = await stream.next();
      await new Promise((resolve) => setTimeout(resolve, 10)); // the thread makes what it may meanwhile
      expect(batch).toEqual(maker.make(k));
    }
  });

  test("tells why a batch cannot be made, at every call", async () => {
    const other = join(folder, "gone_demo.hdf5");
    await writeSmallFile(other, { lengths: [4] });
    using set = await ExampleSet.open({ ...examples, path: other });
    truncateSync(other, 100);
    using stream = new BatchStream(set, settings);
    for (let i = 0; i < 2; i++)
      await expect(stream.next()).rejects.toThrow(`${other}: expected an HDF5 file`);
  });

  test("is over once it is disposed of, and answers one call at a time", async () => {
    using set = await ExampleSet.open(examples);
    const stream = new BatchStream(set, settings);
    const first = stream.next();
    await expect(stream.next()).rejects.toThrow("called before the last call was answered");
    stream[Symbol.dispose]();
    await expect(first).rejects.toThrow("BatchStream: used after it was disposed of");
    await expect(stream.next()).rejects.toThrow("BatchStream: used after it was disposed of");
  });

  test("keeps no process alive", () => {
    const script = join(folder, "script.mts");
    const at = (file: string): string => fileURLToPath(new URL(`../../../vla/data/${file}`, import.meta.url));
    writeFileSync(
      script,
      `import { BatchStream } from ${JSON.stringify(at("batch-stream.ts"))};
      import { ExampleSet } from ${JSON.stringify(at("example-set.ts"))};
      const set = await ExampleSet.open(${JSON.stringify(examples)});
      const stream = new BatchStream(set, ${JSON.stringify(settings)});
      console.log((await stream.next()).number, (await stream.next()).number);`,
    );
    const tsx = ["--import", import.meta.resolve("tsx")];
    const { stdout, stderr, status } = spawnSync(process.execPath, [...tsx, script], { encoding: "utf8" });
    expect({ stdout, stderr, status }).toEqual({ stdout: "0 1\n", stderr: "", status: 0 });
  });
});
