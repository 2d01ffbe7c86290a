import type { Tensor } from "./tensor.ts";

/**
 * The innermost open scope; tensors are made in it. While a plan is captured, `capturing` is its scope: it takes what
 * other scopes would free, since the plan's calls refer to it.
 */
export const scopes: { current: Scope | null; capturing: Scope | null } = { current: null, capturing: null };

/**
 * Frees what is made while it is open:
 *
 *     using scope = new Scope();
 *     const y = scope.keep(model.forward(x));   // y outlives the scope, everything else is freed
 *
 * Put one around a training step or one policy call. Scopes nest and are never held across `await`.
 */
export class Scope implements Disposable {
  readonly #parent: Scope | null = scopes.current;
  readonly #tensors: Tensor[] = [];

  constructor() {
    scopes.current = this;
  }

  /** Hands the tensor to the enclosing scope (or to none), without its history. */
  keep(tensor: Tensor): Tensor {
    tensor.node = null;
    tensor.moveTo(this.#parent);
    return tensor;
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
    if (scopes.current !== this)
      throw new Error("Scope: scopes must end in the opposite order of their start");
    scopes.current = this.#parent;
    const heir = scopes.capturing === this ? null : scopes.capturing;
    while (this.#tensors.length > 0) {
      const tensor = this.#tensors[this.#tensors.length - 1];
      if (heir) tensor.moveTo(heir);
      else tensor.dispose();
    }
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

/** Runs `body` in a scope of its own and keeps the tensor it returns. */
export function tidy(body: () => Tensor): Tensor {
  using scope = new Scope();
  return scope.keep(body());
}
