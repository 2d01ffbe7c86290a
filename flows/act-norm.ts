import { showShape, sizeOf, type Tensor } from "../core/index.ts";
import { constant, parameter } from "../nn/index.ts";
import { Bijector, forBatch, type Mapped } from "./bijector.ts";

/**
 * Activation normalisation (Glow, arXiv:1807.03039, section 3.1): a scale and a shift per channel, the last axis,
 *   z = x ⊙ e^{log_scale} + shift    log |det J| = P · Σ log_scale    with P positions per event
 * `normalise` sets them so that a first batch comes out with mean 0 and variance 1 per channel.
 */
export class ActNorm extends Bijector {
  log_scale: Tensor; // (channels)
  shift: Tensor; // (channels)

  constructor(channels: number) {
    super();
    this.log_scale = parameter([channels], constant(0));
    this.shift = parameter([channels], constant(0));
  }

  forward(x: Tensor): Mapped {
    this.#checkChannels(x);
    return { out: x.mul(this.log_scale.exp()).add(this.shift), logDet: this.#logDet(x) };
  }

  inverse(z: Tensor): Mapped {
    this.#checkChannels(z);
    return { out: z.sub(this.shift).mul(this.log_scale.neg().exp()), logDet: this.#logDet(z).neg() };
  }

  /**
   * Sets scale and shift from a batch (B, …, channels) on cpu. Throws where a channel does not vary, or is not finite.
   */
  normalise(batch: Tensor): void {
    this.#checkChannels(batch);
    const C = this.shift.size;
    const rows = batch.size / C;
    const [logScale, shift] = [new Float64Array(C), new Float64Array(C)];
    for (let c = 0; c < C; c++) {
      let [sum, squares] = [0, 0];
      for (let i = 0; i < rows; i++) sum += batch.data[i * C + c];
      const mean = sum / rows;
      for (let i = 0; i < rows; i++) squares += (batch.data[i * C + c] - mean) ** 2;
      const deviation = Math.sqrt(squares / rows);
      if (!Number.isFinite(deviation))
        throw new Error(`ActNorm.normalise: channel ${c} is not finite in this batch`);
      if (deviation === 0) throw new Error(`ActNorm.normalise: channel ${c} is constant in this batch`);
      logScale[c] = -Math.log(deviation);
      shift[c] = -mean / deviation;
    }
    this.log_scale.write(logScale);
    this.shift.write(shift);
  }

  #checkChannels(x: Tensor): void {
    const C = this.shift.size;
    if (x.shape.length < 2 || x.shape.at(-1) !== C)
      throw new Error(`ActNorm: expected a batch (B, …, ${C}), got ${showShape(x.shape)}`);
  }

  #logDet(x: Tensor): Tensor {
    const positions = sizeOf(x.shape.slice(1)) / this.shift.size;
    return forBatch(this.log_scale.sum().scale(positions), x);
  }
}
