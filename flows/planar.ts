import { checkInteger, type Tensor } from "../core/index.ts";
import { constant, fanIn, parameter } from "../nn/index.ts";
import { Bijector, checkEvent, type Mapped } from "./bijector.ts";
import { type Curve, solveIncreasing } from "./solve-increasing.ts";

/**
 * The planar layer (arXiv:1505.05770, eq. 10 to 12): pushes points along one direction by how far along another they
 * lie,
 *   z = x + û tanh(a)    a = x · w + b    log |det J| = log(1 + (1 − tanh² a) c)    with c = û · w
 * It is invertible where c > −1, so u is moved along w until it is (appendix A.1):
 *   û = u + (c − u · w) w/|w|²    with c = softplus(u · w) − 1
 * The inverse is numeric: along w the layer reads z · w + b = a + c tanh(a), which increases with a; once a is found,
 * x = z − û tanh(a). Events are vectors (B, N).
 */
export class Planar extends Bijector {
  u: Tensor; // (N)
  w: Tensor; // (N)
  b: Tensor; // ()

  constructor(size: number) {
    super();
    checkInteger(size, 1, "Planar", "size");
    this.u = parameter([size], fanIn(size));
    this.w = parameter([size], fanIn(size));
    this.b = parameter([], constant(0));
  }

  forward(x: Tensor): Mapped {
    checkEvent(x, this.w.shape, "Planar");
    const { push, c } = this.#invertible();
    const h = this.#along(x).tanh();
    return { out: x.add(h.mul(push)), logDet: logSlope(h, c) };
  }

  inverse(z: Tensor): Mapped {
    checkEvent(z, this.w.shape, "Planar");
    const { push, c } = this.#invertible();
    const target = this.#along(z); // (B, 1)
    const curve = (a: Tensor): Curve => {
      const h = a.tanh();
      return { value: a.add(h.mul(c)).sub(target), slope: slopeOf(h, c) };
    };
    const reach = c.abs(); // tanh is in (−1, 1), so a is within |c| of the target
    const h = solveIncreasing(curve, target.sub(reach), target.add(reach)).tanh();
    return { out: z.sub(h.mul(push)), logDet: logSlope(h, c).neg() };
  }

  /** a, (B, N) → (B, 1) */
  #along(x: Tensor): Tensor {
    return x.mul(this.w).sum([1], true).add(this.b);
  }

  /** û (N), and c (). */
  #invertible(): { push: Tensor; c: Tensor } {
    const { u, w } = this;
    const along = u.mul(w).sum();
    const c = along.softplus().shift(-1);
    return { push: u.add(w.mul(c.sub(along).div(w.square().sum()))), c };
  }
}

/** 1 + (1 − h²) c, the slope of a + c tanh(a) where h = tanh(a). */
const slopeOf = (h: Tensor, c: Tensor): Tensor => h.square().neg().shift(1).mul(c).shift(1);

/** (B, 1) → (B) */
const logSlope = (h: Tensor, c: Tensor): Tensor => slopeOf(h, c).log().reshape([h.size]);
