import { fc } from "@fast-check/vitest";
import { describe } from "vitest";
import { MlpDecoder } from "../../../vla/nina/mlp.ts";
import { anyRun, inferenceLaws } from "../../laws/inference.ts";

const sizes = fc.record({
  steps: fc.integer({ min: 1, max: 5 }),
  actionWidth: fc.integer({ min: 1, max: 5 }),
  features: fc.integer({ min: 2, max: 9 }),
  condition: fc.integer({ min: 1, max: 9 }),
  blocks: fc.integer({ min: 1, max: 4 }),
  width: fc.integer({ min: 2, max: 19 }),
  plu: fc.boolean(),
});

describe("MlpInference", () => {
  inferenceLaws(
    fc
      .record({ ...anyRun, sizes })
      .filter(({ sizes: { steps, actionWidth } }) => (steps * actionWidth) % 2 === 0 && steps > 1)
      .map(({ sizes: config, ...run }) => ({
        ...run,
        config,
        noise: 0.3,
        make: () => new MlpDecoder({ ...config, tokenDropout: 0, actionNoise: 0 }),
      })),
  );
});
