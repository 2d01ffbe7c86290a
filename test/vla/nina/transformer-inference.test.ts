import { fc } from "@fast-check/vitest";
import { describe } from "vitest";
import { MseDecoder } from "../../../vla/nina/mse.ts";
import { TransformerDecoder } from "../../../vla/nina/transformer.ts";
import { anyRun, inferenceLaws } from "../../laws/inference.ts";

const sizes = fc.record({
  half: fc.integer({ min: 1, max: 4 }),
  actionWidth: fc.integer({ min: 1, max: 5 }),
  features: fc.integer({ min: 2, max: 9 }),
  condition: fc.integer({ min: 1, max: 9 }),
  blocks: fc.integer({ min: 1, max: 3 }),
  heads: fc.integer({ min: 1, max: 3 }),
  headWidth: fc.oneof(fc.integer({ min: 2, max: 9 }), fc.constantFrom(4, 8)),
  depth: fc.integer({ min: 1, max: 3 }),
  plu: fc.boolean(),
});

describe.each([TransformerDecoder, MseDecoder])("%o for inference", (Decoder) => {
  inferenceLaws(
    fc.record({ ...anyRun, sizes }).map(({ sizes: { half, headWidth, ...config }, ...run }) => ({
      ...run,
      config: { half, headWidth, ...config },
      noise: 0.3,
      make: () =>
        new Decoder({
          ...config,
          steps: 2 * half,
          width: config.heads * headWidth,
          dropout: 0.1,
          tokenDropout: 0,
          actionNoise: 0,
        }),
    })),
  );
});
