import { Tensor } from "../../core/index.ts";
import type { BatchArrays } from "../data/batch.ts";
import type { ExampleSet } from "../data/example-set.ts";
import type { Perception } from "../perception.ts";

/** Pixels of both cameras (B, 3, S, S), and prompts (B, L). */
export function encoderInputs(
  { examples, agentview, wrist }: Pick<BatchArrays, "examples" | "agentview" | "wrist">,
  set: ExampleSet,
  prompts: readonly Int32Array[],
  S: number,
): Tensor[] {
  const B = examples.length;
  const L = prompts[0].length;
  const ids = new Int32Array(B * L);
  examples.forEach((example, b) => {
    ids.set(prompts[set.at(example).instruction], b * L);
  });
  return [
    Tensor.from(agentview, [B, 3, S, S]),
    Tensor.from(wrist, [B, 3, S, S]),
    Tensor.from(ids, [B, L], "int32"),
  ];
}

/**
 * Token ids of a set's instructions, all of one length: that of the longest, padded like the reference's batches (which
 * are as long as their own longest), where the perception names no length.
 */
export function promptsOf(set: ExampleSet, perception: Perception): Int32Array[] {
  const prompts = set.instructions.map((instruction) => perception.tokens(instruction));
  const longest = Math.max(...prompts.map(({ length }) => length));
  return prompts.map((ids) => {
    const padded = new Int32Array(longest).fill(perception.tokenizer.pad);
    padded.set(ids);
    return padded;
  });
}

/** Actions (B, T, 7). */
export const chunks = ({
  examples: { length: B },
  actions,
}: Pick<BatchArrays, "examples" | "actions">): Tensor =>
  Tensor.from(actions, [B, actions.length / (7 * B), 7]);
