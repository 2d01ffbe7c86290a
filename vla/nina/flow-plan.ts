/** For certificates: `npx tsx flows/certify.ts CHECKPOINT_FOLDER --flow vla/nina/flow-plan.ts`. */
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { FlowPlan } from "../../flows/index.ts";
import { type DecoderConfig, makeDecoder } from "./checkpoint.ts";
import { FlowDecoder } from "./flow-decoder.ts";

/** The flow of a policy's checkpoint folder, built as its `config.json` says. Throws for a decoder without one. */
export default function flowPlan(_tensors: unknown, path: string): FlowPlan {
  const file = join(dirname(path), "config.json");
  const { decoder: config } = JSON.parse(readFileSync(file, "utf8")) as { decoder: DecoderConfig };
  return {
    make() {
      const decoder = makeDecoder(config);
      if (!(decoder instanceof FlowDecoder)) {
        decoder.dispose();
        throw new Error(`${file}: expected a decoder with a flow, got ${JSON.stringify(config.kind)}`);
      }
      decoder.cond_proj.dispose();
      return decoder.nf;
    },
    prefix: "nf.",
    condition: config.condition,
  };
}
