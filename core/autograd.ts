import { checkFunction, checkOptions } from "./check.ts";
import { onDevice } from "./device.ts";
import { isTracked, noGrad } from "./op.ts";
import { addInto } from "./ops/add-into.ts";
import { concat } from "./ops/concat.ts";
import { capturing, refuseInCapture } from "./recorder.ts";
import { Scope } from "./scope.ts";
import { sameShape, showShape } from "./shape.ts";
import { CUT, checkTensor, checkTensors, Tensor } from "./tensor.ts";
import { tidy } from "./tidy.ts";

export interface GradOptions {
  /** Gradient of whatever follows y, of y's shape; 1 for a scalar y. */
  readonly dy?: Tensor;
  /** Record the gradient's own history, so that it has gradients too. */
  readonly createGraph?: boolean;
}

/**
 * Gradients of y with respect to each of `xs`: vector-Jacobian products dyᵀ ∂y/∂x, by walking y's history backwards.
 * null where y does not depend on x; all of them where y is a constant, such as the log-determinant of a permutation.
 * Throws if y is not a scalar and `dy` is not given, and for an x without a gradient when part of y's history has been
 * cut: a tensor kept from a scope or freed has none any more.
 */
export function grad(y: Tensor, xs: readonly Tensor[], options: GradOptions = {}): (Tensor | null)[] {
  checkOptions(options, ["dy", "createGraph"], "grad");
  const { createGraph = false } = options;
  const { order, wanted, cut, dy } = start(y, xs, options.dy, "grad");
  // The gradient's own history needs all of its tensors. Otherwise those that are used up are freed at once: the next
  // ones take their place, which is still in the cache.
  onDevice(y.device, () => {
    if (createGraph) walkBack(order, dy);
    else noGrad(() => walkBackFreeing(order, dy));
  });
  if (cut) checkFound(wanted, cut, "grad", ({ gradient }) => gradient !== null);
  return wanted.map((visit) => visit.gradient);
}

/**
 * The same gradients one by one: `take` gets each with its place in `xs` as soon as nothing more comes to it, in no
 * order that is promised, and it is freed afterwards. So the gradients of a model that fills the memory need not be
 * there together. Nothing on the way back reads x any more by then: `take` may update it (arXiv:2306.09782). It is not
 * called where y does not depend on x.
 */
export function eachGradient(
  y: Tensor,
  xs: readonly Tensor[],
  take: (gradient: Tensor, at: number) => void,
  options: Pick<GradOptions, "dy"> = {},
): void {
  refuseInCapture("eachGradient", "return what grad gives");
  checkFunction(take, "eachGradient", "take");
  checkOptions(options, ["dy"], "eachGradient");
  using _ = new Scope();
  const { order, wanted, cut, dy } = start(y, xs, options.dy, "eachGradient");
  /** Tensors on the way that are still to give something to the gradient of each. */
  const left = new Map<Visit, number>();
  for (const { inputs } of order)
    for (const input of new Set(inputs)) left.set(input, (left.get(input) ?? 0) + 1);
  const last = order.at(-1);
  if (cut) checkFound(wanted, cut, "eachGradient", (visit) => visit === last || left.has(visit));
  const give = (visit: Visit): void => {
    wanted.forEach((one, at) => {
      if (one === visit && visit.gradient) tidy(() => take(visit.gradient as Tensor, at));
    });
  };
  const free = (visit: Visit): void => {
    visit.gradient?.dispose();
    visit.gradient = null;
  };
  const passed = (visit: Visit): void => {
    for (const input of new Set(visit.inputs)) {
      const others = (left.get(input) as number) - 1;
      left.set(input, others);
      if (others > 0 || !input.wanted) continue;
      give(input);
      if (!input.tensor.node) free(input); // else it is to be passed on
    }
    if (!visit.wanted) return;
    if (visit === last) give(visit);
    free(visit);
  };
  onDevice(y.device, () => noGrad(() => walkBackFreeing(order, dy, passed)));
}

