import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Random, Scope } from "../../../core/index.ts";
import { AdamW, Ema, Linear } from "../../../nn/index.ts";
import { type Position, restoreState, saveState, type Trained } from "../../../vla/train/state.ts";
import { anyBytes, once } from "../mutate.ts";
import { BrokenLaw, type Input, type Reader } from "../reader.ts";
import { jsonValues, safetensorsHeader } from "../structure.ts";
import { safetensorsFile } from "./safetensors.ts";
import { inScratch } from "./scratch.ts";

const FILE = "state.safetensors";
const KEY = "nina-ts";

function trained(): Trained {
  const module = new Linear(2, 1).init(new Random(0));
  return {
    module,
    optimizer: new AdamW(module.namedParameters()),
    ema: new Ema(module),
    randoms: { masks: new Random(1), noise: new Random(2) },
  };
}

const position: Position = {
  step: 3,
  evaluated: true,
  best: 0.5,
  seconds: 1.5,
  sums: { loss: 2, samples: 8 },
};

const saved: Input = await inScratch(async (folder) => {
  using _ = new Scope();
  await saveState(join(folder, FILE), position, trained());
  return { file: FILE, bytes: readFileSync(join(folder, FILE)) };
});

/** What a killed training run goes on from. */
const reader: Reader = {
  seeds: [saved],
  mutations: [
    safetensorsHeader,
    // What is JSON inside of the header's JSON: where the run stands, and its streams of random numbers.
    (bytes, random, other) => {
      if (bytes.length < 8 || once(random, 8)) return anyBytes(bytes, random, other);
      const end = 8 + bytes.readUInt32LE(0);
      try {
        const header = JSON.parse(bytes.subarray(8, end).toString());
        const inner = Buffer.from(header.__metadata__[KEY]);
        header.__metadata__[KEY] = jsonValues(inner, random, inner).toString();
        return safetensorsFile(header, bytes.subarray(end));
      } catch {
        return safetensorsHeader(bytes, random, other);
      }
    },
  ],
  prepare: () => (path) => {
    using _ = new Scope();
    const run = trained();
    const { step, evaluated, best, seconds, sums } = restoreState(path, run) as Position;
    if (!(Number.isSafeInteger(step) && step >= 0)) throw new BrokenLaw(`step ${step}`);
    if (typeof evaluated !== "boolean" || !(seconds >= 0)) throw new BrokenLaw(`after ${seconds} s`);
    if (best !== null && !Number.isFinite(best)) throw new BrokenLaw(`a best score of ${best}`);
    if (!Object.values(sums).every(Number.isFinite)) throw new BrokenLaw("sums that are no numbers");
    for (const random of Object.values(run.randoms))
      if (!(random.uniform() >= 0)) throw new BrokenLaw("a stream without numbers");
    return `step ${step}`;
  },
};

export default reader;
