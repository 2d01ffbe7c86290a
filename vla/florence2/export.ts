/** Writes a slim folder of Florence-2, its encoder alone: `npx tsx vla/florence2/export.ts --help`. */
import { type CliSchema, parseCli, runMain } from "../../cli/index.ts";
import { WEIGHT_BYTES, type WeightFormat } from "../../core/index.ts";
import { withProgress } from "../tensor-progress.ts";
import { exportEncoder } from "./export-encoder.ts";
import { openFlorence2 } from "./published.ts";

const SCHEMA = {
  usage: "npx tsx vla/florence2/export.ts DIR OUT [options]",
  description:
    "Writes the encoder of Florence-2 without its decoder into a folder of its own, with config.json and tokenizer.json. All\n" +
    "commands take it in place of the folder that it came from. One piece of a tensor at a time is in memory.",
  positionals: {
    DIR: "Florence-2 as downloaded or as transformers saved it, or a checkpoint folder",
    OUT: "folder to write",
  },
  options: {
    weights: {
      type: "string",
      choices: Object.keys(WEIGHT_BYTES) as WeightFormat[],
      default: "float32",
      help: "what they are rounded to; int8 has a scale for each output of a linear layer, the rest is bfloat16 then",
    },
  },
} as const satisfies CliSchema;

await runMain(async () => {
  const { weights, positionals } = parseCli(SCHEMA, process.argv.slice(2));
  const { DIR: folder, OUT: out } = positionals;
  using encoder = openFlorence2(folder);
  // Exiting removes the temporary file; the writer lets signals through between two pieces.
  process.once("SIGINT", () => process.exit(130));
  process.once("SIGTERM", () => process.exit(143));
  await exportEncoder(encoder, out, weights, withProgress);
  console.log(`${out}: ${weights}, ${encoder.tensors.size} tensors`);
});
