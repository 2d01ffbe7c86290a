import {
  addInto,
  checkOptions,
  checkPositive,
  grad,
  Plan,
  Random,
  type RandomState,
  readHost,
  refuse,
  showShape,
  Tensor,
  tidy,
  unscoped,
  withGradients,
} from "../core/index.ts";
import { clipGradValue, gradientNorm, scaleGradients } from "./clip.ts";
import { withMasks } from "./dropout.ts";
import { firstNonFinite, NonFiniteError } from "./non-finite.ts";
import type { Optimizer } from "./optimizer.ts";
import { collectSideEffects, type SideEffect, withoutEffects } from "./side-effects.ts";

/** What is minimised; with the name `loss` beside others, which are only reported. All are scalars. */
export type Loss = Tensor | ({ readonly loss: Tensor } & Readonly<Record<string, Tensor>>);

export interface TrainingStepOptions {
  /**
   * Where dropout masks come from; needed for a loss that draws any. A batch's masks are the first numbers of a round
   * of the stream, and each batch turns it to the next round: restored, the stream gives the same masks again.
   */
  readonly masks?: Random;
  /** Gradients whose norm over all parameters is larger are scaled down to it; Infinity only measures the norm. */
  readonly clip?: number;
  /** Numbers of gradients are cut off at ± this, before their norm is measured. */
  readonly clipValue?: number;
}

/** Which results of the plan a side effect of the batch needs, such as new running means. */
interface LeftBehind {
  readonly start: number;
  readonly end: number;
  readonly apply: SideEffect["apply"];
}

export interface StepResult {
  /** Before the update; the mean over accumulated batches, like the parts. */
  readonly loss: number;
  /** What the loss function returned beside `loss`, by name. */
  readonly parts: Readonly<Record<string, number>>;
  /** √Σ g² over all parameters, before clipping; null unless `clip` is given. */
  readonly gradientNorm: number | null;
}

/**
 * A training step captured as a plan: the loss and all gradients are computed without allocating and without the cost
 * of building a history, then the optimiser updates its parameters. Replays draw new dropout masks. The results are
 * those of the eager step bit for bit, masks apart.
 *
 *     await step.run(batch, lr)                                       one batch, one update
 *     await step.accumulate(first); await step.run(second, lr)        the mean gradient of two batches, one update
 */
export class TrainingStep implements Disposable {
  readonly #loss: (...inputs: Tensor[]) => Loss;
  readonly #plan: Plan;
  readonly #optimizer: Optimizer;
  readonly #parameters: readonly Tensor[];
  /** Names of the parts; their results follow the loss. */
  readonly #parts: readonly string[];
  /** Which results of the plan are the parameters' gradients; −1 for a parameter without one. */
  readonly #places: readonly number[];
  /** What a batch leaves behind in modules, such as running statistics. */
  readonly #left: readonly LeftBehind[];
  readonly #masks: Random | null;
  /**
   * Holds the stretches that the plan reads its masks from: the stream from its start, turned to the round of `#masks`.
   */
  readonly #drawn: Random | null;
  readonly #clip: number | null;
  readonly #clipValue: number | null;
  /** Gradients of our own, for what must not be done in the plan's memory; made when first needed. */
  #sums: (Tensor | null)[] | null = null;
  #accumulated = 0;
  #busy = false;
  /** Of the accumulated batches: the loss, then the parts. */
  readonly #totals: number[];

