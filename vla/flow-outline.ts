/** For certificates: `npx tsx flows/certify.ts CHECKPOINT_FOLDER --flow vla/flow-outline.ts`. */
import { dirname, join } from "node:path";
import { FormatError } from "../core/index.ts";
import type { FlowOutline } from "../flows/index.ts";
import { readConfig } from "./checkpoint.ts";
import { mlpFlow } from "./nina/mlp.ts";
import { transformerFlow } from "./nina/transformer.ts";

/**
 * The flow of a policy's checkpoint folder, as its `config.json` says. Throws for a decoder without one, and without a
 * path.
 */
export default function flowOutline(_tensors?: unknown, path?: string): FlowOutline {
  if (path === undefined)
    throw new Error(
      "flowOutline: expected a checkpoint folder, whose config.json describes the flow, got none",
    );
  const file = join(dirname(path), "config.json");
  const { decoder: config } = readConfig(file);
  if (config.kind !== "mlp" && config.kind !== "transformer")
    throw new FormatError(file, "a decoder with a flow", JSON.stringify(config.kind));
  return {
    make: () => (config.kind === "mlp" ? mlpFlow(config) : transformerFlow(config)),
    prefix: "nf.",
    condition: config.condition,
  };
}
