import { grad } from "./autograd.ts";
import { checkFunction } from "./check.ts";
import { isTracked, noGrad, record, tracksGradients, withGradients } from "./op.ts";
import { checkTensors, type Differentiable, type Tensor } from "./tensor.ts";
import { tidy } from "./tidy.ts";

interface Body {
  readonly f: (...inputs: Tensor[]) => Tensor;
  /** How many of the node's inputs f takes; the rest are the parameters it reads. */
  readonly arity: number;
}

/**
 * f(...inputs), without keeping what f computes on the way: the gradient runs f a second time (gradient checkpointing,
 * arXiv:1604.06174). A chain of n equal pieces then needs memory for n results and one piece, for a third more time.
 *
 * `parameters` are the tracked tensors that f reads beside its inputs; those left out get no gradient. f must compute
 * the same each time: draw random numbers outside.
 */
export function checkpoint(
  f: (...inputs: Tensor[]) => Tensor,
  inputs: readonly Tensor[],
  parameters: readonly Tensor[] = [],
): Tensor {
  checkFunction(f, "checkpoint", "f");
  checkTensors(inputs, "checkpoint");
  checkTensors(parameters, "checkpoint");
  const y = noGrad(() => tidy(() => f(...inputs).detach())); // a tensor of its own, also when f returns an input
  return record(op, y, [...inputs, ...parameters], { f, arity: inputs.length });
}

const op: Differentiable<Body> = {
  name: "checkpoint",
  backward(dy, ins, _out, { f, arity }, wants) {
    // Copies end the recomputed history: what led to the inputs is not this node's to follow.
    const inputs = ins.slice(0, arity).map((x, i) => {
      const followed = wants[i] || (tracksGradients() && isTracked(x)); // a gradient of this gradient may want it
      return followed ? x.detach().tracked() : x.detach();
    });
    const y = withGradients(() => f(...inputs));
    const sources = [...inputs, ...ins.slice(arity)];
    const wanted = sources.filter((_, i) => wants[i]);
    const gradients = grad(y, wanted, { dy, createGraph: tracksGradients() });
    // A gradient of this gradient goes on from the copies to the inputs.
    inputs.forEach((copy, i) => {
      record(same, copy, [ins[i]], undefined);
    });
    return sources.map((x) => gradients[wanted.indexOf(x)] ?? null);
  },
};

const same: Differentiable<undefined> = { name: "same", backward: (dy) => [dy] };
