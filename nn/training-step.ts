import { grad, Plan, type Random, type Tensor, withGradients } from "../core/index.ts";
import type { AdamW } from "./adamw.ts";
import { dropoutStream } from "./dropout.ts";

/**
 * A training step captured as a plan: the loss and all gradients are computed without allocating and without the cost of
 * building a history, then the optimiser updates its parameters. Replays draw new dropout masks. The results are those
 * of the eager step bit for bit, masks apart.
 */
export class TrainingStep implements Disposable {
  readonly #plan: Plan;
  readonly #optimizer: AdamW;
  /** Which results of the plan are the parameters' gradients; −1 for a parameter without one. */
  readonly #places: readonly number[];
  readonly #masks: Random = dropoutStream();

  /** `loss` must read nothing that changes but its inputs and the optimiser's parameters; `examples` have the inputs' shapes. */
  constructor(loss: (...inputs: Tensor[]) => Tensor, optimizer: AdamW, examples: readonly Tensor[]) {
    const { parameters } = optimizer;
    const places: number[] = [];
    const body = (...inputs: Tensor[]): Tensor[] => {
      const value = withGradients(() => loss(...inputs));
      const results = [value];
      for (const gradient of grad(value, parameters)) {
        places.push(gradient ? results.push(gradient) - 1 : -1);
      }
      return results;
    };
    this.#plan = new Plan(body, examples, parameters);
    this.#optimizer = optimizer;
    this.#places = places;
  }

  /** One step at learning rate `lr`; the loss before the update. */
  run(inputs: readonly Tensor[], lr: number): number {
    this.#masks.nextRound();
    const results = this.#plan.run(...inputs);
    const gradients = this.#places.map((place) => (place < 0 ? null : results[place]));
    this.#optimizer.step(gradients, lr);
    return results[0].item();
  }

  [Symbol.dispose](): void {
    this.#plan[Symbol.dispose]();
  }
}