  /**
   * `loss` must read nothing that changes but its inputs and the optimiser's parameters; `examples` have the inputs'
   * shapes.
   */
  constructor(
    loss: (...inputs: Tensor[]) => Loss,
    optimizer: Optimizer,
    examples: readonly Tensor[],
    options: TrainingStepOptions = {},
  ) {
    checkOptions(options, ["masks", "clip", "clipValue"], "TrainingStep");
    const { masks = null, clip, clipValue } = options;
    if (masks !== null && !(masks instanceof Random)) refuse("TrainingStep", "masks to be a Random", masks);
    if (clip !== undefined && clip !== Number.POSITIVE_INFINITY) checkPositive(clip, "TrainingStep", "clip");
    if (clipValue !== undefined) checkPositive(clipValue, "TrainingStep", "clipValue");
    const { parameters } = optimizer;
    const places: number[] = [];
    const parts: string[] = [];
    const left: LeftBehind[] = [];
    const held: Tensor[] = [];
    const drawn = masks && fromStart(masks.state);
    const body = (...inputs: Tensor[]): Tensor[] => {
      const { result, effects } = collectSideEffects(() =>
        withGradients(() => withMasks(drawn, () => loss(...inputs))),
      );
      const named = scalars(result);
      const results = [named.loss];
      for (const [name, value] of Object.entries(named)) {
        if (name === "loss") continue;
        parts.push(name);
        results.push(value);
      }
      for (const gradient of grad(named.loss, parameters)) {
        places.push(gradient ? results.push(gradient) - 1 : -1);
      }
      for (const { from, apply } of effects) {
        const start = results.length;
        const end = results.push(...from);
        left.push({ start, end, apply });
        held.push(...from);
      }
      return results;
    };
    try {
      this.#plan = new Plan(body, examples, parameters);
    } finally {
      for (const x of held) x.dispose();
    }
    this.#loss = loss;
    this.#optimizer = optimizer;
    this.#parameters = parameters;
    this.#parts = parts;
    this.#places = places;
    this.#left = left;
    this.#masks = masks;
    this.#drawn = drawn;
    this.#clip = clip ?? null;
    this.#clipValue = clipValue ?? null;
    this.#totals = [0, ...parts.map(() => 0)];
  }

  /** Adds a batch to those that the next `run` takes the mean of. The inputs must live until it is done. */
  accumulate(inputs: readonly Tensor[]): Promise<void> {
    return this.#alone(() => this.#compute(inputs, async (gradients) => void this.#add(gradients)));
  }

  /**
   * One step at learning rate `lr`, on this batch and those accumulated before it. The inputs must live until it is
   * done.
   * @throws NonFiniteError for a loss, or a measured gradient, that is not finite; then nothing has been updated.
   */
  run(inputs: readonly Tensor[], lr: number): Promise<StepResult> {
    return this.#alone(() => this.#compute(inputs, (gradients) => this.#update(gradients, inputs, lr)));
  }

  /** One batch after the other: they share the plan's memory. */
  async #alone<T>(body: () => Promise<T>): Promise<T> {
    if (this.#busy) throw new Error("TrainingStep: expected the batch before to be done: await each");
    this.#busy = true;
    try {
      return await body();
    } finally {
      this.#busy = false;
    }
  }

