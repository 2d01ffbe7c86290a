import {
  checkFinite,
  checkFunction,
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

/** Parameters as `module.namedParameters()` lists them. A tensor under several names is one parameter, the first. */
export type NamedParameters = readonly (readonly [name: string, parameter: Tensor])[];

export interface DecayOptions {
  /** λ, what is decayed of a parameter. */
  readonly weightDecay: number;
  /** Which parameters are decayed, by name. All unless given. */
  readonly decays?: (name: string) => boolean;
}

/** A parameter and what an optimiser remembers of it. */
export interface Slot {
  readonly name: string;
  readonly parameter: Tensor;
  /** λ for this parameter. */
  readonly decay: number;
  /** Tensors like the parameter, by name, zero at first. */
  readonly kept: Readonly<Record<string, Tensor>>;
  /** Updates so far, with this one: a parameter that had no gradient in a step was not updated. */
  steps: number;
}

/** Changes parameters in place by their gradients. How one parameter is updated, a subclass says. */
export abstract class Optimizer {
  readonly #who: string;
  readonly #slots: readonly Slot[];

  /** `kept` names the tensors that are kept for each parameter. */
  constructor(
    who: string,
    parameters: NamedParameters,
    { weightDecay, decays = () => true }: DecayOptions,
    kept: readonly string[],
  ) {
    checkFinite(weightDecay, who, "weightDecay", 0);
    checkFunction(decays, who, "decays");
    this.#who = who;
    this.#slots = [...byIdentity(parameters, who)].map(([parameter, name]) => ({
      name,
      parameter,
      decay: decays(name) ? weightDecay : 0,
      kept: Object.fromEntries(kept.map((each) => [each, zerosLike(parameter)])),
      steps: 0,
    }));
  }

  /** Changes the slot's parameter, and what is kept of it, by a gradient that fits. */
  protected abstract update(slot: Slot, gradient: Tensor, lr: number): void;

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
    const who = `${this.#who}.step`;
    if (!Array.isArray(gradients)) refuse(who, "an array of gradients", gradients);
    checkFinite(lr, who, "the learning rate", 0);
    if (gradients.length !== this.#slots.length)
      throw new Error(`${who}: expected ${this.#slots.length} gradients, got ${gradients.length}`);
    this.#slots.forEach(({ name, parameter }, i) => {
      const gradient = gradients[i];
      if (gradient === null) return;
      checkTensor(gradient, who, `a gradient of ${name}`);
      if (sameShape(gradient.shape, parameter.shape) && gradient.dtype === parameter.dtype) return;
      const [expected, got] = [parameter, gradient].map((x) => `${x.dtype} ${showShape(x.shape)}`);
      throw new Error(`${who}: ${name}: expected a gradient of its shape, ${expected}, got ${got}`);
    });
    if (gradients.every((gradient) => gradient === null)) {
      throw new Error(
        `${who}: expected a gradient, got null for every parameter: the loss does not depend on them, or was ` +
          "computed inside noGrad, or its history was cut by detach, tidy or Scope.keep",
      );
    }
    this.#slots.forEach((slot, i) => {
      const gradient = gradients[i];
      if (!gradient) return;
      slot.steps++;
      this.update(slot, gradient, lr);
    });
  }

  /** What a later run needs to go on: what is kept, as `NAME.m`, and `NAME.steps` for each parameter; from cpu. */
  stateDict(): Map<string, HostTensor> {
    return new Map(
      this.#slots.flatMap((slot) => [
        ...tensorsOf(slot).map(([name, tensor]): [string, HostTensor] => [name, toHost(tensor)]),
        stepsOf(slot),
      ]),
    );
  }

  /** The same, from any device. */
  async readStateDict(): Promise<Map<string, HostTensor>> {
    const lists = this.#slots.map(async (slot) => {
      const steps = stepsOf(slot);
      const tensors = tensorsOf(slot).map(
        async ([name, tensor]): Promise<[string, HostTensor]> => [name, await readHost(tensor)],
      );
      return [...(await Promise.all(tensors)), steps];
    });
    return new Map((await Promise.all(lists)).flat());
  }

  /** Goes on from what `stateDict` gave. Throws when an entry is missing or does not fit; then nothing has changed. */
  load(dict: ReadonlyMap<string, HostTensor | LazyTensor>): void {
    const who = `${this.#who}.load`;
    const entry = (name: string): HostTensor | LazyTensor => {
      const found = dict.get(name);
      if (!found) throw new Error(`${who}: expected an entry ${name}, got none`);
      return found;
    };
    const found = this.#slots.map((slot) => {
      const tensors = tensorsOf(slot).map(([name, tensor]) => ({ name, tensor, given: entry(name) }));
      for (const { tensor, given } of tensors) {
        const problem = mismatchOf(tensor, given);
        if (problem) throw new Error(`${who}: ${slot.name}: ${problem}`);
      }
      const count = entry(`${slot.name}.steps`);
      const steps = Number(("data" in count ? count.data : count.read())[0]);
      if (!Number.isSafeInteger(steps) || steps < 0)
        refuse(`${who}: ${slot.name}`, "a number of steps", steps);
      return { slot, tensors, steps };
    });
    for (const { slot, tensors, steps } of found) {
      for (const { name, tensor, given } of tensors) setHost(tensor, given, `${who}: ${name}`);
      slot.steps = steps;
    }
  }

  /** Gives back the memory of what is kept. */
  dispose(): void {
    for (const { kept } of this.#slots) for (const tensor of Object.values(kept)) tensor.dispose();
  }
}

const zerosLike = ({ device, shape, dtype }: Tensor): Tensor =>
  unscoped(() => onDevice(device, () => Tensor.zeros(shape, dtype)));

const tensorsOf = ({ name, kept }: Slot): [name: string, tensor: Tensor][] =>
  Object.entries(kept).map(([what, tensor]) => [`${name}.${what}`, tensor]);

const stepsOf = ({ name, steps }: Slot): [string, HostTensor] => [
  `${name}.steps`,
  { dtype: "I64", shape: [], data: BigInt64Array.of(BigInt(steps)) },
];

/** Each tensor once, with its first name. Throws for what is no list of named parameters, or has a name twice. */
function byIdentity(parameters: NamedParameters, who: string): Map<Tensor, string> {
  const expected = "[name, parameter] pairs such as module.namedParameters()";
  if (!Array.isArray(parameters)) refuse(who, expected, parameters);
  const first = new Map<Tensor, string>();
  const byName = new Map<string, Tensor>();
  for (const pair of parameters) {
    if (!Array.isArray(pair) || typeof pair[0] !== "string") refuse(who, expected, pair);
    const [name, parameter] = pair;
    checkTensor(parameter, who, `a parameter ${name}`);
    if (parameter.dtype === "int32") throw new Error(`${who}: expected ${name} to be no integers, got int32`);
    if ((byName.get(name) ?? parameter) !== parameter)
      throw new Error(`${who}: expected different names, got ${name} for two parameters`);
    byName.set(name, parameter);
    if (!first.has(parameter)) first.set(parameter, name);
  }
  if (first.size === 0) refuse(who, "one parameter at least", parameters);
  return first;
}
