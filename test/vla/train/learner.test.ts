import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fc, test } from "@fast-check/vitest";
import { afterAll, expect } from "vitest";
import { openDevice, Random, Tensor, writeSafetensors } from "../../../core/index.ts";
import { freeze } from "../../../nn/index.ts";
import { makeDecoder } from "../../../vla/decoders.ts";
import { loadEncoder } from "../../../vla/train/encoder.ts";
import type { Feed } from "../../../vla/train/feed.ts";
import { Learner, Parts } from "../../../vla/train/learner.ts";
import { decoderConfig, decoderNames, recipes } from "../../../vla/train/recipes.ts";
import { train } from "../../../vla/train/run.ts";
import { writeTinyEncoder } from "./tiny-encoder.ts";

const root = mkdtempSync(join(tmpdir(), "nina-ts-learner-"));
await writeTinyEncoder(join(root, "encoder"));
afterAll(() => rmSync(root, { recursive: true }));
let serial = 0;

const [B, STEPS] = [3, 5];
/** Small enough for a test; each decoder takes those that it knows. */
const SIZES = {
  "nina-mlp": { blocks: 2, width: 8, condition: 4 },
  "nina-transformer": { blocks: 2, width: 8, condition: 4, heads: 2 },
  mse: { blocks: 2, width: 8, condition: 4, heads: 2 },
  flower: { layers: 2, width: 8, heads: 2 },
} as const;

interface Case {
  readonly decoder: keyof typeof SIZES;
  /** Whether the encoder is trained as well. */
  readonly joint: boolean;
  /** Whether some parameters are frozen. */
  readonly frozen: boolean;
  readonly accumulate: number;
  readonly device: "cpu" | "gpu:webasm";
}

const devices = { cpu: await openDevice("cpu"), "gpu:webasm": await openDevice("gpu:webasm") } as const;

/** Trains anew or goes on; dies before update `crash`. Returns the bytes of the weights at the end. */
async function run(
  folder: string,
  { decoder: name, joint, frozen, accumulate, device }: Case,
  crash: number,
): Promise<Buffer> {
  const { perception } = loadEncoder(join(root, "encoder"));
  const { florence } = perception;
  const decoder = makeDecoder(decoderConfig(name, "mini", 8, SIZES[name])).init(new Random(1));
  for (const module of [decoder, florence]) module.to(devices[device]);
  const feed: Feed = {
    async open(first) {
      let number = first;
      return {
        next: async () => () => {
          const random = new Random(2, number++);
          const seen = joint
            ? [
                random.normals([B, 3, 16, 16]),
                random.normals([B, 3, 16, 16]),
                Tensor.from(
                  Array.from({ length: 4 * B }, () => random.integer(200)),
                  [B, 4],
                  "int32",
                ),
              ]
            : [random.normals([B, 2, 8])];
          return [...seen, random.uniforms([B, 10, 7], -1, 1)];
        },
        [Symbol.dispose]() {},
      };
    },
    features: (...[seen, wrist, ids]) => (joint ? perception.features(seen, wrist, ids) : seen),
  };
  const optimisation = { ...recipes.mini.frozen, steps: STEPS };
  const parts = new Parts(decoder, joint ? florence : null);
  if (frozen) freeze(parts, ["decoder.*.bias", ...(joint ? ["vlm.vision_tower.*"] : [])]);
  using learner = new Learner(parts, feed, {
    optimisation,
    accumulate,
    clip: 1,
    seed: 3,
  });
  await train({
    folder,
    config: {},
    steps: STEPS,
    samplesPerStep: B,
    module: learner.module,
    optimizer: learner.optimizer,
    ema: learner.ema,
    randoms: learner.randoms,
    schedule: () => 0.01,
    prepare: (step) => learner.prepare(step),
    update(step, lr) {
      if (step === crash) throw new Error("crash");
      return learner.update(lr);
    },
    write: async (to) =>
      writeSafetensors(join(to, "model.safetensors"), await learner.module.readStateDict()),
    every: { metrics: 2, evaluation: STEPS, save: 1e-9 },
  }).finally(() => {
    decoder.dispose();
    florence.dispose();
  });
  return readFileSync(join(folder, "last", "model.safetensors"));
}

const cases = fc.record({
  decoder: fc.constantFrom(...decoderNames),
  joint: fc.boolean(),
  frozen: fc.boolean(),
  accumulate: fc.integer({ min: 1, max: 2 }),
  device: fc.constantFrom("cpu" as const, "gpu:webasm" as const),
});

test.prop([cases, fc.integer({ min: 1, max: STEPS - 1 })], { numRuns: 4 })(
  "what is learnt is the same, bit for bit, when the run broke off and went on",
  async (one, crash) => {
    const [whole, broken] = [0, 1].map(() => join(root, `${serial++}`));
    const expected = await run(whole, one, STEPS);
    await expect(run(broken, one, crash)).rejects.toThrow("crash");
    expect((await run(broken, one, STEPS)).equals(expected)).toBe(true);
  },
  120_000,
);
