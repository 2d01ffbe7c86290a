import { isTracked, noGrad } from "./op.ts";
import { showShape } from "./shape.ts";
import { Tensor } from "./tensor.ts";

export interface GradOptions {
  /** Gradient of whatever follows y, of y's shape; 1 for a scalar y. */
  readonly dy?: Tensor;
  /** Record the gradient's own history, so that it has gradients too. */
  readonly createGraph?: boolean;
}

/**
 * Gradients of y with respect to each of `xs`: vector-Jacobian products dyᵀ ∂y/∂x, by walking y's history backwards.
 * null where y does not depend on x. Throws if y is not a scalar and `dy` is not given.
 */
export function grad(y: Tensor, xs: readonly Tensor[], options: GradOptions = {}): (Tensor | null)[] {
  const seed = options.dy ?? oneLike(y);
  if (showShape(seed.shape) !== showShape(y.shape)) {
    throw new Error(`grad: expected dy of y's shape ${showShape(y.shape)}, got ${showShape(seed.shape)}`);
  }
  const order = ancestry(y);
  const needed = new Set<Tensor>(xs);
  for (const tensor of order) if (tensor.node?.inputs.some((input) => needed.has(input))) needed.add(tensor);

  const walk = (): (Tensor | null)[] => {
    const gradients = new Map<Tensor, Tensor>([[y, seed]]);
    for (const tensor of order.toReversed()) {
      const dy = gradients.get(tensor);
      if (!dy || !tensor.node || !needed.has(tensor)) continue;
      const { inputs, name } = tensor.node;
      const wants = inputs.map((input) => needed.has(input));
      const contributions = tensor.node.backward(dy, wants);
      inputs.forEach((input, i) => {
        const part = contributions[i];
        if (!wants[i] || !part) return;
        if (showShape(part.shape) !== showShape(input.shape)) {
          throw new Error(
            `grad: ${name} returned ${showShape(part.shape)} for input ${i} ${showShape(input.shape)}`,
          );
        }
        const sum = gradients.get(input);
        gradients.set(input, sum ? sum.add(part) : part);
      });
    }
    return xs.map((x) => gradients.get(x) ?? null);
  };
  return options.createGraph ? walk() : noGrad(walk);
}

function oneLike(y: Tensor): Tensor {
  if (y.size !== 1) throw new Error(`grad: expected a scalar or a dy, got y of shape ${showShape(y.shape)}`);
  return Tensor.ones(y.shape, y.dtype);
}

/** All tracked tensors y was computed from, inputs before outputs. No recursion: chains can be long. */
function ancestry(y: Tensor): Tensor[] {
  const order: Tensor[] = [];
  const seen = new Set<Tensor>();
  const stack: { tensor: Tensor; next: number }[] = [{ tensor: y, next: 0 }];
  seen.add(y);
  while (stack.length > 0) {
    const top = stack[stack.length - 1];
    const input = top.tensor.node?.inputs[top.next++];
    if (!input) {
      order.push(top.tensor);
      stack.pop();
    } else if (isTracked(input) && !seen.has(input)) {
      seen.add(input);
      stack.push({ tensor: input, next: 0 });
    }
  }
  return order;
}

/** A fresh leaf with x's numbers that gradients are wanted for. */
function leaf(x: Tensor): Tensor {
  return x.detach().tracked();
}

/** y = f(x) and dyᵀ J, the vector-Jacobian product. */
export function vjp(f: (x: Tensor) => Tensor, x: Tensor, dy: Tensor): { y: Tensor; dx: Tensor } {
  const input = leaf(x);
  const y = f(input);
  const [dx] = grad(y, [input], { dy });
  return { y, dx: dx ?? Tensor.zeros(x.shape, x.dtype) };
}

/**
 * y = f(x) and J v, the Jacobian-vector product, through reverse mode twice: uᵀJ is linear in u,
 * so its own vector-Jacobian product with v is J v.
 */
export function jvp(f: (x: Tensor) => Tensor, x: Tensor, v: Tensor): { y: Tensor; dy: Tensor } {
  const input = leaf(x);
  const y = f(input);
  const u = Tensor.zeros(y.shape, y.dtype).tracked();
  const [pulled] = grad(y, [input], { dy: u, createGraph: true });
  const dy = pulled && isTracked(pulled) ? grad(pulled, [u], { dy: v })[0] : null;
  return { y, dy: dy ?? Tensor.zeros(y.shape, y.dtype) };
}

/** The full Jacobian ∂f/∂x as a matrix (size of f(x), size of x). One backward pass per output: for tests and certificates. */
export function jacobian(f: (x: Tensor) => Tensor, x: Tensor): Tensor {
  const input = leaf(x);
  const y = f(input);
  const rows = Tensor.zeros([y.size, x.size], x.dtype);
  for (let i = 0; i < y.size; i++) {
    const dy = Tensor.zeros(y.shape, y.dtype);
    dy.data[i] = 1;
    const [row] = grad(y, [input], { dy });
    if (row) rows.data.set(row.data, i * x.size);
  }
  return rows;
}
