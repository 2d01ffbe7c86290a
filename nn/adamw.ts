import {
  adamWStep,
  type HostTensor,
  type LazyTensor,
  setHost,
  showShape,
  Tensor,
  toHost,
  unscoped,
} from "../core/index.ts";

export interface AdamWOptions {
  /** Decay rates of the running means of the gradient and of its square. */
  readonly betas: readonly [number, number];
  readonly eps: number;
  readonly weightDecay: number;
  /** Which parameters are decayed, by name. All unless given. */
  readonly decays?: (name: string) => boolean;
}

interface Slot {
  readonly name: string;
  readonly parameter: Tensor;
  readonly decay: number;
  /** Running means of the gradient and of its square. */
  readonly m: Tensor;
  readonly v: Tensor;
  /** Updates so far: a parameter that had no gradient in a step was not updated. */
  steps: number;
}

/**
 * Adam with decoupled weight decay (arXiv:1711.05101, algorithm 2). At a parameter's n-th update with gradient g:
 *   p ← p (1 − lr λ)    m ← β₁ m + (1 − β₁) g    v ← β₂ v + (1 − β₂) g²
 *   p ← p − lr/(1 − β₁ⁿ) · m / (√v / √(1 − β₂ⁿ) + ε)
 */
export class AdamW {
  readonly #slots: readonly Slot[];
  readonly #options: AdamWOptions;

  constructor(parameters: readonly (readonly [name: string, parameter: Tensor])[], options: AdamWOptions) {
    this.#options = options;
    this.#slots = parameters.map(([name, parameter]) => ({
      name,
      parameter,
      decay: (options.decays?.(name) ?? true) ? options.weightDecay : 0,
      m: unscoped(() => Tensor.zeros(parameter.shape, parameter.dtype)),
      v: unscoped(() => Tensor.zeros(parameter.shape, parameter.dtype)),
      steps: 0,
    }));
  }

  /** The parameters in the order in which `step` takes their gradients. */
  get parameters(): Tensor[] {
    return this.#slots.map((slot) => slot.parameter);
  }

  /** Names of the decayed and of the undecayed parameters. */
  get groups(): { readonly decay: string[]; readonly noDecay: string[] } {
    const named = (decayed: boolean): string[] =>
      this.#slots.filter(({ decay }) => decay > 0 === decayed).map(({ name }) => name);
    return { decay: named(true), noDecay: named(false) };
  }

  /** One update in place. Parameters without a gradient (null) are left alone, decay included. */
  step(gradients: readonly (Tensor | null)[], lr: number): void {
    if (gradients.length !== this.#slots.length)
      throw new Error(`AdamW: expected ${this.#slots.length} gradients, got ${gradients.length}`);
    gradients.forEach((gradient, i) => {
      if (gradient) this.#update(this.#slots[i], gradient, lr);
    });
  }

  #update(slot: Slot, gradient: Tensor, lr: number): void {
    const { parameter, decay } = slot;
    if (gradient.size !== parameter.size) {
      const [expected, got] = [showShape(parameter.shape), showShape(gradient.shape)];
      throw new Error(`AdamW: ${slot.name}: expected a gradient of shape ${expected}, got ${got}`);
    }
    const { betas, eps } = this.#options;
    adamWStep({
      parameter,
      gradient,
      firstMoment: slot.m,
      secondMoment: slot.v,
      learningRate: lr,
      ...{ beta1: betas[0], beta2: betas[1], eps, weightDecay: decay, step: ++slot.steps },
    });
  }

  /** What a later run needs to go on: `NAME.m`, `NAME.v` and `NAME.steps` for each parameter. */
  stateDict(): Map<string, HostTensor> {
    const dict = new Map<string, HostTensor>();
    for (const { name, m, v, steps } of this.#slots) {
      dict.set(`${name}.m`, toHost(m));
      dict.set(`${name}.v`, toHost(v));
      dict.set(`${name}.steps`, { dtype: "I64", shape: [], data: BigInt64Array.of(BigInt(steps)) });
    }
    return dict;
  }

  /** Goes on from what `stateDict` gave. Throws when an entry is missing or has another shape. */
  load(dict: ReadonlyMap<string, HostTensor | LazyTensor>): void {
    const entry = (name: string): HostTensor | LazyTensor => {
      const found = dict.get(name);
      if (!found) throw new Error(`AdamW.load: expected an entry ${name}, got none`);
      return found;
    };
    for (const slot of this.#slots) {
      setHost(slot.m, entry(`${slot.name}.m`), `AdamW.load: ${slot.name}.m`);
      setHost(slot.v, entry(`${slot.name}.v`), `AdamW.load: ${slot.name}.v`);
      const steps = entry(`${slot.name}.steps`);
      slot.steps = Number(("data" in steps ? steps.data : steps.read())[0]);
    }
  }

  /** Gives back the memory of the running means. */
  dispose(): void {
    for (const { m, v } of this.#slots) {
      m.dispose();
      v.dispose();
    }
  }
}
