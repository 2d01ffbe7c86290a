import type { Tensor } from "../core/index.ts";
import { oneOf, orNull, type Rule, whole } from "./check-config.ts";
import { checkImageSize, type FlorenceConfig } from "./florence2/config.ts";
import { processImage, type Shift } from "./florence2/image-processor.ts";
import type { Florence2 } from "./florence2/model.ts";
import { type PromptForm, promptFor } from "./florence2/prompt.ts";
import { MAX_LENGTH, type Tokenizer } from "./florence2/tokenizer.ts";
import type { Image } from "./observation.ts";

/** How pictures and words are made ready for the encoder: part of a checkpoint, the same in training and at work. */
export interface PerceptionConfig {
  /** Side of the square pictures that the vision tower sees, pixels. */
  readonly imageSize: number;
  readonly prompt: PromptForm;
  /**
   * Tokens of every prompt, `<s>` and `</s>` included, padded with `<pad>` on the right: one captured plan serves all
   * instructions, and a longer one is refused. null: as many as a prompt has, cut after 77, as the reference does.
   */
  readonly promptLength: number | null;
  /** Side of the pictures it was trained on, which an environment is to draw; null: any, resized. */
  readonly cameraSize: number | null;
}

/** As the published policies see LIBERO: pictures of any size made 112 pixels, prompts of any length. */
export const publishedPerception: PerceptionConfig = {
  imageSize: 112,
  prompt: "template",
  promptLength: null,
  cameraSize: null,
};

export const PERCEPTION_RULES: Readonly<Record<keyof PerceptionConfig, Rule>> = {
  imageSize: whole(1, 4096),
  prompt: oneOf(["template", "instruction"] satisfies PromptForm[]),
  promptLength: orNull(whole(2, 65_536)),
  cameraSize: orNull(whole(1, 4096)),
};

/** Whether an encoder has room for pictures and prompts of this size: what is wrong, one line each. */
export const checkRoom = (
  florence: FlorenceConfig,
  { imageSize, promptLength }: PerceptionConfig,
): string[] => checkImageSize(florence, imageSize, promptLength ?? MAX_LENGTH);

/** From pictures and words to the features that a decoder conditions on. */
export class Perception {
  readonly florence: Florence2;
  readonly tokenizer: Tokenizer;
  readonly config: PerceptionConfig;

  constructor(florence: Florence2, tokenizer: Tokenizer, config: PerceptionConfig) {
    this.florence = florence;
    this.tokenizer = tokenizer;
    this.config = config;
  }

  /** The ids of an instruction's prompt, (L). @throws Error for one that is longer than `promptLength`. */
  tokens(instruction: string): Int32Array {
    const { prompt, promptLength } = this.config;
    const text = promptFor(instruction, prompt);
    if (promptLength === null) return Int32Array.from(this.tokenizer.encode(text));
    const ids = this.tokenizer.encode(text, Infinity);
    if (ids.length > promptLength) {
      throw new Error(
        `Perception.tokens: expected a prompt of at most ${promptLength} tokens, ` +
          `got ${ids.length} for ${JSON.stringify(instruction)}`,
      );
    }
    const padded = new Int32Array(promptLength).fill(this.tokenizer.pad);
    padded.set(ids);
    return padded;
  }

  /** A camera picture (N, N, 3) of any size as the vision tower sees it, (3, S, S); see `processImage`. */
  pixels(image: Image, shift?: Shift, gain?: number): Float32Array {
    return processImage(image, this.config.imageSize, shift, gain);
  }

  /**
   * Pixels (B, 3, S, S) of both cameras and prompts int32 (B, L) → features (B, 2 (1 + N) + 1 + L, d): see `Florence2`.
   * Made of ops alone, so it can be captured.
   */
  features(agentview: Tensor, wrist: Tensor, ids: Tensor): Tensor {
    return this.read(this.look(agentview, wrist), ids);
  }

  /** The part of it that pictures have: the tokens of each camera. */
  look(agentview: Tensor, wrist: Tensor): Tensor[] {
    return this.florence.encodeImages([agentview, wrist]);
  }

  /** The rest of it: features of the cameras' tokens and prompts. */
  read(seen: readonly Tensor[], ids: Tensor): Tensor {
    return this.florence.encode(seen, ids);
  }
}
