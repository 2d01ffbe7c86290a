import type { Device, Shared, Step, Storage } from "./device.ts";
import { isTracked, noGrad, type Op } from "./op.ts";
import { capturing, type Recorder } from "./recorder.ts";
import { Scope, scopes, unscoped } from "./scope.ts";
import { showShape } from "./shape.ts";
import { Tensor } from "./tensor.ts";

/**
 * Writes down what a body computes, for a plan. The body runs on tensors of its own, which live and die by its scopes as
 * in any other code. The plan gets doubles of them: what depends on inputs or variables becomes a tensor over a
 * storage without room yet; what else is read, a constant or a variable, becomes one more owner of the same storage.
 */
export class Capture implements Recorder {
  /** The calls to replay, on the plan's tensors. */
  readonly steps: Step<Tensor>[] = [];
  /** The plan's tensor for each of the body's that it needs; those over storages of the body's keep them alive. */
  readonly #doubles = new Map<Tensor, Tensor>();
  /** For each storage of the body's that changes from replay to replay, the plan's. */
  readonly #planned = new Map<Storage, Storage>();
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

  /** Runs `body` once on copies of the examples: the plan's inputs and outputs. */
  trace(
    body: (...inputs: Tensor[]) => Tensor | readonly Tensor[],
    examples: readonly Tensor[],
  ): { inputs: Tensor[]; outputs: Tensor[] } {
    using scope = new Scope();
    const given = examples.map((x) => x.copy());
    const inputs = given.map((x) => this.#place(x));
    capturing.recorder = this;
    try {
      const result = noGrad(() => body(...given));
      if (scopes.current !== scope)
        throw new Error("Plan: the body ended with a scope of its own still open");
      const results: readonly unknown[] = Array.isArray(result) ? result : [result];
      const outputs = results.map((x) => {
        if (x instanceof Tensor) return this.#double(refuseOthers(x));
        throw new Error(
          `Plan: expected a body that returns a tensor or an array of tensors, got ${kindOf(x)}`,
        );
      });
      return { inputs, outputs };
    } finally {
      capturing.recorder = null;
      while (scopes.current && scopes.current !== scope) scopes.current[Symbol.dispose]();
      // The body's tensors are not needed any more.
      this.#doubles.clear();
      this.#planned.clear();
    }
  }

  /** Storages whose content differs from replay to replay. */
  get changing(): ReadonlySet<Storage> {
    return new Set([...this.#variables, ...this.#own.storages]);
  }

  run(step: Step<Tensor>, kernel: () => void): void {
    for (const x of step.ins) refuseOthers(x);
    capturing.recorder = null; // a kernel may look at numbers
    try {
      kernel();
    } finally {
      capturing.recorder = this;
    }
    const { out, ins, attrs } = step;
    const op = step.op as Op<unknown>;
    // What never changes from replay to replay is not computed again: it is a constant like any other.
    if (!op.volatile && !ins.some((x) => this.#changes(x))) return;
    if (step.out.device !== this.#device)
      throw new Error(
        `Plan: expected a body that computes on ${this.#device.name}, got ${step.op.name} on ${step.out.device.name}`,
      );
    this.steps.push({ op, out: this.#place(out), ins: ins.map((x) => this.#double(x)), attrs });
    const shared = op.shared?.(attrs);
    if (!shared || this.#shared.has(shared)) return;
    shared.retain();
    this.#shared.add(shared);
  }

  look(tensor: Tensor): void {
    if (!this.#changes(tensor)) return;
    throw new Error(
      `Plan: the body reads or writes the numbers of a tensor ${showShape(tensor.shape)} that changes from replay to replay, ` +
        "which would freeze those of the examples: compute with ops, or do it outside the plan",
    );
  }

  #changes(x: Tensor): boolean {
    return this.#planned.has(x.storage) || this.#variables.has(x.storage);
  }

  #place(x: Tensor): Tensor {
    const storage = this.#device.promise(x.storage);
    this.#planned.set(x.storage, storage);
    this.#own.storages.push(storage);
    return this.#double(x);
  }

  /** The plan's tensor for one of the body's. */
  #double(x: Tensor): Tensor {
    let double = this.#doubles.get(x);
    if (!double) {
      const planned = this.#planned.get(x.storage);
      if (!planned) this.tracked ||= isTracked(x);
      double = planned ? Tensor.over(planned, x.shape) : unscoped(() => x.detach());
      this.#doubles.set(x, double);
      this.#own.tensors.push(double);
    }
    return double;
  }

  /** Lets go of all that the plan reads. */
  dispose(): void {
    for (const tensor of this.#own.tensors) tensor.dispose();
    for (const shared of this.#shared) shared.letGo();
  }
}

/** Another plan's result is not this one's to keep alive, and changes when that plan runs. */
function refuseOthers(x: Tensor): Tensor {
  if (!x.storage.planned) return x;
  throw new Error(
    `Plan: the body reads a result ${showShape(x.shape)} of another plan: make it an input, or copy it first`,
  );
}

function kindOf(x: unknown): string {
  if (typeof x !== "object" || x === null) return String(x);
  return x.constructor?.name ?? "an object";
}
