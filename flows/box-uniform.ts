import { checkFinite, refuse, type Shape, type Tensor } from "../core/index.ts";
import { buffer, constant, Module } from "../nn/index.ts";
import { checkEvent, sumEvent } from "./bijector.ts";
import type { Base } from "./normal.ts";
import { normalCdf } from "./normal-cdf.ts";

/**
 * The uniform distribution over a box, low ≤ zᵢ ≤ high for every entry: log p(z) = −Σ log(high − low) inside, −∞
 * outside. Its density has edges: flows onto it are for data with edges as hard, and `integrate` sees them as error.
 */
export class BoxUniform extends Module implements Base {
  low: Tensor; // (…event), not trained
  high: Tensor; // (…event), not trained
  readonly event: Shape;

  constructor(event: Shape, low = 0, high = 1) {
    super();
    checkFinite(low, "BoxUniform", "low");
    checkFinite(high, "BoxUniform", "high");
    if (low >= high) refuse("BoxUniform", "low below high", [low, high]);
    this.event = event;
    this.low = buffer(event, constant(low));
    this.high = buffer(event, constant(high));
  }

  logProb(z: Tensor): Tensor {
    checkEvent(z, this.event, "BoxUniform");
    const outside = sumEvent(z.lt(this.low).add(z.gt(this.high)));
    const density = this.high.sub(this.low).log().sum().neg();
    return outside.where(Number.NEGATIVE_INFINITY, density);
  }

  fromNoise(noise: Tensor, temperature: number): Tensor {
    checkEvent(noise, this.event, "BoxUniform");
    const share = normalCdf(noise.scale(temperature));
    return this.high.sub(this.low).mul(share).add(this.low).minimum(this.high); // rounding may take it beyond
  }
}