/** What a walk back from y starts with. */
function start(
  y: Tensor,
  xs: readonly Tensor[],
  given: Tensor | undefined,
  who: string,
): ReturnType<typeof history> & { readonly dy: Tensor } {
  checkTensor(y, who, "y to be a tensor");
  checkTensors(xs, who);
  const dy = given ?? oneLike(y, who);
  checkTensor(dy, who, "dy to be a tensor");
  if (dy.dtype !== y.dtype || !sameShape(dy.shape, y.shape)) {
    const [expected, got] = [y, dy].map((x) => `${x.dtype} ${showShape(x.shape)}`);
    throw new Error(`${who}: expected dy to be like y, ${expected}, got ${got}`);
  }
  return { ...history(y, xs), dy };
}

/** Throws for a gradient that is not found when y's history is incomplete: null would claim that there is none. */
function checkFound(
  wanted: readonly Visit[],
  cut: Tensor,
  who: string,
  found: (visit: Visit) => boolean,
): void {
  const at = wanted.findIndex((visit) => !found(visit));
  if (at < 0) return;
  const [own, source] = [wanted[at].tensor, cut].map(({ shape }) => showShape(shape));
  throw new Error(
    `${who}: no gradient for tensor ${at}, ${own}: y was computed from a tensor ${source} whose history was cut by ` +
      `Scope.keep, tidy, dispose or a plan. Call ${who} before that, or detach() what shall be a constant`,
  );
}

function oneLike(y: Tensor, who: string): Tensor {
  if (y.size !== 1)
    throw new Error(`${who}: expected a scalar or a dy, got y of shape ${showShape(y.shape)}`);
  return onDevice(y.device, () => Tensor.ones(y.shape, y.dtype));
}

/** What the backward pass knows of a tensor. */
interface Visit {
  readonly tensor: Tensor;
  /** Its gradient is asked for. */
  readonly wanted: boolean;
  /** Wanted, or computed from a tensor that is. */
  needed: boolean;
  /** The visits of the tensors it was computed from; complete once `history` has been through them. */
  readonly inputs: Visit[];
  /** Sum of the contributions so far. */
  gradient: Tensor | null;
}

/**
 * How y was computed from `xs`: every tensor between them, inputs before outputs; y, if it depends on any, is the last.
 * `cut` is a tensor on the way whose history is gone.
 */
function history(
  y: Tensor,
  xs: readonly Tensor[],
): { order: readonly Visit[]; wanted: readonly Visit[]; cut: Tensor | null } {
  const visits = new Map<Tensor, Visit>();
  const visit = (tensor: Tensor, wanted: boolean): Visit => {
    let known = visits.get(tensor);
    if (!known) {
      known = { tensor, wanted, needed: wanted, inputs: [], gradient: null };
      visits.set(tensor, known);
    }
    return known;
  };
  const wanted = xs.map((x) => visit(x, true));
  const order: Visit[] = [];
  let cut: Tensor | null = null;
  const stack = [visit(y, false)]; // no recursion: chains can be long
  while (stack.length > 0) {
    const top = stack[stack.length - 1];
    if (top.tensor.node === CUT && !top.tensor.requiresGrad) cut = top.tensor; // a marked leaf needs no history
    const sources = top.tensor.node?.inputs ?? [];
    if (top.inputs.length < sources.length) {
      const input = visit(sources[top.inputs.length], false);
      top.inputs.push(input);
      if (input.tensor.node && input.inputs.length === 0) stack.push(input);
    } else {
      stack.pop();
      for (const input of top.inputs) if (input.needed) top.needed = true;
      if (top.needed) order.push(top);
    }
  }
  return { order, wanted, cut };
}

/** Gives the inputs of every needed tensor their gradients, keeping all tensors made on the way. */
function walkBack(order: readonly Visit[], dy: Tensor): void {
  for (let at = order.length - 1; at >= 0; at--) {
    if (at === order.length - 1) order[at].gradient = dy;
    contributions(order[at], (part, target) => {
      target.gradient = target.gradient ? target.gradient.add(part) : part;
    });
  }
}

/**
 * The same; of the tensors made on the way only the wanted gradients remain. `passed` is told of each visit that is
 * done.
 */
