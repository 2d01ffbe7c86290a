import { isTracked, noGrad, type Shared, type Step } from "./op.ts";
import { capturing, type Recorder } from "./recorder.ts";
import { Scope, scopes, unscoped } from "./scope.ts";
import { showShape } from "./shape.ts";
import { type Block, Tensor } from "./tensor.ts";

/**
 * Writes down what a body computes, for a plan. The body runs on tensors of its own, which live and die by its scopes as
 * in any other code. The plan gets doubles of them: what depends on inputs or variables becomes a tensor over a block
 * without a place yet; what else is read, a constant or a variable, becomes one more owner of the same block.
 */
export class Capture implements Recorder {
  /** The calls to replay, on the plan's tensors. */
  readonly steps: Step[] = [];
  /** The plan's tensor for each of the body's that it needs; those over blocks of the body's keep them alive. */
  readonly #doubles = new Map<Tensor, Tensor>();
  /** For each block of the body's that changes from replay to replay, the plan's. */
  readonly #planned = new Map<Block, Block>();
  readonly #own: { readonly tensors: Tensor[]; readonly blocks: Block[] } = { tensors: [], blocks: [] };
  readonly #variables: ReadonlySet<Block>;
  readonly #shared = new Set<Shared>();
  /** Whether a gradient may be asked for through something that the body reads. */
  tracked = false;

  constructor(variables: readonly Tensor[]) {
    this.#variables = new Set(variables.map((x) => x.block));
  }

  /** Runs `body` once on copies of the examples: the plan's inputs and outputs. */
  trace(
    body: (...inputs: Tensor[]) => Tensor | readonly Tensor[],
    examples: readonly Tensor[],
  ): { inputs: Tensor[]; outputs: Tensor[] } {
    using scope = new Scope();
    const given = examples.map((x) => Tensor.from(x.data, x.shape, x.dtype));
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

  /** Blocks whose content differs from replay to replay. */
  get changing(): ReadonlySet<Block> {
    return new Set([...this.#variables, ...this.#own.blocks]);
  }

  run(step: Step, kernel: () => void): void {
    for (const x of step.ins) refuseOthers(x);
    capturing.recorder = null; // a kernel may look at numbers
    try {
      kernel();
    } finally {
      capturing.recorder = this;
    }
    const { op, out, ins, attrs } = step;
    // What never changes from replay to replay is not computed again: it is a constant like any other.
    if (!op.volatile && !ins.some((x) => this.#changes(x))) return;
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
    return this.#planned.has(x.block) || this.#variables.has(x.block);
  }

  #place(x: Tensor): Tensor {
    const block = { address: -1, bytes: x.block.bytes, owners: 0, planned: true };
    this.#planned.set(x.block, block);
    this.#own.blocks.push(block);
    return this.#double(x);
  }

  /** The plan's tensor for one of the body's. */
  #double(x: Tensor): Tensor {
    let double = this.#doubles.get(x);
    if (!double) {
      const planned = this.#planned.get(x.block);
      if (!planned) this.tracked ||= isTracked(x);
      double = planned ? Tensor.over(planned, x.shape, x.dtype) : unscoped(() => x.detach());
      this.#doubles.set(x, double);
      this.#own.tensors.push(double);
    }
    return double;
  }

  /** Lets go of all that the plan reads, and makes its own results unusable. */
  dispose(): void {
    for (const tensor of this.#own.tensors) tensor.dispose();
    for (const block of this.#own.blocks) block.address = -1;
    for (const shared of this.#shared) shared.letGo();
  }
}

/** Another plan's result is not this one's to keep alive, and changes when that plan runs. */
function refuseOthers(x: Tensor): Tensor {
  if (!x.block.planned) return x;
  throw new Error(
    `Plan: the body reads a result ${showShape(x.shape)} of another plan: make it an input, or copy it first`,
  );
}

function kindOf(x: unknown): string {
  if (typeof x !== "object" || x === null) return String(x);
  return x.constructor?.name ?? "an object";
}
