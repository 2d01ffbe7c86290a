import { noGrad, Scope, type Tensor } from "../../core/index.ts";
import { Bijector } from "../bijector.ts";
import {
  DIRECTIONS,
  type Direction,
  distance,
  type Invertible,
  type Law,
  type LawInput,
  type Measure,
  type Result,
  type Trial,
  worst,
} from "./trial.ts";

/** The laws of bijectors that use a condition. */
export const conditionLaws = {
  matters: { name: "the condition matters", precision: "float64", measure: matters },
  networks: { name: "the condition enters through networks only", precision: "float64", measure: networks },
} as const satisfies Record<string, Law>;

/** How far the maps under two conditions are apart at the same points: 0 when the condition makes no difference. */
export function conditionEffect(bijector: Invertible, input: LawInput, other: Tensor): number {
  using _ = new Scope();
  const { x, z, condition } = input;
  return Math.max(
    distance(bijector.forward(x, condition).out, bijector.forward(x, other).out),
    distance(bijector.inverse(z, condition).out, bijector.inverse(z, other).out),
  );
}

/** Two conditions of the size that most are, and two that are far out on the same side: |c| of 7 and 11. */
const PAIRS: Readonly<Record<string, readonly [(c: number) => number, (c: number) => number]>> = {
  "ordinary conditions": [(c) => Math.max(-3, Math.min(3, c)), (c) => Math.max(-3, Math.min(3, c)) + 1],
  "conditions beyond 6": [(c) => (c < 0 ? -7 : 7), (c) => (c < 0 ? -11 : 11)],
};

/** 0 when another condition moves points, ∞ when it does not: ignored everywhere, or cut off far out. */
function matters(trial: Trial): Measure {
  return worst(
    DIRECTIONS.flatMap((direction) =>
      Object.entries(PAIRS).map(([which, pair]) => {
        const [one, other] = pair.map((change) => under(trial, direction, change));
        const effect = distance(one.out, other.out);
        return effect > 0
          ? { error: 0 }
          : { error: Number.POSITIVE_INFINITY, at: `${direction}: ${which} change nothing` };
      }),
    ),
  );
}

/** The map at a few points with every number of the condition changed. */
function under(trial: Trial, direction: Direction, change: (c: number) => number): Result {
  const { condition, x, z } = trial.at(trial.few);
  const changed = condition && { shape: condition.shape, data: Float64Array.from(condition.data, change) };
  return trial.map(trial.instance(direction), direction, direction === "forward" ? x : z, changed);
}

/**
 * How far another condition moves points while every network inside the bijector answers as it did before: 0 for
 * couplings. A bijector may use its condition without a network and be sound, so certificates leave this law out.
 */
function networks(trial: Trial): Measure {
  const { condition } = trial.input;
  if (!condition) return { error: 0 };
  return worst(
    DIRECTIONS.flatMap((direction) =>
      [1, 9].map((apart) => {
        using _ = new Scope();
        const bijector = trial.instance(direction);
        const points = trial.points(direction);
        const answers = new Answers(bijector);
        try {
          const before = noGrad(() => bijector[direction](points, condition));
          answers.replay();
          const after = noGrad(() => bijector[direction](points, condition.shift(apart)));
          return {
            error: Math.max(distance(after.out, before.out), distance(after.logDet, before.logDet)),
            at: direction,
          };
        } finally {
          answers.release();
        }
      }),
    ),
  );
}

type Forward = (...inputs: unknown[]) => unknown;

/** Writes down what the networks inside a bijector answer, then makes them answer the same again. */
class Answers {
  readonly #undo: (() => void)[] = [];
  #replaying = false;

  constructor(bijector: Invertible) {
    for (const module of bijector.modules()) {
      if (module instanceof Bijector || !("forward" in module)) continue;
      const network = module as unknown as { forward?: Forward };
      const own = Object.getOwnPropertyDescriptor(network, "forward");
      const forward = (network.forward as Forward).bind(network);
      const answers: unknown[] = [];
      let next = 0;
      network.forward = (...inputs) => {
        if (!this.#replaying) answers.push(forward(...inputs));
        return answers[this.#replaying ? next++ : answers.length - 1];
      };
      this.#undo.push(() => {
        if (own) Object.defineProperty(network, "forward", own);
        else delete network.forward;
      });
    }
  }

  replay(): void {
    this.#replaying = true;
  }

  release(): void {
    for (const undo of this.#undo) undo();
  }
}
