import { type Device, onDevice, Random, type Tensor, tidy } from "../../core/index.ts";
import { AdamW, Ema, Module, TrainingStep } from "../../nn/index.ts";
import type { Decoder, Noise } from "../decoder.ts";
import type { Florence2 } from "../florence2/model.ts";
import { isDecayed } from "../nina/training.ts";
import type { Feed, FeedStream } from "./feed.ts";
import type { Optimisation } from "./recipes.ts";
import type { Update } from "./run.ts";
import type { Trained } from "./state.ts";

/** What is trained, under the names of a checkpoint: the decoder, and the encoder unless it is frozen. */
export class Parts extends Module {
  decoder: Decoder;
  vlm: Florence2 | null;

  constructor(decoder: Decoder, vlm: Florence2 | null) {
    super();
    this.decoder = decoder;
    this.vlm = vlm;
  }
}

export interface LearnerSettings {
  readonly optimisation: Optimisation;
  /** Parts that a batch of `optimisation.batch` examples is computed in, one batch of the feed each. */
  readonly accumulate: number;
  readonly clip: number | undefined;
  readonly seed: number;
}

/** The updates of a run: what is learnt by minimising the decoder's loss on a feed's batches, where its weights are. */
export class Learner implements Trained, Disposable {
  readonly module: Module;
  readonly optimizer: AdamW;
  readonly ema: Ema;
  readonly randoms: { readonly masks: Random; readonly noise: Random };
  readonly #device: Device;
  readonly #decoder: Decoder;
  readonly #feed: Feed;
  readonly #settings: LearnerSettings;
  #stream: FeedStream | null = null;
  /** Captured by the first update, when a saved state is back in place. */
  #step: TrainingStep | null = null;

  constructor(parts: Parts, feed: Feed, settings: LearnerSettings) {
    const { betas, weightDecay } = settings.optimisation;
    const { decoder } = parts;
    this.module = parts.train();
    this.optimizer = new AdamW(this.module.namedParameters(), { betas, weightDecay, decays: isDecayed });
    this.ema = new Ema(this.module);
    this.randoms = { masks: new Random(settings.seed, MASKS), noise: new Random(settings.seed, NOISE) };
    this.#device = decoder.device;
    this.#decoder = decoder;
    this.#feed = feed;
    this.#settings = settings;
  }

  /** Opens the feed for the updates from number `step` on. */
  async prepare(step: number): Promise<void> {
    this.#stream = await this.#feed.open(step * this.#settings.accumulate);
  }

  /** The next update. */
  async update(lr: number): Promise<Update> {
    if (!this.#stream) throw new Error("Learner.update: called before prepare");
    const { accumulate } = this.#settings;
    let waited = 0;
    for (let part = 1; ; part++) {
      const asked = performance.now();
      const batch = await this.#stream.next();
      waited += performance.now() - asked;
      const began = performance.now();
      const { inputs, noise } = onDevice(this.#device, () =>
        tidy(() => {
          const inputs = batch();
          return { inputs, noise: this.#decoder.drawNoise(inputs[0].shape[0], this.randoms.noise) };
        }),
      );
      const all: Tensor[] = [...inputs, ...Object.values(noise)];
      waited += performance.now() - began;
      try {
        this.#step ??= onDevice(this.#device, () => this.#capture(all, Object.keys(noise)));
        if (part === accumulate) return { ...(await this.#step.run(all, lr)), waited };
        await this.#step.accumulate(all);
      } finally {
        for (const x of all) x.dispose();
      }
    }
  }

  /** `examples`: those of the feed, then the noise, whose names are given. */
  #capture(examples: readonly Tensor[], names: readonly string[]): TrainingStep {
    const loss = (...all: Tensor[]): Tensor => {
      const seen = all.slice(0, all.length - names.length - 1);
      const [actions, ...drawn] = all.slice(seen.length);
      const noise: Noise = Object.fromEntries(names.map((name, i) => [name, drawn[i]]));
      return this.#decoder.loss(actions, this.#decoder.condition(this.#feed.features(...seen)), noise);
    };
    const { clip } = this.#settings;
    return new TrainingStep(loss, this.optimizer, examples, { masks: this.randoms.masks, clip });
  }

  [Symbol.dispose](): void {
    this.#stream?.[Symbol.dispose]();
    this.#step?.[Symbol.dispose]();
    this.ema.dispose();
    this.optimizer.dispose();
  }
}

/** Numbers of the streams of a seed. */
const [MASKS, NOISE] = [1, 2];
