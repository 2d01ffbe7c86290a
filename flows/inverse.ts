import type { Tensor } from "../core/index.ts";
import { Bijector, type Interval, type Mapped } from "./bijector.ts";

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

  override get domain(): Interval | undefined {
    return this.of.image;
  }

  override get image(): Interval | undefined {
    return this.of.domain;
  }

  forward(x: Tensor, condition?: Tensor): Mapped {
    return this.of.inverse(x, condition);
  }

  inverse(z: Tensor, condition?: Tensor): Mapped {
    return this.of.forward(z, condition);
  }
}