  async #update(
    given: readonly (Tensor | null)[],
    inputs: readonly Tensor[],
    lr: number,
  ): Promise<StepResult> {
    let gradients = given;
    const batches = this.#accumulated + 1;
    if (batches > 1) {
      const sums = this.#add(gradients);
      scaleGradients(sums, 1 / batches);
      gradients = sums;
    }
    this.#accumulated = 0;
    const [loss, ...parts] = this.#totals.map((total) => total / batches);
    this.#totals.fill(0);

    const own = (): (Tensor | null)[] => (gradients === this.#sums ? this.#sums : this.#copy(gradients));
    if (this.#clipValue !== null) {
      gradients = own();
      clipGradValue(gradients, this.#clipValue);
    }
    const norm = this.#clip === null ? null : await gradientNorm(gradients);
    if (norm !== null && !Number.isFinite(norm)) throw await this.#explain(inputs, "gradient norm", norm);
    if (norm !== null && norm > (this.#clip as number)) {
      gradients = own();
      scaleGradients(gradients, (this.#clip as number) / norm);
    }
    this.#optimizer.step(gradients, lr);
    return {
      loss,
      parts: Object.fromEntries(parts.map((value, i) => [this.#parts[i], value])),
      gradientNorm: norm,
    };
  }

  [Symbol.dispose](): void {
    this.#plan[Symbol.dispose]();
    for (const sum of this.#sums ?? []) sum?.dispose();
    this.#sums = null;
  }

  /** Gives `use` the gradients of a batch, in the plan's memory; loss and parts are added to the totals. */
  async #compute<T>(
    inputs: readonly Tensor[],
    use: (gradients: readonly (Tensor | null)[]) => Promise<T>,
  ): Promise<T> {
    if (this.#masks) {
      this.#masks.nextRound();
      this.#drawn?.restore(fromStart(this.#masks.state).state);
    }
    const results = unscoped(() => this.#plan.run(...inputs)); // no scope spans an await
    try {
      const values = await Promise.all(results.slice(0, this.#totals.length).map(readScalar));
      if (!Number.isFinite(values[0])) throw await this.#explain(inputs, "loss", values[0]);
      values.forEach((value, i) => {
        this.#totals[i] += value;
      });
      for (const { start, end, apply } of this.#left) apply(results.slice(start, end));
      return await use(this.#places.map((place) => (place < 0 ? null : results[place])));
    } finally {
      for (const result of results) result.dispose();
    }
  }

  /** Adds gradients to the sum of the accumulated ones. */
  #add(gradients: readonly (Tensor | null)[]): (Tensor | null)[] {
    if (this.#accumulated++ === 0) return this.#copy(gradients);
    const sums = this.#sums as (Tensor | null)[];
    sums.forEach((sum, i) => {
      if (sum) addInto(sum, gradients[i] as Tensor);
    });
    return sums;
  }

  #copy(gradients: readonly (Tensor | null)[]): (Tensor | null)[] {
    if (this.#sums) {
      this.#sums.forEach((sum, i) => {
        sum?.copyFrom(gradients[i] as Tensor);
      });
    } else this.#sums = gradients.map((gradient) => gradient && unscoped(() => gradient.copy()));
    return this.#sums;
  }

  /** Computes the batch once more, eagerly and with the same masks, to tell where it goes wrong. */
  async #explain(inputs: readonly Tensor[], what: string, value: number): Promise<NonFiniteError> {
    this.#accumulated = 0;
    this.#totals.fill(0);
    const masks = this.#masks && fromStart(this.#masks.state);
    const { names } = this.#optimizer;
    const named = this.#parameters.map((parameter, i) => [names[i], parameter] as const);
    const seen = this.#parameters.every(({ storage }) => storage.data);
    const where = seen
      ? tidy(() => firstNonFinite(() => this.#eagerly(inputs, masks), inputs, named))
      : "which op makes the first one is told on cpu";
    const who = `TrainingStep: expected a finite ${what}, got ${value}`;
    return new NonFiniteError(
      `${who}: ${where}; nothing was updated`,
      await Promise.all(inputs.map(readHost)),
    );
  }

  /** The same computation without the plan. */
  #eagerly(inputs: readonly Tensor[], masks: Random | null): void {
    const body = (): Loss => withGradients(() => withMasks(masks, () => this.#loss(...inputs)));
    grad(scalars(withoutEffects(body)).loss, this.#parameters);
  }
}

/** The stream from the first number of its round. */
const fromStart = ({ seed, stream, round }: RandomState): Random =>
  new Random(seed, stream).restore({ seed, stream, block: 0, round, ready: 0 });

function scalars(loss: Loss): { readonly loss: Tensor } & Readonly<Record<string, Tensor>> {
  const named = loss instanceof Tensor ? { loss } : loss;
  for (const [name, value] of Object.entries(named)) {
    if (value instanceof Tensor && value.size === 1) continue;
    const got = value instanceof Tensor ? `shape ${showShape(value.shape)}` : typeof value;
    throw new Error(`TrainingStep: expected the loss function to return a scalar ${name}, got ${got}`);
  }
  return named;
}

const readScalar = async (x: Tensor): Promise<number> => (await x.read())[0];
