import type { Observation } from "../observation.ts";
import type { Plan, PlanRequest, Policy } from "../policies/policy.ts";
import type { Moment } from "./strip.ts";

/** A plan with its terms: log p(chunk | seen) is log p(z) and `logDet`, what the layers of the flow add. */
export interface Planned extends Moment {
  readonly logDet: number;
}

/** Plays as another policy does, and keeps what it saw and how likely its plans were. */
export class Witness implements Policy {
  readonly name: string;
  readonly #policy: Policy;
  #moments: Planned[] = [];

  constructor(policy: Policy) {
    this.name = policy.name;
    this.#policy = policy;
  }

  /** Of the last episode, one per plan. */
  get moments(): readonly Planned[] {
    return this.#moments;
  }

  reset(seed: number): void {
    this.#moments = [];
    this.#policy.reset(seed);
  }

  async act(seen: Observation, instruction: string, request?: PlanRequest): Promise<Plan> {
    const plan = await this.#policy.act(seen, instruction, request);
    const { logProb, logProbTerms } = plan;
    if (logProb !== undefined && logProbTerms) {
      const logDet = logProbTerms.layers.reduce((sum, x) => sum + x, 0);
      this.#moments.push({ image: seen.agentview_image, logProb, logDet });
    }
    return plan;
  }
}
