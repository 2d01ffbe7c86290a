/**
 * Fine-tuning the decoder of the embedded policy on new demonstrations: those of a gentler hand, which moves half as
 * fast. First record some, then train, then see how many more steps it takes:
 *
 *     npx tsx vla/collect.ts --out demos --tasks 8 --episodes 6 --size 64
 *     npx tsx examples/fine-tune.ts demos tuned [steps]
 *     npx tsx vla/eval.ts --checkpoint tuned --tasks 8 --episodes 2
 *
 * The encoder stays as it is, so what it makes of each picture is computed once. `vla/train.ts` does all of this for
 * real runs: batches from disk, held-out episodes, checkpoints that survive a kill.
 */
import { join } from "node:path";
import { noGrad, Random, readText, Tensor, tidy } from "nina-ts";
import { AdamW, TrainingStep } from "nina-ts/nn";
import { ExampleSet, loadCheckpoint, Perception, saveCheckpoint } from "nina-ts/vla";

const [demos, out, steps = "200"] = process.argv.slice(2);
const folder = "vla/suites/mini/checkpoint";
const policy = loadCheckpoint(folder);
const { decoder, config } = policy;
const perception = new Perception(policy.florence, policy.tokenizer, config.perception);
const { steps: T, actionWidth: A, features: H } = config.decoder;

// An example is what is seen and told at one moment, and the next T actions.
using set = await ExampleSet.open({ path: demos, pairing: "causal", horizon: T });
const S = config.perception.imageSize;

/** What the encoder makes of example i, (1, tokens, H), and its actions, (1, T, A). */
function example(i: number): { features: Tensor; actions: Tensor } {
  const look = (camera: "agentview" | "wrist"): Tensor =>
    Tensor.from(perception.pixels(set.picture(i, camera)), [1, 3, S, S]);
  const ids = perception.tokens(set.instructions[set.at(i).instruction]);
  const actions = new Float32Array(T * A);
  set.writeActions(i, actions);
  for (let at = 0; at < T * A; at++) if (at % A < 3) actions[at] /= 2; // of each action, the hand's motion
  return {
    features: perception.features(
      look("agentview"),
      look("wrist"),
      Tensor.from(ids, [1, ids.length], "int32"),
    ),
    actions: Tensor.from(actions, [1, T, A]),
  };
}
const examples = Array.from({ length: set.count }, (_, i) => noGrad(() => tidy(() => example(i))));

// Every tenth example is kept out, to see whether what is learnt holds for others.
const [kept, learnt] = [0, 1].map((part) => examples.filter((_, i) => Number(i % 10 > 0) === part));

const random = new Random(0);
/** B examples, and the noise that the loss adds to their actions. */
function batch(from: typeof examples, B: number): Tensor[] {
  const chosen = Array.from({ length: B }, () => from[random.integer(from.length)]);
  const features = chosen.flatMap(({ features }) => features.toArray());
  const actions = chosen.flatMap(({ actions }) => actions.toArray());
  const { action: noise } = decoder.drawNoise(B, random);
  return [Tensor.from(features, [B, features.length / (B * H), H]), Tensor.from(actions, [B, T, A]), noise];
}
const lossOf = (features: Tensor, actions: Tensor, action: Tensor): Tensor =>
  decoder.loss(actions, decoder.condition(features), { action });
const examined = batch(kept, 64);
const held = (): string => tidy(() => lossOf(...(examined as [Tensor, Tensor, Tensor])).item()).toFixed(2);

// Captured once, replayed at every step: see docs/plans.md. A small rate, so that the policy keeps what it can.
const optimiser = new AdamW(decoder.namedParameters());
const step = new TrainingStep(lossOf, optimiser, batch(learnt, 32));
console.log(`${set.count} examples; loss of those kept out: ${held()} nats`);
for (let i = 0; i < Number(steps); i++) {
  const inputs = batch(learnt, 32);
  await step.run(inputs, 1e-4);
  for (const x of inputs) x.dispose();
}
console.log(`after ${steps} steps: ${held()} nats`);

await saveCheckpoint(out, policy, JSON.parse(readText(join(folder, "tokenizer.json"), 2 ** 20)));
