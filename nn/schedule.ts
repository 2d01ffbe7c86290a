import {
  checkFinite,
  checkFunction,
  checkInteger,
  checkOptions,
  checkPositive,
  refuse,
} from "../core/index.ts";

/** Learning rate as a function of the step, counted from 0. They combine by `sequentialSchedule` and `warmUp`. */
export type Schedule = (step: number) => number;

/** From one rate to another in so many steps, then the other for good; without steps, from the start. */
export interface Ramp {
  readonly from: number;
  readonly to: number;
  readonly steps: number;
}

/** In a straight line. */
export function linearSchedule(ramp: Ramp): Schedule {
  const { from, to, steps } = checkRamp(ramp, "linearSchedule");
  return checked("linearSchedule", (step) => (step < steps ? from + ((to - from) / steps) * step : to));
}

/** Along half a cosine (arXiv:1608.03983, eq. 5): level at both ends. */
export function cosineSchedule(ramp: Ramp): Schedule {
  const { from, to, steps } = checkRamp(ramp, "cosineSchedule");
  return checked("cosineSchedule", (step) =>
    step < steps ? to + 0.5 * (from - to) * (1 + Math.cos((Math.PI * step) / steps)) : to,
  );
}

export interface StepDecay {
  readonly from: number;
  /** After so many steps, and again and again, the rate is multiplied by `factor`. */
  readonly every: number;
  readonly factor: number;
}

/** In steps: from · factor^⌊step/every⌋. */
export function stepSchedule(options: StepDecay): Schedule {
  checkOptions(options, ["from", "every", "factor"], "stepSchedule");
  const { from, every, factor } = options;
  checkFinite(from, "stepSchedule", "from", 0);
  checkInteger(every, 1, "stepSchedule", "every");
  checkPositive(factor, "stepSchedule", "factor");
  return checked("stepSchedule", (step) => from * factor ** Math.floor(step / every));
}

/** A schedule for so many steps, counted from 0 where it begins. */
export interface Phase {
  readonly steps: number;
  readonly schedule: Schedule;
}

/** Schedules one after the other, `last` from where the phases end. */
export function sequentialSchedule(phases: readonly Phase[], last: Schedule): Schedule {
  if (!Array.isArray(phases)) refuse("sequentialSchedule", "an array of phases", phases);
  for (const phase of phases) {
    checkOptions(phase, ["steps", "schedule"], "sequentialSchedule");
    checkInteger(phase.steps, 0, "sequentialSchedule", "steps");
    checkFunction(phase.schedule, "sequentialSchedule", "a phase's schedule");
  }
  checkFunction(last, "sequentialSchedule", "the last schedule");
  return checked("sequentialSchedule", (step) => {
    let left = step;
    for (const { steps, schedule } of phases) {
      if (left < steps) return schedule(left);
      left -= steps;
    }
    return last(left);
  });
}

/** Rises in a straight line from 0 to where the schedule starts, in so many steps, then follows it from its start. */
export function warmUp(steps: number, schedule: Schedule): Schedule {
  checkInteger(steps, 0, "warmUp", "steps");
  checkFunction(schedule, "warmUp", "the schedule");
  const rise = linearSchedule({ from: 0, to: schedule(0), steps });
  return sequentialSchedule([{ steps, schedule: rise }], schedule);
}

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
  const rise = linearSchedule({ from: startFactor * peak, to: peak, steps: warmup });
  const fall = cosineSchedule({ from: peak, to: endFactor * peak, steps: decay });
  const all = sequentialSchedule(
    [
      { steps: warmup, schedule: rise },
      { steps: hold, schedule: () => peak },
    ],
    fall,
  );
  return checked("triStage", all);
}

/**
 * The schedule as the reference training sees it: its scheduler writes nothing before its first call, which comes
 * after the first optimiser step, so step 0 runs at `initial` and step n ≥ 1 at schedule(n − 1).
 */
export function oneStepLate(schedule: Schedule, initial: number): Schedule {
  checkFunction(schedule, "oneStepLate", "the schedule");
  checkFinite(initial, "oneStepLate", "the first rate", 0);
  return checked("oneStepLate", (step) => (step === 0 ? initial : schedule(step - 1)));
}

function checkRamp(ramp: Ramp, who: string): Ramp {
  checkOptions(ramp, ["from", "to", "steps"], who);
  checkFinite(ramp.from, who, "from", 0);
  checkFinite(ramp.to, who, "to", 0);
  checkInteger(ramp.steps, 0, who, "steps");
  return { ...ramp };
}

/** The schedule, which refuses what is no whole number from 0 on. */
const checked =
  (who: string, schedule: Schedule): Schedule =>
  (step) => {
    checkInteger(step, 0, who, "step");
    return schedule(step);
  };
