import type { Observation } from "../observation.ts";
import type { Plan, PlanRequest, Policy } from "../policy.ts";
import type { Moment } from "./strip.ts";

/** Plays as another policy does, and keeps what it saw and how likely its plans were. */
export class Witness implements Policy {
  readonly name: string;
  readonly #policy: Policy;
  #moments: Moment[] = [];

  constructor(policy: Policy) {
    this.name = policy.name;
    this.#policy = policy;
  }

  /** Of the last episode, one per plan. */
  get moments(): readonly Moment[] {
    return this.#moments;
  }

  reset(seed: number): void {
    this.#moments = [];
    this.#policy.reset(seed);
  }

  async act(seen: Observation, instruction: string, request?: PlanRequest): Promise<Plan> {
    const plan = await this.#policy.act(seen, instruction, request);
    if (plan.logProb !== undefined)
      this.#moments.push({ image: seen.agentview_image, logProb: plan.logProb });
    return plan;
  }
}
