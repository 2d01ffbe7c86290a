import { grad } from "../../core/autograd.ts";
import type { DType } from "../../core/dtype.ts";
import { Tensor } from "../../core/index.ts";
import type { Op, Sample } from "../../core/op.ts";
import { apply } from "../../core/op.ts";
import { Random } from "../../core/random.ts";

/** Inputs for one sample of an op: numbers in the sample's range, or int32 indices. */
export function sampleInputs(sample: Sample<unknown>, dtype: DType, seed: number): Tensor[] {
  const random = new Random(seed);
  const [low, high] = sample.range ?? [-1, 1];
  return sample.ins.map((shape, i) => {
    const bound = sample.indices?.[i];
    if (bound === undefined) return random.uniforms(shape, low, high, dtype);
    const ids = Tensor.empty(shape, "int32");
    ids.data.forEach((_, at) => {
      ids.data[at] = random.integer(bound);
    });
    return ids;
  });
}

/**
 * The largest difference between the gradients an op gives and central differences, in float64, relative to 1.
 * The function differentiated is Σ r ⊙ op(ins) with random weights r, so that errors cannot cancel.
 * With `twice` the gradient's own gradient is checked instead.
 */
export function gradientError(
  op: Op<unknown>,
  sample: Sample<unknown>,
  seed: number,
  twice: boolean,
): number {
  const ins = sampleInputs(sample, "float64", seed);
  const floats = ins.filter((x) => x.dtype === "float64");
  for (const x of floats) x.tracked();
  const random = new Random(seed + 1);
  const y = apply(op, ins, sample.attrs);
  if (y.dtype === "int32") return y.node === null ? 0 : Infinity; // integers have no gradient
  const weights = random.uniforms(y.shape, -1, 1, y.dtype);
  const value = (): Tensor => apply(op, ins, sample.attrs).mul(weights).sum();
  const directions = floats.map((x) => random.uniforms(x.shape, -1, 1, "float64"));
  const firstOrder = (): Tensor => {
    const gradients = grad(value(), floats, { createGraph: true });
    const terms = gradients.flatMap((g, i) => (g ? [g.mul(directions[i]).sum()] : []));
    return terms.reduce((a, b) => a.add(b), Tensor.scalar(0, "float64"));
  };
  const f = twice ? firstOrder : value;

  const start = f();
  const gradients = start.node ? grad(start, floats) : floats.map(() => null);
  let worst = 0;
  floats.forEach((x, i) => {
    for (let at = 0; at < x.size; at++) {
      // Fourth-order central difference: error about h⁴ f⁽⁵⁾/30 + 1e-16/h, near 1e-11 for h = 1e-3.
      const h = 1e-3;
      const original = x.data[at];
      const shifted = (step: number): number => {
        x.data[at] = original + step;
        return f().item();
      };
      const slope = (8 * (shifted(h) - shifted(-h)) - (shifted(2 * h) - shifted(-2 * h))) / (12 * h);
      x.data[at] = original;
      worst = Math.max(worst, Math.abs(slope - (gradients[i]?.data[at] ?? 0)) / Math.max(1, Math.abs(slope)));
    }
  });
  return worst;
}
