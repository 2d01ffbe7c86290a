import { checkInteger, concat, type Tensor } from "../core/index.ts";
import { Lambda, LayerNorm, Linear, Module, Sequential } from "../nn/index.ts";
import type { Conditioner } from "./coupling.ts";

export interface MlpConditionerConfig {
  /** Width of the kept part. */
  readonly kept: number;
  /** Width of the condition; 0 for a network that leaves any condition unused. */
  readonly condition: number;
  /** Width of the two hidden layers. */
  readonly width: number;
  /** Numbers to give. */
  readonly outputs: number;
}

/**
 * The conditioner of NinA's MLP flow: Linear – LayerNorm – GELU, twice, then Linear, on the kept part joined with the
 * condition. (B, kept), (B, condition) → (B, outputs)
 */
export class MlpConditioner extends Module implements Conditioner {
  net: Sequential;
  readonly config: MlpConditionerConfig;

  constructor(config: MlpConditionerConfig) {
    super();
    const { kept, condition, width, outputs } = config;
    checkInteger(kept, 0, "MlpConditioner", "kept");
    checkInteger(condition, 0, "MlpConditioner", "condition");
    checkInteger(width, 1, "MlpConditioner", "width");
    checkInteger(outputs, 0, "MlpConditioner", "outputs");
    const gelu = (): Lambda => new Lambda((x) => x.gelu());
    this.config = config;
    this.net = new Sequential(
      new Linear(kept + condition, width),
      new LayerNorm(width),
      gelu(),
      new Linear(width, width),
      new LayerNorm(width),
      gelu(),
      new Linear(width, outputs),
    );
  }

  get conditional(): boolean {
    return this.config.condition > 0;
  }

  forward(kept: Tensor, condition?: Tensor): Tensor {
    const { kept: N, condition: C } = this.config;
    const { B } = kept.dims(`B ${N}`, "MlpConditioner: kept part");
    if (C === 0) return this.net.forward(kept);
    if (!condition) throw new Error(`MlpConditioner: expected a condition (B, ${C}), got none`);
    condition.dims(`${B} ${C}`, "MlpConditioner: condition");
    return this.net.forward(concat([kept, condition], 1));
  }
}
