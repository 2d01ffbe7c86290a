import { fc } from "@fast-check/vitest";
import { describe } from "vitest";
import { FlowerDecoder } from "../../../vla/flower/flower.ts";
import { anyRun, inferenceLaws } from "../../laws/inference.ts";

const sizes = fc.record({
  steps: fc.integer({ min: 1, max: 5 }),
  actionWidth: fc.constantFrom(7, 8, 16),
  features: fc.integer({ min: 2, max: 9 }),
  layers: fc.integer({ min: 1, max: 2 }),
  heads: fc.integer({ min: 1, max: 3 }),
  halfHead: fc.integer({ min: 1, max: 4 }),
  samplingSteps: fc.integer({ min: 1, max: 3 }),
  rotary: fc.option(fc.constant({ theta: 32, length: 6 })),
  crossAttention: fc.boolean(),
  norm: fc.constantFrom("mean square" as const, "variance" as const),
  tokenDropout: fc.constant(0),
  dropout: fc.constant(0),
  timeSampling: fc.constant("stratified" as const),
});

describe("FlowerInference", () => {
  // Embedders and feed-forward layers are 256 wide at least: little noise moves their outputs enough.
  inferenceLaws(
    fc
      .record({ ...anyRun, batch: fc.constantFrom(1, 2, 5), gain: fc.constantFrom(1, 2), sizes })
      .map(({ sizes: { halfHead, ...config }, ...run }) => ({
        ...run,
        config: { halfHead, ...config },
        noise: 0.03,
        make: () => new FlowerDecoder({ ...config, width: config.heads * 2 * halfHead }),
      })),
  );
});
