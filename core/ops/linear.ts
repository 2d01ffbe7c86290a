import { each, sum } from "../formula/launch.ts";
import { apply, defineOp, sample } from "../op.ts";
import { showShape } from "../shape.ts";
import { checkTensor, type Tensor } from "../tensor.ts";

export const op = defineOp({
  name: "linear",
  shape([x, weight, bias]) {
    const out = outputsFor(x, weight);
    if (bias.size !== out)
      throw new Error(`linear: expected a bias of ${out} numbers, got ${showShape(bias.shape)}`);
    return x.shape.with(-1, out);
  },
  formula([x, weight, bias]) {
    const rows = x.rows();
    const [N, K] = weight.shape;
    return each([rows.shape[0], N], (r, n) =>
      sum(K, (k) => rows.at(r, k).mul(weight.at(n, k))).add(bias.as([N]).at(n)),
    );
  },
  backward(dy, [x, weight, bias], _out, _attrs, wants) {
    const rows = (y: Tensor): Tensor =>
      y.reshape([y.size / (y.shape.at(-1) as number), y.shape.at(-1) as number]);
    return [
      wants[0] ? dy.matmul(weight) : null,
      wants[1] ? rows(dy).matmul(rows(x), { transposeA: true }) : null, // dW = dYᵀ X
      wants[2] ? dy.sumTo(bias.shape) : null,
    ];
  },
  samples: [sample([3, 4], [5, 4], [5]), sample([2, 3, 4], [2, 4], [2])],
});

/** How many numbers the weight makes of a row of x. */
function outputsFor(x: Tensor, weight: Tensor): number {
  const { out, inputs } = weight.dims("out inputs", "linear: weight");
  if (x.shape.at(-1) !== inputs) {
    throw new Error(
      `linear: expected (…, ${inputs}) for weight ${showShape(weight.shape)}, got ${showShape(x.shape)}`,
    );
  }
  return out;
}

/** x Wᵀ + b over the last axis, with W (out, in) as checkpoints store it: (…, in) → (…, out). */
export function linear(x: Tensor, weight: Tensor, bias?: Tensor): Tensor {
  checkTensor(weight, "linear", "a weight");
  if (bias === undefined) outputsFor(x, weight);
  else checkTensor(bias, "linear", "a bias");
  const rows = x.shape.length === 1 ? x.reshape([1, x.size]) : x;
  const y = bias ? apply(op, [rows, weight, bias], undefined) : rows.matmul(weight, { transposeB: true });
  return x.shape.length === 1 ? y.reshape([y.size]) : y;
}
