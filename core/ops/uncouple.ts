import { each } from "../formula/launch.ts";
import { apply, defineOp, sample } from "../op.ts";
import { showShape } from "../shape.ts";
import type { Tensor } from "../tensor.ts";
import { concat } from "./concat.ts";

export const op = defineOp({
  name: "uncouple",
  shape([z, terms]) {
    const { B, N } = z.dims("B N", "uncouple");
    if (N % 2 !== 0) throw new Error(`uncouple: expected rows with two halves, got ${showShape(z.shape)}`);
    terms.dims(`2 ${B} ${N / 2}`, "uncouple: terms");
    return z.shape;
  },
  formula([z, terms]) {
    const half = z.shape[1] / 2;
    return each(z.shape, (b, i) => {
      const [s, t] = [0, 1].map((which) => terms.at(which, b, i.sub(half)));
      const changed = z.at(b, i).sub(t).mul(s.tanh().neg().exp());
      return i.lessThan(half, z.at(b, i), changed);
    });
  },
  backward(dy, [z, terms], _out, _attrs, wants) {
    const [dKept, dChanged] = dy.chunk(2, 1);
    const [raw, shift] = terms.chunk(2, 0).map((x) => x.reshape(dKept.shape));
    const s = raw.tanh();
    const dz = dChanged.mul(s.neg().exp()); // x₂ = (z₂ − t) e⁻ˢ, so dz₂ = dx₂ e⁻ˢ, dt = −dz₂, ds = −dz₂ (z₂ − t)
    const dTerms = (): Tensor => {
      const ds = dz.mul(z.chunk(2, 1)[1].sub(shift)).neg();
      const dRaw = ds.mul(s.square().neg().shift(1));
      return concat([dRaw, dz.neg()], 0).reshape(terms.shape);
    };
    return [wants[0] ? concat([dKept, dz], 1) : null, wants[1] ? dTerms() : null];
  },
  samples: [sample([3, 6], [2, 3, 3]), { ...sample([1, 18], [2, 1, 9]), range: [-2, 2] }],
});

/**
 * The inverse of an affine coupling (arXiv:1605.08803, eq. 8) whose log-scale is squashed by tanh, in one pass:
 * x₁ = z₁, x₂ = (z₂ − t) ⊙ exp(−tanh s), with z (B, N), terms = [s, t] (2, B, N/2) → (B, N).
 */
export const uncouple = (z: Tensor, terms: Tensor): Tensor => apply(op, [z, terms], undefined);
