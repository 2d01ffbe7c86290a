import { checkFinite, checkFunction, checkInteger, checkOptions, refuse } from "../core/index.ts";

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
export function triStage(options: TriStage): Schedule {
  checkOptions(options, ["peak", "totalSteps", "phases", "startFactor", "endFactor"], "triStage");
  const { peak, totalSteps, phases, startFactor, endFactor } = options;
  checkFinite(peak, "triStage", "peak", 0);
  checkInteger(totalSteps, 1, "triStage", "totalSteps");
  if (!Array.isArray(phases) || phases.length !== 3) refuse("triStage", "three phases", phases);
  for (const share of phases) checkFinite(share, "triStage", "phases", 0);
  checkFinite(startFactor, "triStage", "startFactor", 0);
  checkFinite(endFactor, "triStage", "endFactor", 0);
  const [warmup, hold, decay] = phases.map((share) => Math.floor(share * totalSteps));
  const [first, last] = [startFactor * peak, endFactor * peak];
  return (step) => {
    checkInteger(step, 0, "triStage", "step");
    if (step < warmup) return first + ((peak - first) / warmup) * step;
    if (step < warmup + hold) return peak;
    const done = step - warmup - hold;
    if (done >= decay) return last;
    return last + 0.5 * (peak - last) * (1 + Math.cos((Math.PI * done) / decay));
  };
}

/**
 * The schedule as the reference training sees it: its scheduler writes nothing before its first call, which comes
 * after the first optimiser step, so step 0 runs at `initial` and step n ≥ 1 at schedule(n − 1).
 */
export function oneStepLate(schedule: Schedule, initial: number): Schedule {
  checkFunction(schedule, "oneStepLate", "the schedule");
  checkFinite(initial, "oneStepLate", "the first rate", 0);
  return (step) => {
    checkInteger(step, 0, "oneStepLate", "step");
    return step === 0 ? initial : schedule(step - 1);
  };
}
