import { isTracked, noGrad, recorder } from "./op.ts";
import { addInto } from "./ops/add.ts";
import { Scope } from "./scope.ts";
import { sameShape, showShape } from "./shape.ts";
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
  const { dy = oneLike(y), createGraph = false } = options;
  if (!sameShape(dy.shape, y.shape)) {
    throw new Error(`grad: expected dy of y's shape ${showShape(y.shape)}, got ${showShape(dy.shape)}`);
  }
  const { visits, order } = history(y, xs);
  // The gradient's own history and plans need all of its tensors. Otherwise those that are used up are freed at once:
  // the next ones take their place, which is still in the cache.
  if (createGraph) walkBack(order, visits, dy);
  else if (recorder.steps) noGrad(() => walkBack(order, visits, dy));
  else noGrad(() => walkBackFreeing(order, visits, dy));
  return xs.map((x) => visits.get(x)?.gradient ?? null);
}

function oneLike(y: Tensor): Tensor {
  if (y.size !== 1) throw new Error(`grad: expected a scalar or a dy, got y of shape ${showShape(y.shape)}`);
  return Tensor.ones(y.shape, y.dtype);
}

/** What is known of a tensor on the way back. */
interface Visit {
  readonly tensor: Tensor;
  /** Its gradient is asked for. */
  readonly wanted: boolean;
  /** Wanted, or computed from a tensor that is. */
  needed: boolean;
  /** Sum of the contributions so far. */
  gradient: Tensor | null;
}

type Visits = ReadonlyMap<Tensor, Visit>;

/** How y was computed: its tracked ancestors, inputs before outputs, y last. No recursion: chains can be long. */
function history(y: Tensor, xs: readonly Tensor[]): { visits: Visits; order: readonly Visit[] } {
  const visits = new Map<Tensor, Visit>();
  const order: Visit[] = [];
  for (const x of xs) visits.set(x, { tensor: x, wanted: true, needed: true, gradient: null });
  const seen = new Set<Tensor>([y]);
  const stack: { tensor: Tensor; needed: boolean; next: number }[] = [{ tensor: y, needed: false, next: 0 }];
  while (stack.length > 0) {
    const top = stack[stack.length - 1];
    const inputs = top.tensor.node?.inputs;
    if (inputs && top.next < inputs.length) {
      const input = inputs[top.next++];
      if (isTracked(input) && !seen.has(input)) {
        seen.add(input);
        stack.push({ tensor: input, needed: false, next: 0 });
      }
      continue;
    }
    stack.pop();
    let visit = visits.get(top.tensor);
    if (!visit) {
      const needed = inputs?.some((input) => visits.get(input)?.needed) ?? false;
      visit = { tensor: top.tensor, wanted: false, needed, gradient: null };
      visits.set(top.tensor, visit);
    }
    order.push(visit);
  }
  return { visits, order };
}

/** Gives the inputs of every needed tensor their gradients, keeping all tensors made on the way. */
function walkBack(order: readonly Visit[], visits: Visits, dy: Tensor): void {
  order[order.length - 1].gradient = dy;
  for (let at = order.length - 1; at >= 0; at--) {
    contributions(order[at], visits, (part, target) => {
      target.gradient = target.gradient ? target.gradient.add(part) : part;
    });
  }
}

/** The same; of the tensors made on the way only the wanted gradients remain. */
function walkBackFreeing(order: readonly Visit[], visits: Visits, dy: Tensor): void {
  // Each visit holds a tensor object of its own, so that it can be disposed; blocks may be shared.
  order[order.length - 1].gradient = dy.detach();
  for (let at = order.length - 1; at >= 0; at--) {
    const visit = order[at];
    {
      using scope = new Scope();
      contributions(visit, visits, (part, target) => {
        const sum = target.gradient;
        if (!sum) target.gradient = scope.keep(part.detach());
        else if (sum.block.owners === 1) addInto(sum, part);
        else {
          target.gradient = scope.keep(sum.add(part));
          sum.dispose();
        }
      });
    }
    if (visit.wanted) continue;
    visit.gradient?.dispose();
    visit.gradient = null;
  }
}

/** Calls `take` with what a tensor's gradient contributes to the gradient of each of its inputs that needs one. */
function contributions(
  { tensor, needed, gradient }: Visit,
  visits: Visits,
  take: (part: Tensor, target: Visit) => void,
): void {
  if (!gradient || !needed || !tensor.node) return;
  const { op, inputs, attrs } = tensor.node;
  const targets = inputs.map((input) => visits.get(input));
  const wants = targets.map((target) => target?.needed ?? false);
  const parts = op.backward(gradient, inputs, tensor, attrs, wants);
  for (let i = 0; i < inputs.length; i++) {
    const [part, target] = [parts[i], targets[i]];
    if (!part || !target?.needed) continue;
    if (!sameShape(part.shape, inputs[i].shape)) {
      const shapes = `${showShape(part.shape)} for input ${i} ${showShape(inputs[i].shape)}`;
      throw new Error(`grad: ${op.name} returned ${shapes}`);
    }
    take(part, target);
  }
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
