import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ExampleSet } from "../../../vla/data/example-set.ts";
import { FeatureCache } from "../../../vla/data/feature-cache.ts";
import type { FeatureSettings, FrozenEncoder } from "../../../vla/data/feature-origin.ts";
import { writeSmallFile } from "../../vla/data/small-files.ts";
import { anyBytes, type Mutation, once } from "../mutate.ts";
import { BrokenLaw, type Input, type Reader } from "../reader.ts";
import { inScratch } from "./scratch.ts";

const FILE = "features.safetensors";
const SIDE = 2;
const WIDTH = 3;

const encoder: FrozenEncoder = {
  id: "weights 1",
  imageSize: SIDE,
  shape: [1, WIDTH],
  encode: ({ examples }) => Float32Array.from([...examples].flatMap((example) => [example, 0.5, -example])),
};
const settings: FeatureSettings = {
  copies: 1,
  seed: 0,
  type: "float32",
  augmentation: { pads: { agentview: 0, wrist: 0 }, gain: [1, 1] },
};

/** Demonstrations that features follow from: their date is in the header. */
const data = mkdtempSync(join(tmpdir(), "fuzz-features-"));
process.on("exit", () => rmSync(data, { recursive: true, force: true }));
await writeSmallFile(join(data, "task_demo.hdf5"), { lengths: [3], size: SIDE });
const set = await ExampleSet.open({ path: data, pairing: "stored", horizon: 1 });

const [whole, part] = await inScratch(async (folder): Promise<[Input, Input]> => {
  const path = join(folder, FILE);
  (await FeatureCache.open(path, set, encoder, settings))[Symbol.dispose]();
  const bytes = readFileSync(path);
  const rows = 4 * WIDTH * set.count;
  return [
    { file: FILE, bytes },
    { file: `parts/${FILE}.part`, bytes: bytes.subarray(0, bytes.length - rows + 4 * WIDTH) },
  ];
});

/** Where numbers have changed nobody can tell: changes to the header, and to the length, are what matters. */
const header: Mutation = (bytes, random, other) => {
  const end = bytes.length < 8 ? bytes.length : Math.min(bytes.length, 8 + bytes.readUInt32LE(0));
  if (once(random, 4)) return bytes.subarray(0, random.integer(bytes.length + 1));
  return Buffer.concat([anyBytes(bytes.subarray(0, end), random, other), bytes.subarray(end)]);
};

/** Kept features, and those that a killed process has begun. */
const reader: Reader = {
  seeds: [whole, part],
  mutations: [header],
  prepare: () => async (path) => {
    const isPart = path.endsWith(".part");
    const target = isPart ? path.slice(0, -".part".length) : path;
    if (isPart) rmSync(target, { force: true });
    using features = await FeatureCache.open(target, set, encoder, settings);
    if (features.width !== WIDTH || features.copies !== 1) throw new BrokenLaw("another width");
    const row = new Float32Array(WIDTH);
    for (let example = 0; example < set.count; example++) features.writeRow(0, example, row);
    if (statSync(target).size !== whole.bytes.length) throw new BrokenLaw(`${statSync(target).size} bytes`);
    if (isPart && existsSync(path)) throw new BrokenLaw("a part that stays");
    return "features";
  },
};

export default reader;
