import { apply, defineElementwise, Expr, sample, type Tensor } from "../core/index.ts";
import { HALF_LOG_TWO_PI } from "./normal.ts";

/**
 * log erfc(a) + a² − log t for a ≥ 0, t = 2/(2 + a), as a polynomial in 2 t − 1: the Chebyshev fit of Press et al.,
 * "Numerical Recipes", 3rd edition, section 6.2.2, expanded. erfc is right to 1e-13 of itself however small it is.
 */
const ERFC = [
  -0.6717940840566923, 0.6726432239776566, 0.047343306841904534, -0.04689561023117734, -0.00987268936639228,
  0.008824938557113696, 0.0017589335578087361, -0.002345812501075328, -0.00014624686329856,
  0.0006736787991385599, -9.373503218790399e-5, -0.000174302959455232, 7.140101913190399e-5,
  3.174520193024e-5, -3.0187899002879997e-5, 1.3772128256000015e-7, 8.562650611711999e-6, -2.948059037696e-6,
  -1.2723464437759998e-6, 1.2502106112e-6, -1.68468414464e-7, -2.4981274624e-7, 1.53326977024e-7,
  1.610612736e-9, -3.9166410752e-8, 1.1106516992e-8, 4.060086272e-9, -1.879048192e-9,
];

const op = defineElementwise({
  name: "logNormalCdf",
  inputs: 1,
  formula([x]) {
    const a = x.abs().mul(Math.SQRT1_2);
    const t = Expr.constant(2).div(a.add(2));
    const s = t.mul(2).sub(1);
    const fit = ERFC.reduceRight((sum, c) => sum.mul(s).add(c), Expr.constant(0));
    const tail = t.log().sub(a.mul(a)).add(fit).sub(Math.LN2); // log Φ(−|x|) = log(½ erfc(a))
    return x.lessThan(0, tail, tail.exp().neg().log1p());
  },
  // Φ′/Φ = φ(x)/Φ(x), from logarithms: both may be too small to divide.
  backward: (dy, [x], y) => [dy.mul(x.square().scale(-0.5).shift(-HALF_LOG_TWO_PI).sub(y).exp())],
  samples: [{ ...sample([2, 5]), range: [-4, 4] }],
});

/** log Φ(x) of the standard normal distribution function, with all its digits far below 0, where Φ itself has none. */
export const logNormalCdf = (x: Tensor): Tensor => apply(op, [x], []);
