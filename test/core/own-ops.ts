import {
  apply,
  defineElementwise,
  defineOp,
  each,
  type Index,
  max,
  type Op,
  sample,
  sum,
  type Tensor,
} from "../../core/index.ts";

/**
 * Ops that core lacks, from what it exports: values, gradient and samples, and nothing else. Imported, they run through
 * the suites of ops on every device.
 */
const op: Op<number> = defineOp<number>({
  name: "softMaximum",
  shape: ([x]) => x.shape.slice(0, -1),
  formula([x], _temperature, param) {
    const rows = x.rows();
    const [R, N] = rows.shape;
    return each([R], (r) => {
      const most = max(N, (j) => rows.at(r, j));
      const e = (j: Index) => rows.at(r, j).sub(most).div(param(0)).exp();
      return sum(N, e).log().mul(param(0)).add(most);
    });
  },
  params: (temperature) => [temperature],
  backward(dy, [x], _out, temperature) {
    const column = dy.reshape([...dy.shape, 1]);
    return [
      x
        .scale(1 / temperature)
        .softmax()
        .mul(column),
    ];
  },
  samples: [
    { ...sample([3, 4]), attrs: 1 },
    { ...sample([2, 3, 5]), attrs: 0.3, range: [-4, 4] },
  ],
});

/** τ log Σ exp(x / τ) over the last axis: near τ = 0 the largest number. */
export const softMaximum = (x: Tensor, temperature: number): Tensor => apply(op, [x], temperature);

/** One whose gradient comes from its formula; it has kernels for float32, joins others in plans and takes a number. */
const bentOp = defineElementwise({
  name: "bent",
  inputs: 2,
  params: 1,
  formula: ([x, y], [p]) => x.mul(y.tanh()).add(x.mul(p).exp().log1p()).div(y.mul(y).add(1).sqrt()),
  samples: [
    { ...sample([2, 5], [2, 5]), attrs: [0.5] },
    { ...sample([2, 1, 3], [4, 1]), attrs: [-2], range: [-3, 3] },
  ],
});

export const bent = (x: Tensor, y: Tensor, p: number): Tensor => apply(bentOp, [x, y], [p]);