function walkBackFreeing(
  order: readonly Visit[],
  dy: Tensor,
  passed: (visit: Visit) => void = () => {},
): void {
  for (let at = order.length - 1; at >= 0; at--) {
    const visit = order[at];
    // Each visit holds a tensor object of its own, so that it can be disposed of; storages may be shared.
    if (at === order.length - 1) visit.gradient = dy.detach();
    addContributions(visit);
    passed(visit);
    if (visit.wanted) continue;
    visit.gradient?.dispose();
    visit.gradient = null;
  }
}

/**
 * Adds what a tensor's gradient contributes to its inputs' gradients; nothing else that was made for it remains. Sums
 * grow in place, but not while a plan is captured: a plan has no updates.
 */
function addContributions(visit: Visit): void {
  using scope = new Scope();
  contributions(visit, (part, target) => {
    const sum = target.gradient;
    if (!sum) target.gradient = scope.keep(part.detach());
    else if (!capturing.recorder && sum.storage.owners === 1) addInto(sum, part);
    else {
      target.gradient = scope.keep(sum.add(part));
      sum.dispose();
    }
  });
}

/** Calls `take` with what a tensor's gradient contributes to the gradient of each of its inputs that needs one. */
function contributions(
  { tensor, inputs, gradient }: Visit,
  take: (part: Tensor, target: Visit) => void,
): void {
  if (!gradient || !tensor.node) return;
  const { op, inputs: sources, attrs } = tensor.node;
  const wants = inputs.map((input) => input.needed);
  const parts = op.backward(gradient, sources, tensor, attrs, wants);
  for (let i = 0; i < inputs.length; i++) {
    const part = parts[i];
    if (!part || !wants[i]) continue;
    if (!sameShape(part.shape, sources[i].shape)) {
      const [expected, got] = [sources[i], part].map(({ shape }) => showShape(shape));
      throw new Error(`${op.name}.backward: expected a gradient ${expected} for input ${i}, got ${got}`);
    }
    take(part, inputs[i]);
  }
}

const zerosLike = (x: Tensor, shape = x.shape): Tensor =>
  onDevice(x.device, () => Tensor.zeros(shape, x.dtype));

/** f at a fresh leaf with x's numbers that gradients are wanted for. */
function evaluate(f: (x: Tensor) => Tensor, x: Tensor, who: string): { input: Tensor; y: Tensor } {
  checkFunction(f, who, "f");
  checkTensor(x, who, "x to be a tensor");
  const input = x.detach().tracked();
  const y = f(input);
  checkTensor(y, who, "f to return a tensor");
  return { input, y };
}

/** y = f(x) and dyᵀ J, the vector-Jacobian product. */
export function vjp(f: (x: Tensor) => Tensor, x: Tensor, dy: Tensor): { y: Tensor; dx: Tensor } {
  const { input, y } = evaluate(f, x, "vjp");
  const [dx] = grad(y, [input], { dy });
  return { y, dx: dx ?? zerosLike(x) };
}

/**
 * y = f(x) and J v, the Jacobian-vector product, through reverse mode twice: uᵀJ is linear in u,
 * so its own vector-Jacobian product with v is J v.
 */
export function jvp(f: (x: Tensor) => Tensor, x: Tensor, v: Tensor): { y: Tensor; dy: Tensor } {
  const { input, y } = evaluate(f, x, "jvp");
  const u = zerosLike(y).tracked();
  const [pulled] = grad(y, [input], { dy: u, createGraph: true });
  const dy = pulled && isTracked(pulled) ? grad(pulled, [u], { dy: v })[0] : null;
  return { y, dy: dy ?? zerosLike(y) };
}

/**
 * The full Jacobian ∂f/∂x as a matrix (size of f(x), size of x). One backward pass per output: for tests and
 * certificates.
 */
export function jacobian(f: (x: Tensor) => Tensor, x: Tensor): Tensor {
  const { input, y } = evaluate(f, x, "jacobian");
  if (y.size === 0) return zerosLike(x, [0, x.size]);
  const rows = Array.from({ length: y.size }, (_, i) => {
    const unit = new Float64Array(y.size);
    unit[i] = 1;
    const dy = onDevice(y.device, () => Tensor.from(unit, y.shape, y.dtype));
    const [row] = grad(y, [input], { dy });
    return (row ?? zerosLike(x)).reshape([1, x.size]);
  });
  return concat(rows, 0);
}
