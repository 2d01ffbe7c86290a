import type { Tensor } from "../../core/index.ts";
import { gaussian, Lambda, Linear, Module, parameter, Sequential, sinusoids } from "../../nn/index.ts";

/** Width of the sinusoids that embedders start from. */
const SINUSOIDS = 256;

/** Linear – SiLU – Linear on what a number or an index was first made into: (B, 256) → (B, D). */
const embedderMlp = (width: number): Sequential =>
  new Sequential(new Linear(SINUSOIDS, width), new Lambda((x) => x.silu()), new Linear(width, width));

/** The time of the rectified flow, in [0, 1]: (B) → (B, D). */
export class TimestepEmbedder extends Module {
  mlp: Sequential;

  constructor(width: number) {
    super();
    this.mlp = embedderMlp(width);
  }

  forward(t: Tensor): Tensor {
    return this.mlp.forward(sinusoids(t, SINUSOIDS, { scale: 1000 }));
  }
}

/** The control frequency as the data set gives it, a small number: (B) → (B, D). */
export class FrequencyEmbedder extends Module {
  mlp: Sequential;

  constructor(width: number) {
    super();
    this.mlp = embedderMlp(width);
  }

  forward(frequency: Tensor): Tensor {
    return this.mlp.forward(sinusoids(frequency, SINUSOIDS, { period: 1000 }));
  }
}

/** Part of every checkpoint, used by nothing. */
export class ActionSpaceEmbedder extends Module {
  action_embeddings: Tensor;
  mlp: Sequential;

  constructor(spaces: number, width: number) {
    super();
    this.action_embeddings = parameter([spaces, SINUSOIDS], gaussian(1));
    this.mlp = embedderMlp(width);
  }
}
