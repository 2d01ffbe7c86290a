/** Learning rate as a function of the step, counted from 0. */
export type Schedule = (step: number) => number;

export interface TriStage {
  readonly peak: number;
  readonly totalSteps: number;
  /** Shares of `totalSteps` spent warming up, holding and decaying; each phase's length is rounded down. */
  readonly phases: readonly [warmup: number, hold: number, decay: number];
  /** The first and the last learning rate, as shares of `peak`. */
  readonly startFactor: number;
  readonly endFactor: number;
}

/**
 * Linear warm-up, hold, then half a cosine down to `endFactor · peak`, and constant from there. (Tri-stage schedules
 * are described with an exponential decay; NinA's code computes this cosine.)
 */
export function triStage({ peak, totalSteps, phases, startFactor, endFactor }: TriStage): Schedule {
  const [warmup, hold, decay] = phases.map((share) => Math.floor(share * totalSteps));
  const [first, last] = [startFactor * peak, endFactor * peak];
  return (step) => {
    if (step < warmup) return first + ((peak - first) / warmup) * step;
    if (step < warmup + hold) return peak;
    const done = step - warmup - hold;
    if (done > decay) return last;
    return last + 0.5 * (peak - last) * (1 + Math.cos((Math.PI * done) / decay));
  };
}

/**
 * The schedule as the reference training sees it: its scheduler writes nothing before its first call, which comes
 * after the first optimiser step, so step 0 runs at `initial` and step n ≥ 1 at schedule(n − 1).
 */
export const oneStepLate =
  (schedule: Schedule, initial: number): Schedule =>
  (step) =>
    step === 0 ? initial : schedule(step - 1);
