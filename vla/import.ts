/** Turns a training checkpoint of NinA or FLOWER into one that plays: `npx tsx vla/import.ts --help`. */
import { type CliSchema, callOf, parseCli, runMain, UsageError } from "../cli/index.ts";
import { printable, TENSOR_FILES } from "../core/index.ts";
import type { DecoderConfig } from "./decoders.ts";
import { importCheckpoint } from "./import/import-checkpoint.ts";

const SCHEMA = {
  usage: "npx tsx vla/import.ts CKPT --vlm DIR OUT [options]",
  description:
    "Turns a training checkpoint of NinA or FLOWER, as their public code writes it, into a folder that vla/eval.ts\n" +
    "--checkpoint plays. Nothing in a checkpoint is executed, and one tensor at a time is in memory. Sizes come from the\n" +
    "shapes, from what the checkpoint says of its training, and else from the published code.",
  positionals: {
    CKPT: `Lightning's .ckpt, or the weights alone: ${TENSOR_FILES}`,
    OUT: "folder to write",
  },
  options: {
    vlm: {
      type: "string",
      help: "folder of the Florence-2 that it was trained from; its config.json and tokenizer.json are read",
    },
    weights: {
      type: "string",
      choices: ["model", "ema"],
      help: "trained weights or their running averages; left out: averages, where the checkpoint has them",
    },
    heads: {
      type: "integer",
      least: 1,
      help: "of NinA's attentions, where the checkpoint does not say; else 16",
    },
    steps: {
      type: "integer",
      least: 1,
      help: "actions per chunk, where neither it nor its shapes say; else 10",
    },
    norm: {
      type: "string",
      choices: ["mean-square", "variance"],
      default: "mean-square",
      help: "FLOWER's RmsNorm: timm before 1.0.13 divided by the deviation from the mean",
    },
  },
} as const satisfies CliSchema;

await runMain(async () => {
  const { vlm, heads, steps, norm, weights, positionals } = parseCli(SCHEMA, process.argv.slice(2));
  const { CKPT: path, OUT: out } = positionals;
  if (vlm === undefined) throw new UsageError("expected --vlm, a folder of Florence-2");
  // Exiting removes the temporary file; the writer lets signals through between two pieces.
  process.once("SIGINT", () => process.exit(130));
  process.once("SIGTERM", () => process.exit(143));
  const told = { heads, steps, norm: norm === "variance" ? "variance" : "mean square" } as const;
  const { decoder, averaged } = await importCheckpoint({ path, vlm, out, weights, told });
  console.log(`${averaged ? "running averages of the weights" : "trained weights"}; ${describe(decoder)}`);
  console.log(`${out}: done; ${callOf("vla/eval.ts")} --checkpoint ${out} plays it`);
});

/** "mlp decoder: steps 10, …" */
function describe({ kind, ...sizes }: DecoderConfig): string {
  const shown = Object.entries(sizes).map(([name, value]) => `${name} ${printable(JSON.stringify(value))}`);
  return `${kind} decoder: ${shown.join(", ")}`;
}
