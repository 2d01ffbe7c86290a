import { type Device, GONE, type Promised, type Shared, type Step, type Storage } from "./device.ts";
import type { DType } from "./dtype.ts";
import { isTracked, noGrad, type Op } from "./op.ts";
import { capturing, type Recorder } from "./recorder.ts";
import { Scope, scopes, unscoped } from "./scope.ts";
import { showShape } from "./shape.ts";
import { Tensor } from "./tensor.ts";

/**
 * Writes down what a body computes, for a plan. The body runs on tensors of its own, which live and die by its scopes
 * as in any other code; those that depend on inputs or variables have no numbers, and nothing is computed. Of each of
 * these the plan gets a double, over a storage of its own that has no room yet. What else is read, constants and
 * variables, keeps its storage, and the plan becomes one more owner of that.
 */
export class Capture implements Recorder {
  /** The calls to replay, on the plan's tensors. */
  readonly steps: Step<Tensor>[] = [];
  /** For each tensor of the body that the plan needs, the plan's own: its double, or another owner of its storage. */
  readonly #doubles = new Map<Tensor, Tensor>();
  /** For each storage in the body whose numbers change from replay to replay, the plan's own. */
  readonly #planned = new Map<Promised, Promised>();
  readonly #own: { readonly tensors: Tensor[]; readonly storages: Storage[] } = { tensors: [], storages: [] };
  readonly #variables: ReadonlySet<Storage>;
  readonly #shared = new Set<Shared>();
  /** Whether a gradient may be asked for through something that the body reads. */
  tracked = false;

  readonly #device: Device;

  /** Of a body that computes on that device. */
  constructor(device: Device, variables: readonly Tensor[]) {
    this.#device = device;
    this.#variables = new Set(variables.map((x) => x.storage));
  }

  /** Runs `body` once on tensors like the examples, without numbers: the plan's inputs and outputs. */
  trace(
    body: (...inputs: Tensor[]) => Tensor | readonly Tensor[],
    examples: readonly Tensor[],
  ): { inputs: Tensor[]; outputs: Tensor[] } {
    using scope = new Scope();
    const given = examples.map(({ size, dtype, shape, storage }) => {
      if (storage.gone) throw new Error(`Tensor ${showShape(shape)}: ${GONE}`);
      return Tensor.over(this.#promised(size, dtype), shape);
    });
    const inputs = given.map((x) => this.#double(x));
    capturing.recorder = this;
    try {
      const result = noGrad(() => body(...given));
      if (scopes.current !== scope)
        throw new Error("Plan: the body ended with a scope of its own still open");
      const results: readonly unknown[] = Array.isArray(result) ? result : [result];
      const outputs = results.map((x) => {
        if (x instanceof Tensor) return this.#double(this.#refuseOthers(x));
        throw new Error(
          `Plan: expected a body that returns a tensor or an array of tensors, got ${kindOf(x)}`,
        );
      });
      return { inputs, outputs };
    } finally {
      capturing.recorder = null;
      while (scopes.current && scopes.current !== scope) scopes.current[Symbol.dispose]();
      // The body's tensors are not needed any more; those that it handed out have no numbers.
      for (const storage of this.#planned.keys()) storage.takeAway();
      this.#doubles.clear();
      this.#planned.clear();
    }
  }

  /** Storages whose content differs from replay to replay. */
  get changing(): ReadonlySet<Storage> {
    return new Set([...this.#variables, ...this.#own.storages]);
  }

  promise(
    op: Op<unknown>,
    ins: readonly Tensor[],
    device: Device,
    size: number,
    dtype: DType,
  ): Promised | null {
    for (const x of ins) this.#refuseOthers(x);
    // What never changes from replay to replay is not computed again: it is a constant like any other.
    if (!op.volatile && !ins.some((x) => this.#changes(x))) return null;
    if (device !== this.#device)
      throw new Error(
        `Plan: expected a body that computes on ${this.#device.name}, got ${op.name} on ${device.name}`,
      );
    return this.#promised(size, dtype);
  }

  record({ op, out, ins, attrs }: Step<Tensor>): void {
    this.steps.push({ op, out: this.#double(out), ins: ins.map((x) => this.#double(x)), attrs });
    const shared = (op as Op<unknown>).shared?.(attrs);
    if (!shared || this.#shared.has(shared)) return;
    shared.retain();
    this.#shared.add(shared);
  }

  look(tensor: Tensor): void {
    if (!this.#changes(tensor)) return;
    throw new Error(
      `Plan: the body reads or writes the numbers of a tensor ${showShape(tensor.shape)} that changes from replay to ` +
        "replay, which would freeze those of the examples: compute with ops, or do it outside the plan",
    );
  }

  #changes(x: Tensor): boolean {
    return this.#planned.has(x.storage as Promised) || this.#variables.has(x.storage);
  }

  /** A storage for a result in the body; the plan's has one of its own. */
  #promised(size: number, dtype: DType): Promised {
    const [storage, planned] = [0, 1].map(() => this.#device.promise(size, dtype));
    this.#planned.set(storage, planned);
    this.#own.storages.push(planned);
    return storage;
  }

  /** The plan's tensor for one of the body's. */
  #double(x: Tensor): Tensor {
    let double = this.#doubles.get(x);
    if (!double) {
      const planned = this.#planned.get(x.storage as Promised);
      if (!planned) this.tracked ||= isTracked(x);
      double = unscoped(() => (planned ? Tensor.over(planned, x.shape) : x.detach()));
      this.#doubles.set(x, double);
      this.#own.tensors.push(double);
    }
    return double;
  }

  /** Another plan's result is not this one's to keep alive, and changes when that plan runs. */
  #refuseOthers(x: Tensor): Tensor {
    if (!x.storage.planned || this.#planned.has(x.storage as Promised)) return x;
    throw new Error(
      `Plan: the body reads a result ${showShape(x.shape)} of another plan: make it an input, or copy it first`,
    );
  }

  /** Lets go of all that the plan reads. */
  dispose(): void {
    for (const tensor of this.#own.tensors) tensor.dispose();
    for (const shared of this.#shared) shared.letGo();
  }
}

function kindOf(x: unknown): string {
  if (typeof x !== "object" || x === null) return String(x);
  return x.constructor?.name ?? "an object";
}
