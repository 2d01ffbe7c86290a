import { apply, concat, defineOp, each, sample, showShape, type Tensor } from "../core/index.ts";

const op = defineOp({
  name: "invertCoupling",
  shape([z, terms]) {
    const { B, N } = z.dims("B N", "invertCoupling");
    if (N % 2 !== 0)
      throw new Error(`invertCoupling: expected rows with two halves, got ${showShape(z.shape)}`);
    terms.dims(`2 ${B} ${N / 2}`, "invertCoupling: terms");
    return z.shape;
  },
  formula([z, terms]) {
    const [B, N] = z.shape;
    const halves = z.as([B, 2, N / 2]);
    const solved = each(halves.shape, (b, half, i) => {
      const x = halves.at(b, half, i);
      const [s, t] = [0, 1].map((which) => terms.at(which, b, i));
      return half.equals(0, x, x.sub(t).mul(s.tanh().neg().exp()));
    });
    return solved.as(z.shape);
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
export const invertCoupling = (z: Tensor, terms: Tensor): Tensor => apply(op, [z, terms], undefined);
