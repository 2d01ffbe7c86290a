import { describe, expect, it } from "vitest";
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
  Tensor,
  tidy,
} from "../../core/index.ts";
import { opLaws } from "../laws/op-laws.ts";

/** An op that core lacks, from what core exports: all that a device, `grad` and the suites need of it. */
const op: Op<number> = defineOp<number>({
  name: "softMaximum",
  shape: ([x]) => x.shape.slice(0, -1),
  formula([x], temperature) {
    const rows = x.rows();
    const [R, N] = rows.shape;
    return each([R], (r) => {
      const most = max(N, (j) => rows.at(r, j));
      const e = (j: Index) => rows.at(r, j).sub(most).div(temperature).exp();
      return sum(N, e).log().mul(temperature).add(most);
    });
  },
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
const softMaximum = (x: Tensor, temperature: number): Tensor => apply(op, [x], temperature);

/** One whose gradient comes from its formula; it has kernels for float32, joins others in plans and takes a number. */
const bent = defineElementwise({
  name: "bent",
  inputs: 2,
  params: 1,
  formula: ([x, y], [p]) => x.mul(y.tanh()).add(x.mul(p).exp().log1p()).div(y.mul(y).add(1).sqrt()),
  samples: [
    { ...sample([2, 5], [2, 5]), attrs: [0.5] },
    { ...sample([2, 1, 3], [4, 1]), attrs: [-2], range: [-3, 3] },
  ],
});

describe("ops that are defined outside of core", () => {
  it("compute what they say", () => {
    tidy(() => {
      const x = Tensor.from([1, 2, 3, 4], [2, 2], "float64");
      const [first, second] = softMaximum(x, 2).data;
      expect(first).toBeCloseTo(2 * Math.log(Math.exp(1 / 2) + Math.exp(1)), 14);
      expect(second).toBeCloseTo(first + 2, 14);
      const y = apply(bent, [x, x], [0.5]).data[0];
      expect(y).toBeCloseTo((Math.tanh(1) + Math.log1p(Math.exp(0.5))) / Math.SQRT2, 14);
    });
  });

  for (const own of [op, bent]) opLaws(own as Op<unknown>);
});
