import { tidy } from "../../core/index.ts";
import { AdamW, Ema, type Loss, TrainingStep } from "../../nn/index.ts";
import type { Update } from "../train/run.ts";
import type { Trained } from "../train/state.ts";
import { type FeedSettings, GroundingFeed, type Inputs, type Source, targetsOf } from "./feed.ts";
import { type GroundedEncoder, groundingLoss } from "./grounded-encoder.ts";

/** The updates of a run. */
export class GroundingLearner implements Trained, Disposable {
  readonly module: GroundedEncoder;
  readonly optimizer: AdamW;
  readonly ema: Ema;
  /** Batches are functions of their numbers, and nothing is dropped out. */
  readonly randoms = {};
  readonly #sources: readonly Source[];
  readonly #settings: FeedSettings;
  /** Opened and captured by the first update, when a saved state is back in place. */
  #feed: GroundingFeed | null = null;
  #step: TrainingStep | null = null;

  constructor(model: GroundedEncoder, sources: readonly Source[], settings: FeedSettings) {
    this.module = model.train();
    this.optimizer = new AdamW(model.namedParameters(), { betas: [0.9, 0.95], weightDecay: 0.01 });
    this.ema = new Ema(model);
    this.#sources = sources;
    this.#settings = settings;
  }

  async update(number: number, lr: number): Promise<Update> {
    this.#feed ??= new GroundingFeed(this.#sources, this.#settings, number);
    const asked = performance.now();
    const batch = await this.#feed.next();
    let waited = performance.now() - asked;
    const began = performance.now();
    const inputs = tidy(batch);
    waited += performance.now() - began;
    try {
      this.#step ??= new TrainingStep((...all) => lossOf(this.module, all as Inputs), this.optimizer, inputs);
      return { ...(await this.#step.run(inputs, lr)), waited };
    } finally {
      for (const x of inputs) x.dispose();
    }
  }

  [Symbol.dispose](): void {
    this.#feed?.[Symbol.dispose]();
    this.#step?.[Symbol.dispose]();
    this.ema.dispose();
    this.optimizer.dispose();
  }
}

function lossOf(model: GroundedEncoder, inputs: Inputs): Loss {
  const [agentview, wrist, ids] = inputs;
  return groundingLoss(model.read(agentview, wrist, ids), targetsOf(inputs));
}
