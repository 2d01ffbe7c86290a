import { noGrad, onDevice, Random, type Tensor, tidy, unscoped } from "../../core/index.ts";
import { PLAIN } from "../data/augmentation.ts";
import { BatchMaker } from "../data/batch.ts";
import type { ExampleSet } from "../data/example-set.ts";
import type { Decoder } from "../decoder.ts";
import type { Perception } from "../perception.ts";
import { chunks, encoderInputs, promptsOf } from "./encoder-inputs.ts";

/** Examples that are measured, at most, and together. */
const [MOST, TOGETHER] = [512, 32];

/**
 * The mean loss of a decoder, dropout off, on examples that it is not trained on: pictures as they are, and the same
 * examples and noise at each call. The weights may change between calls.
 */
export async function heldOutLoss(
  decoder: Decoder,
  perception: Perception,
  set: ExampleSet,
): Promise<number> {
  const prompts = promptsOf(set, perception);
  const { imageSize } = perception.config;
  const settings = { seed: 0, size: Math.min(TOGETHER, set.count), imageSize, augmentation: PLAIN };
  const maker = new BatchMaker(set, settings);
  const random = new Random(0);
  const batches = Math.floor(Math.min(MOST, set.count) / settings.size);
  const lossOf = (number: number): Tensor => {
    const batch = maker.make(number);
    const [agentview, wrist, ids] = encoderInputs(batch, set, prompts, imageSize);
    const noise = decoder.drawNoise(settings.size, random);
    const condition = decoder.condition(perception.features(agentview, wrist, ids));
    return decoder.loss(chunks(batch), condition, noise);
  };
  let sum = 0;
  for (let number = 0; number < batches; number++) {
    const loss = unscoped(() => onDevice(decoder.device, () => tidy(() => noGrad(() => lossOf(number)))));
    sum += (await loss.read())[0];
    loss.dispose();
  }
  return sum / batches;
}
