import { CUT, Tensor } from "./tensor.ts";

/** The innermost open scope; tensors are made in it. */
export const scopes: { current: Scope | null } = { current: null };

/**
 * Frees what is made while it is open:
 *
 *     using scope = new Scope();
 *     const y = scope.keep(model.forward(x));   // y outlives the scope, everything else is freed
 *
 * Scopes nest and are never held across `await`. In a loop use `tidy`: TypeScript runners such as tsx translate `using`
 * so that, once an error was caught inside the loop, every later turn throws it again.
 */
export class Scope implements Disposable {
  readonly #parent: Scope | null = scopes.current;
  readonly #tensors: Tensor[] = [];
  #ended = false;

  constructor() {
    scopes.current = this;
  }

  /**
   * Hands the tensor to the enclosing scope (or to none). Its history ends here, since the tensors that it leads to are
   * freed: `grad` through it throws. A tensor that outlives the scope anyway stays as it is.
   */
  keep<T extends Tensor>(tensor: T): T {
    if (this.#ended) throw new Error("Scope.keep: the scope has ended");
    if (!this.#frees(tensor)) return tensor;
    if (tensor.node) tensor.node = CUT;
    tensor.moveTo(this.#parent);
    return tensor;
  }

  /** Whether the tensor belongs to this scope or to one inside it. Throws when it was freed already. */
  #frees(tensor: Tensor): boolean {
    tensor.block;
    let scope = tensor.scope;
    while (scope && scope !== this) scope = scope.#parent;
    return scope === this;
  }

  /** Called by tensors. */
  add(tensor: Tensor): void {
    tensor.place = this.#tensors.push(tensor) - 1;
  }

  /** Called by tensors. The last one takes the place that becomes free. */
  remove(tensor: Tensor): void {
    const last = this.#tensors.pop() as Tensor;
    if (last === tensor) return;
    this.#tensors[tensor.place] = last;
    last.place = tensor.place;
  }

  [Symbol.dispose](): void {
    if (this.#ended) return;
    if (scopes.current !== this)
      throw new Error("Scope: scopes must end in the opposite order of their start");
    this.#ended = true;
    scopes.current = this.#parent;
    while (this.#tensors.length > 0) this.#tensors[this.#tensors.length - 1].dispose();
  }
}

/** Runs `make` with no scope open: what it makes lives until disposed, such as parameters and optimiser state. */
export function unscoped<T>(make: () => T): T {
  const open = scopes.current;
  scopes.current = null;
  try {
    return make();
  } finally {
    scopes.current = open;
  }
}

/**
 * Runs `body` in a scope of its own and frees what it made, except the tensors that it returns: one, or several in an
 * array or a plain object. They are kept as by `Scope.keep`. The form for the body of a loop:
 *
 *     for (const batch of batches) {
 *       const loss = tidy(() => step(batch).item());
 *     }
 */
export function tidy<T>(body: () => T): T {
  using scope = new Scope();
  const result = body();
  keepAll(scope, result);
  return result;
}

function keepAll(scope: Scope, value: unknown): void {
  if (value instanceof Tensor) scope.keep(value);
  else if (value instanceof Promise) {
    throw new Error(
      "tidy: expected a body that is done when it returns, got a promise: scopes never span await",
    );
  } else if (ArrayBuffer.isView(value) && value.buffer instanceof SharedArrayBuffer) {
    throw new Error(
      "tidy: expected no view of the heap (.data), which would show other numbers: return toArray()",
    );
  } else if (Array.isArray(value)) for (const each of value) keepAll(scope, each);
  else if (isPlainObject(value)) for (const each of Object.values(value)) keepAll(scope, each);
}

const isPlainObject = (value: unknown): value is object =>
  typeof value === "object" && value !== null && Object.getPrototypeOf(value) === Object.prototype;
