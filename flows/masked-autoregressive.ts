import { checkFunction, concat, Tensor } from "../core/index.ts";
import { type ScaleShiftNet, type Squashed, scaleShift, stretch } from "./affine-coupling.ts";
import { Bijector, type Mapped, sumEvent, takesCondition } from "./bijector.ts";

/**
 * A layer of a masked autoregressive flow (arXiv:1705.07057, eq. 3 and 4): each entry is scaled and shifted by what the
 * entries before it say, with the log-scale squashed by tanh as in `AffineCoupling`:
 *   zᵢ = xᵢ e^{sᵢ} + tᵢ    log |det J| = Σ sᵢ    with sᵢ = tanh(scaleᵢ(x₁ … xᵢ₋₁, c)), tᵢ = shiftᵢ(x₁ … xᵢ₋₁, c)
 * Densities take one pass of the network, samples as many as there are entries: entry i is known once those before it
 * are. Events are vectors (B, N). Of the network, such as `Made`, the numbers for entry i may depend on entries before
 * i alone.
 */
export class MaskedAutoregressive extends Bijector implements Squashed {
  net: ScaleShiftNet;

  constructor(net: ScaleShiftNet) {
    super();
    this.net = net;
    checkFunction((net as Partial<ScaleShiftNet> | null)?.forward, "MaskedAutoregressive", "net.forward");
  }

  override get conditional(): boolean {
    return takesCondition(this.net);
  }

  forward(x: Tensor, condition?: Tensor): Mapped {
    x.dims("B N", "MaskedAutoregressive");
    return stretch(x, ...this.#scaleShift(x, condition));
  }

  inverse(z: Tensor, condition?: Tensor): Mapped {
    const { B, N } = z.dims("B N", "MaskedAutoregressive");
    const found: Tensor[] = []; // entries of x, (B, 1) each
    const scales: Tensor[] = [];
    for (let i = 0; i < N; i++) {
      const unknown = Tensor.zeros([B, N - i], z.dtype); // nothing that is wanted of entry i reads it
      const both = this.#scaleShift(concat([...found, unknown], 1), condition);
      const [s, t, zi] = [...both, z].map((y) => y.slice(1, i, i + 1));
      found.push(zi.sub(t).mul(s.neg().exp()));
      scales.push(s);
    }
    return { out: concat(found, 1), logDet: sumEvent(concat(scales, 1)).neg() };
  }

  logScale(x: Tensor, condition?: Tensor): Tensor {
    return this.#scaleShift(x, condition)[0];
  }

  #scaleShift(x: Tensor, condition?: Tensor): [s: Tensor, t: Tensor] {
    return scaleShift(this, this.net.forward(x, condition), x.shape);
  }
}
