import type { Sim } from "./sim.ts";

/** How far a full command moves each finger's target in one substep, in half widths of its range. */
const SPEED = 0.01;
/** Closing moves the two fingers' targets against each other. */
const DIRECTION = [-1, 1];

/**
 * The gripper's position servos: −1 opens, +1 closes, 0 holds the target. The target moves at a fixed speed, so a
 * full stroke from the middle takes 100 substeps, 4 control steps.
 */
export class Gripper {
  /** Target of each finger within its servo's range, [-1, 1], (2). */
  readonly target: Float64Array = new Float64Array(2);
  readonly #sim: Sim;
  readonly #actuators: readonly number[];
  readonly #middle: readonly number[];
  readonly #halfWidth: readonly number[];

  /** @param actuators the position servos of both fingers, (2). */
  constructor(sim: Sim, actuators: readonly string[]) {
    this.#sim = sim;
    this.#actuators = actuators.map((name) => sim.id("actuator", name));
    const ranges = this.#actuators.map((id) => sim.controlRange(id));
    this.#middle = ranges.map(([low, high]) => (low + high) / 2);
    this.#halfWidth = ranges.map(([low, high]) => (high - low) / 2);
  }

  /** Targets back to the middle of their ranges. */
  reset(): void {
    this.target.fill(0);
  }

  /** Moves the targets for one substep and writes the servos' controls, metres. */
  drive(command: number): void {
    const { ctrl } = this.#sim.views;
    for (let i = 0; i < 2; i++) {
      const moved = this.target[i] + DIRECTION[i] * SPEED * Math.sign(command);
      this.target[i] = Math.min(Math.max(moved, -1), 1);
      ctrl[this.#actuators[i]] = this.#middle[i] + this.#halfWidth[i] * this.target[i];
    }
  }
}
