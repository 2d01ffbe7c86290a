/** What a scope frees: tensors. */
export interface Scoped {
  /** Where in its scope's list it stands; scopes write it. */
  place: number;
  /** The scope that frees it, or null. */
  readonly scope: Scope | null;
  /** Throws when it was freed already. */
  readonly storage: unknown;
  /** Moves it to another scope, or out of all scopes; its history ends. */
  moveTo(scope: Scope | null): void;
  dispose(): void;
}

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
  readonly #tensors: Scoped[] = [];
  #ended = false;

  constructor() {
    scopes.current = this;
  }

  /**
   * Hands the tensor to the enclosing scope (or to none). Its history ends here, since the tensors that it leads to are
   * freed: `grad` through it throws. A tensor that outlives the scope anyway stays as it is.
   */
  keep<T extends Scoped>(tensor: T): T {
    if (this.#ended) throw new Error("Scope.keep: the scope has ended");
    if (this.#frees(tensor)) tensor.moveTo(this.#parent);
    return tensor;
  }

  /** Whether the tensor belongs to this scope or to one inside it. Throws when it was freed already. */
  #frees(tensor: Scoped): boolean {
    tensor.storage;
    let scope = tensor.scope;
    while (scope && scope !== this) scope = scope.#parent;
    return scope === this;
  }

  /** Called by tensors. */
  add(tensor: Scoped): void {
    tensor.place = this.#tensors.push(tensor) - 1;
  }

  /** Called by tensors. The last one takes the place that becomes free. */
  remove(tensor: Scoped): void {
    const last = this.#tensors.pop() as Scoped;
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
