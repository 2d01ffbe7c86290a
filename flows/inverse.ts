import type { Tensor } from "../core/index.ts";
import { Bijector, type Mapped } from "./bijector.ts";

/** A bijector seen from the other side: forward is its inverse and inverse its forward. */
export class Inverse extends Bijector {
  of: Bijector;

  constructor(bijector: Bijector) {
    super();
    this.of = bijector;
  }

  override get conditional(): boolean {
    return this.of.conditional;
  }

  forward(x: Tensor, condition?: Tensor): Mapped {
    return this.of.inverse(x, condition);
  }

  inverse(z: Tensor, condition?: Tensor): Mapped {
    return this.of.forward(z, condition);
  }
}
