/**
 * Writes a policy with a full-size encoder that nobody trained, to be played by vla/eval.ts: how much memory and time
 * an evaluation takes does not depend on what the weights are.
 *
 *     npx tsx benchmarks/generated-checkpoint.ts OUT                        Florence-2-large, chunks of 10 actions
 *     npx tsx benchmarks/generated-checkpoint.ts OUT --model base --steps 50
 *
 * The encoder's weights are made by a formula, those of the full-size goldens (2.3 GB for large); the decoder is a
 * small MLP flow. Pictures are made 112 pixels wide; words and their tokens are those of the embedded policy, but
 * prompts are as long as they are.
 */
import { parseCli, runMain } from "../cli/index.ts";
import { type HostTensor, type LazyTensor, Random, readText } from "../core/index.ts";
import { checkpointConfig, writeCheckpoint } from "../vla/checkpoint.ts";
import { makeDecoder } from "../vla/decoders.ts";
import { EMBEDDED } from "../vla/eval/options.ts";
import { florenceBase, florenceLarge } from "../vla/florence2/config.ts";
import { MAX_FILE } from "../vla/florence2/tokenizer.ts";
import { generatedTensors } from "./generated-weights.ts";

const MODELS = { base: florenceBase, large: florenceLarge } as const;

await runMain(async () => {
  const { model, steps, positionals } = parseCli(
    {
      usage: "npx tsx benchmarks/generated-checkpoint.ts OUT [options]",
      description: "Writes a checkpoint folder with a full-size encoder of made-up weights.",
      positionals: { OUT: "folder to write" },
      options: {
        model: { type: "string", default: "large", choices: ["base", "large"], help: "size of the encoder" },
        steps: { type: "integer", least: 1, default: 10, help: "actions of each chunk" },
      },
    },
    process.argv.slice(2),
  );
  const florence = MODELS[model];
  const embedded = checkpointConfig(EMBEDDED.checkpoint);
  const config = {
    florence,
    untrained: true,
    decoder: { ...embedded.decoder, features: florence.d_model, steps },
    perception: { ...embedded.perception, imageSize: 112, promptLength: null, cameraSize: null },
    sampling: { temperature: 1, actionsPerQuery: steps },
  };
  const encoder = new Map([...generatedTensors(florence, 0)].map(([name, tensor]) => [name, lazy(tensor)]));
  const made = makeDecoder(config.decoder).init(new Random(0));
  const decoder = new Map([...made.stateDict()].map(([name, tensor]) => [name, lazy(tensor)]));
  const tokenizer = JSON.parse(readText(`${EMBEDDED.checkpoint}/tokenizer.json`, MAX_FILE));
  await writeCheckpoint(positionals.OUT, config, { encoder, decoder }, tokenizer);
  console.log(`${positionals.OUT}: Florence-2-${model}, chunks of ${steps} actions`);
});

function lazy(tensor: HostTensor | LazyTensor): LazyTensor {
  return "data" in tensor ? { ...tensor, read: () => tensor.data } : tensor;
}
