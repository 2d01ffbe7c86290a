import { concat, Random, Plan as Replay, Scope, Tensor } from "../../core/index.ts";
import { processImage } from "../florence2/image-processor.ts";
import { promptFor } from "../florence2/prompt.ts";
import { fuse } from "../fuse.ts";
import type { FusedDecoder } from "../fused.ts";
import type { Image, Observation } from "../observation.ts";
import type { Plan, Policy } from "../policy.ts";
import type { Checkpoint } from "./checkpoint.ts";

/**
 * NinA at work (arXiv:2508.16845, section 3): both camera pictures and the instruction go through the Florence-2
 * encoder, its features condition the decoder, and one sample z ~ N(0, I) becomes a chunk of actions in one pass.
 */
export class NinaPolicy implements Policy {
  readonly name: string;
  readonly #checkpoint: Checkpoint;
  /** Samples; densities come from the checkpoint's own decoder. */
  readonly #fused: FusedDecoder;
  /** One captured forward pass per prompt length. */
  readonly #replays = new Map<number, Replay>();
  readonly #prompts = new Map<string, Tensor>();
  #random = new Random(0);

  constructor(name: string, checkpoint: Checkpoint) {
    this.name = name;
    this.#checkpoint = checkpoint;
    this.#fused = fuse(checkpoint.decoder, { weights: "float32" });
  }

  reset(seed: number): void {
    this.#random = new Random(seed);
  }

  act(seen: Observation, instruction: string): Plan {
    using _ = new Scope();
    const { steps, actionWidth } = this.#checkpoint.decoder.config;
    const inputs = [
      this.#pixels(seen.agentview_image, "agentview_image"),
      this.#pixels(seen.robot0_eye_in_hand_image, "robot0_eye_in_hand_image"),
      this.#prompt(instruction),
      this.#random.normals([1, steps, actionWidth]),
    ];
    const [chunk, terms] = this.#replay(inputs).run(...inputs);
    const actions = Array.from({ length: steps }, (_unused, t) =>
      Float64Array.from(chunk.data.subarray(t * actionWidth, (t + 1) * actionWidth)),
    );
    if (!terms) return { actions };
    const [base, ...layers] = terms.data;
    const logProb = layers.reduce((sum, logDet) => sum + logDet, base);
    return { actions, logProb, logProbTerms: { base, layers } };
  }

  #pixels(image: Image, camera: string): Tensor {
    const size = this.#checkpoint.config.imageSize;
    try {
      return Tensor.from(processImage(image, size), [1, 3, size, size]);
    } catch (cause) {
      throw new Error(`${this.name}: ${camera}: ${(cause as Error).message}`, { cause });
    }
  }

  #prompt(instruction: string): Tensor {
    let ids = this.#prompts.get(instruction);
    if (!ids) {
      const list = this.#checkpoint.tokenizer.encode(promptFor(instruction));
      ids = Tensor.from(list, [1, list.length], "int32");
      ids.moveTo(null); // outlives this call
      this.#prompts.set(instruction, ids);
    }
    return ids;
  }

  #replay(examples: readonly Tensor[]): Replay {
    const length = examples[2].size;
    let replay = this.#replays.get(length);
    if (!replay) {
      const { florence, decoder } = this.#checkpoint;
      const forward = (agentview: Tensor, wrist: Tensor, ids: Tensor, z: Tensor): Tensor[] => {
        const condition = this.#fused.condition(florence.forward([agentview, wrist], ids));
        const actions = this.#fused.sample(z, condition);
        const terms = decoder.logProbTerms?.(actions, condition);
        return terms ? [actions, concat([terms.base, ...terms.layers], 0)] : [actions];
      };
      replay = new Replay(forward, examples);
      this.#replays.set(length, replay);
    }
    return replay;
  }
}
