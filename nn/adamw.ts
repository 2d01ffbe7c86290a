import {
  adamWStep,
  checkFinite,
  checkFunction,
  checkOptions,
  checkShare,
  checkTensor,
  type HostTensor,
  type LazyTensor,
  mismatchOf,
  onDevice,
  readHost,
  refuse,
  sameShape,
  setHost,
  showShape,
  Tensor,
  toHost,
  unscoped,
} from "../core/index.ts";

export interface AdamWOptions {
  /** Decay rates of the running means of the gradient and of its square; 0.9 and 0.999 unless given. */
  readonly betas?: readonly [number, number];
  /** Keeps the divisor from 0; 1e-8 unless given. */
  readonly eps?: number;
  /** λ; 0.01 unless given. */
  readonly weightDecay?: number;
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
 * The learning rate lr is given at each step.
 */
export class AdamW {
  readonly #slots: readonly Slot[];
  readonly #betas: readonly [number, number];
  readonly #eps: number;

  /** `parameters` as `module.namedParameters()` lists them. A tensor under several names is one parameter, the first. */
  constructor(
    parameters: readonly (readonly [name: string, parameter: Tensor])[],
    options: AdamWOptions = {},
  ) {
    checkOptions(options, ["betas", "eps", "weightDecay", "decays"], "AdamW");
    const { betas = [0.9, 0.999], eps = 1e-8, weightDecay = 0.01, decays = () => true } = options;
    if (!Array.isArray(betas) || betas.length !== 2) refuse("AdamW", "two betas", betas);
    for (const beta of betas) checkShare(beta, "AdamW", "betas");
    checkFinite(eps, "AdamW", "eps", 0);
    checkFinite(weightDecay, "AdamW", "weightDecay", 0);
    checkFunction(decays, "AdamW", "decays");
    this.#betas = betas;
    this.#eps = eps;
    this.#slots = [...byIdentity(parameters)].map(([parameter, name]) => ({
      name,
      parameter,
      decay: decays(name) ? weightDecay : 0,
      m: zerosLike(parameter),
      v: zerosLike(parameter),
      steps: 0,
    }));
  }

  /** The parameters in the order in which `step` takes their gradients. */
  get parameters(): Tensor[] {
    return this.#slots.map((slot) => slot.parameter);
  }

  /** Their names, in the same order. */
  get names(): string[] {
    return this.#slots.map(({ name }) => name);
  }

  /** Names of the decayed and of the undecayed parameters. */
  get groups(): { readonly decay: string[]; readonly noDecay: string[] } {
    const named = (decayed: boolean): string[] =>
      this.#slots.filter(({ decay }) => decay > 0 === decayed).map(({ name }) => name);
    return { decay: named(true), noDecay: named(false) };
  }

  /**
   * One update in place. Parameters without a gradient (null) are left alone, decay included; that none has one is
   * refused, like gradients that do not fit. Then nothing has been changed.
   */
  step(gradients: readonly (Tensor | null)[], lr: number): void {
    if (!Array.isArray(gradients)) refuse("AdamW.step", "an array of gradients", gradients);
    checkFinite(lr, "AdamW.step", "the learning rate", 0);
    if (gradients.length !== this.#slots.length)
      throw new Error(`AdamW.step: expected ${this.#slots.length} gradients, got ${gradients.length}`);
    this.#slots.forEach(({ name, parameter }, i) => {
      const gradient = gradients[i];
      if (gradient === null) return;
      checkTensor(gradient, "AdamW.step", `a gradient of ${name}`);
      if (sameShape(gradient.shape, parameter.shape) && gradient.dtype === parameter.dtype) return;
      const [expected, got] = [parameter, gradient].map((x) => `${x.dtype} ${showShape(x.shape)}`);
      throw new Error(`AdamW.step: ${name}: expected a gradient of its shape, ${expected}, got ${got}`);
    });
    if (gradients.every((gradient) => gradient === null)) {
      throw new Error(
        "AdamW.step: expected a gradient, got null for every parameter: the loss does not depend on them, or was computed " +
          "inside noGrad, or its history was cut by detach, tidy or Scope.keep",
      );
    }
    this.#slots.forEach((slot, i) => {
      const gradient = gradients[i];
      if (gradient) this.#update(slot, gradient, lr);
    });
  }

  #update(slot: Slot, gradient: Tensor, lr: number): void {
    adamWStep({
      parameter: slot.parameter,
      gradient,
      firstMoment: slot.m,
      secondMoment: slot.v,
      learningRate: lr,
      beta1: this.#betas[0],
      beta2: this.#betas[1],
      eps: this.#eps,
      weightDecay: slot.decay,
      step: ++slot.steps,
    });
  }

  /** What a later run needs to go on: `NAME.m`, `NAME.v` and `NAME.steps` for each parameter; from cpu. */
  stateDict(): Map<string, HostTensor> {
    return new Map(this.#slots.flatMap((slot) => entries(slot, toHost(slot.m), toHost(slot.v), slot.steps)));
  }

  /** The same, from any device. */
  async readStateDict(): Promise<Map<string, HostTensor>> {
    const lists = this.#slots.map(async (slot) => {
      const { steps } = slot;
      return entries(slot, await readHost(slot.m), await readHost(slot.v), steps);
    });
    return new Map((await Promise.all(lists)).flat());
  }

  /** Goes on from what `stateDict` gave. Throws when an entry is missing or does not fit; then nothing has changed. */
  load(dict: ReadonlyMap<string, HostTensor | LazyTensor>): void {
    const entry = (name: string): HostTensor | LazyTensor => {
      const found = dict.get(name);
      if (!found) throw new Error(`AdamW.load: expected an entry ${name}, got none`);
      return found;
    };
    const found = this.#slots.map((slot) => {
      const [m, v] = [entry(`${slot.name}.m`), entry(`${slot.name}.v`)];
      const problem = mismatchOf(slot.m, m) ?? mismatchOf(slot.v, v);
      if (problem) throw new Error(`AdamW.load: ${slot.name}: ${problem}`);
      const count = entry(`${slot.name}.steps`);
      const steps = Number(("data" in count ? count.data : count.read())[0]);
      if (!Number.isSafeInteger(steps) || steps < 0)
        refuse(`AdamW.load: ${slot.name}`, "a number of steps", steps);
      return { slot, m, v, steps };
    });
    for (const { slot, m, v, steps } of found) {
      setHost(slot.m, m, `AdamW.load: ${slot.name}.m`);
      setHost(slot.v, v, `AdamW.load: ${slot.name}.v`);
      slot.steps = steps;
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

const zerosLike = ({ device, shape, dtype }: Tensor): Tensor =>
  unscoped(() => onDevice(device, () => Tensor.zeros(shape, dtype)));

const entries = ({ name }: Slot, m: HostTensor, v: HostTensor, steps: number): [string, HostTensor][] => [
  [`${name}.m`, m],
  [`${name}.v`, v],
  [`${name}.steps`, { dtype: "I64", shape: [], data: BigInt64Array.of(BigInt(steps)) }],
];

/** Each tensor once, with its first name. Throws for what is no list of named parameters, or has a name twice. */
function byIdentity(parameters: readonly (readonly [string, Tensor])[]): Map<Tensor, string> {
  const expected = "[name, parameter] pairs such as module.namedParameters()";
  if (!Array.isArray(parameters)) refuse("AdamW", expected, parameters);
  const first = new Map<Tensor, string>();
  const byName = new Map<string, Tensor>();
  for (const pair of parameters) {
    if (!Array.isArray(pair) || typeof pair[0] !== "string") refuse("AdamW", expected, pair);
    const [name, parameter] = pair;
    checkTensor(parameter, "AdamW", `a parameter ${name}`);
    if (parameter.dtype === "int32") throw new Error(`AdamW: expected ${name} to be no integers, got int32`);
    if ((byName.get(name) ?? parameter) !== parameter)
      throw new Error(`AdamW: expected different names, got ${name} for two parameters`);
    byName.set(name, parameter);
    if (!first.has(parameter)) first.set(parameter, name);
  }
  if (first.size === 0) refuse("AdamW", "one parameter at least", parameters);
  return first;
}
