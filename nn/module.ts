import {
  checkOptions,
  cpu,
  type Device,
  type HostTensor,
  isForeign,
  type LazyTensor,
  markCopy,
  mismatchOf,
  onDevice,
  openTensors,
  printable,
  Random,
  readHost,
  refuse,
  Scope,
  setHost,
  Tensor,
  toHost,
  writeSafetensors,
} from "../core/index.ts";
import { initialiserOf } from "./parameter.ts";
import { setStored, storedAs } from "./sealed.ts";

/**
 * A tree of parameters. Every field that holds a tensor (see `parameter` and `buffer`), a `Module`, or an array, record
 * or Map (with strings as keys) of them, is a branch, and its path is its name: spelling fields as a checkpoint does
 * makes its state dict load by name. Private `#fields` stay out. A tensor that is reached under several names is tied:
 * it has all of them in state dicts, and is one parameter wherever parameters are counted, updated or drawn.
 */
export abstract class Module {
  static {
    markCopy(Module);
  }

  /** True while training: dropout and the like are active. Set for the whole tree by `train` and `eval`. */
  training = false;

  /** All parameters and buffers with all their names, a module's own before its children's, in field order. */
  *namedTensors(prefix = ""): Generator<[name: string, tensor: Tensor]> {
    for (const [name, item] of walk(this, prefix, [])) if (item instanceof Tensor) yield [name, item];
  }

  /** Each parameter and buffer once, with its names. */
  tensors(): Map<Tensor, [name: string, ...others: string[]]> {
    const tensors = new Map<Tensor, [string, ...string[]]>();
    for (const [name, tensor] of this.namedTensors()) {
      const names = tensors.get(tensor);
      if (names) names.push(name);
      else tensors.set(tensor, [name]);
    }
    return tensors;
  }

  /** The parameters, each once and under its first name: what an optimiser changes. */
  namedParameters(): [name: string, tensor: Tensor][] {
    return [...this.tensors()].flatMap(([tensor, [name]]) => (tensor.requiresGrad ? [[name, tensor]] : []));
  }

  parameters(): Tensor[] {
    return this.namedParameters().map(([, tensor]) => tensor);
  }

  /** Number of trainable numbers, or of all numbers including frozen parameters (integer buffers never count). */
  countParameters({ frozen = false } = {}): number {
    let count = 0;
    for (const tensor of this.tensors().keys()) {
      if (tensor.requiresGrad || (frozen && tensor.dtype !== "int32")) count += tensor.size;
    }
    return count;
  }

  /** Modules in the tree, each once, this one first. */
  *modules(): Generator<Module> {
    for (const [, module] of this.namedModules()) yield module;
  }

  /** The same with their paths, "" for this one. */
  *namedModules(): Generator<[path: string, module: Module]> {
    const seen = new Set<Module>();
    for (const [path, item] of walk(this, "", [])) {
      if (!(item instanceof Module) || seen.has(item)) continue;
      seen.add(item);
      yield [path.slice(0, -1), item];
    }
  }

  train(on = true): this {
    for (const module of this.modules()) module.training = on;
    return this;
  }

  eval(): this {
    return this.train(false);
  }

  /** Copies of all tensors by name; from cpu. Throws where weights are sealed for inference. */
  stateDict(): Map<string, HostTensor> {
    this.#refuseSealed("stateDict");
    const dict = new Map<string, HostTensor>();
    for (const [name, tensor] of this.namedTensors()) dict.set(name, toHost(tensor));
    return dict;
  }

  /** The same, from any device. */
  async readStateDict(): Promise<Map<string, HostTensor>> {
    this.#refuseSealed("readStateDict");
    const named = [...this.namedTensors()];
    const read = await Promise.all(named.map(([, tensor]) => readHost(tensor)));
    return new Map(named.map(([name], i) => [name, read[i]]));
  }

  #refuseSealed(what: string): void {
    for (const [name, tensor] of this.namedTensors()) {
      if (!storedAs(tensor)) continue;
      throw new Error(
        `${this.constructor.name}.${what}: expected a module that was built to be trained, ` +
          `found ${name} sealed for inference: build it without forInference`,
      );
    }
  }

  /** Draws new values for all parameters, in the order of their names' declaration. */
  init(random: Random): this {
    if (!(random instanceof Random)) refuse(`${this.constructor.name}.init`, "a Random", random);
    this.#refuseSealed("init");
    for (const tensor of this.tensors().keys()) initialiserOf(tensor)?.(tensor, random);
    return this;
  }

  /**
   * Writes the state dict to a safetensors file, from any device. The name holds the old file until all of the new one
   * is written.
   */
  async save(path: string): Promise<void> {
    if (typeof path !== "string") refuse(`${this.constructor.name}.save`, "a path", path);
    writeSafetensors(path, await this.readStateDict());
  }

  /**
   * Fills the tree from a state dict, or from a file of one: safetensors, or a PyTorch checkpoint (see `openTensors`).
   * `prefix` is cut off the dict's names, and names without it are left alone. For a tied tensor one of its names is
   * enough. Throws one error that lists every missing, extra, misshapen (another shape, or integers for numbers) and
   * conflicting tensor (tied, but with other numbers under another of its names); then nothing has been changed.
   */
  load(from: StateDict | string, options: { prefix?: string } = {}): this {
    const who = `${this.constructor.name}.load`;
    if (typeof from !== "string") return this.#fill(from, options, who);
    using file = openTensors(from);
    return this.#fill(file.tensors, options, `${who}: ${printable(from)}`);
  }

  #fill(dict: StateDict, options: { prefix?: string }, who: string): this {
    for (const { tensor, name, given } of this.#match(dict, options, who)) {
      const stored = storedAs(tensor);
      if (stored) setStored(tensor, stored, given, `${who}: ${name}`);
      else setHost(tensor, given, `${who}: ${name}`);
    }
    return this;
  }

  /** Throws what `load` would throw, but looks at no numbers: that tied tensors conflict is not seen. See `outline`. */
  checkFit(dict: StateDict, options: { prefix?: string } = {}): void {
    this.#match(dict, options, this.constructor.name, () => true);
  }

  /** What to fill each tensor with. */
  #match(dict: StateDict, options: { prefix?: string }, who: string, isSame = agree): Entry[] {
    if (!(dict instanceof Map)) refuse(who, "a Map of tensors by name", dict);
    checkOptions(options, ["prefix"], who);
    const { prefix = "" } = options;
    const own = new Set<string>();
    const [missing, misshapen, conflicting]: string[][] = [[], [], []];
    const found: Entry[] = [];
    for (const [tensor, all] of this.tensors()) {
      const names = all.map((name) => prefix + name);
      for (const name of names) own.add(name);
      const present = names.filter((name) => dict.has(name));
      if (present.length === 0) missing.push(...names);
      const fitting = present.filter((name) => {
        const problem = mismatchOf(inFiles(tensor), dict.get(name) as HostTensor);
        if (problem) misshapen.push(`${name}: ${problem}`);
        return !problem;
      });
      const [first, ...others] = fitting.map((name) => ({
        tensor,
        name,
        given: dict.get(name) as HostTensor,
      }));
      if (first) found.push(first);
      for (const other of others)
        if (!isSame(first, other, who)) conflicting.push(`${other.name} and ${first.name}`);
    }
    const extra = [...dict.keys()].filter((name) => name.startsWith(prefix) && !own.has(name));
    if (missing.length + misshapen.length + conflicting.length + extra.length > 0) {
      const list = (title: string, lines: string[]): string =>
        lines.length === 0
          ? ""
          : `\n  ${title} (${lines.length}): ${shorten(lines)
              .map((line) => printable(line))
              .join("; ")}`;
      throw new Error(
        `${who}: the state dict does not fit` +
          list("missing", missing) +
          list("misshapen", misshapen) +
          list("conflicting", conflicting) +
          list("extra", extra),
      );
    }
    return found;
  }

  /** Where the tree's first tensor is, and after `to` all of them; cpu for a tree without any. */
  get device(): Device {
    for (const [, tensor] of this.namedTensors()) return tensor.device;
    return cpu;
  }

  /**
   * Moves all tensors of the tree from cpu to another device, in place. Modules are drawn and loaded before,
   * optimisers, averages and plans made of them afterwards.
   */
  to(device: Device): this {
    for (const tensor of this.tensors().keys()) tensor.relocate(device);
    return this;
  }

  /** Gives back the memory of all tensors in the tree. */
  dispose(): void {
    for (const [, tensor] of this.namedTensors()) tensor.dispose();
  }
}

const shorten = (lines: string[]): string[] =>
  lines.length <= 12 ? lines : [...lines.slice(0, 12), `and ${lines.length - 12} more`];

/** The shape and type of a tensor as files store it. */
const inFiles = (tensor: Tensor): Pick<Tensor, "shape" | "dtype"> => ({
  shape: storedAs(tensor)?.shape ?? tensor.shape,
  dtype: tensor.dtype,
});

/** Tensors by name. */
type StateDict = ReadonlyMap<string, HostTensor | LazyTensor>;

/** A tensor and what a state dict has for it under one of its names. */
interface Entry {
  readonly tensor: Tensor;
  readonly name: string;
  readonly given: HostTensor | LazyTensor;
}

/** Whether two entries hold the same numbers, as the tensor would round them. */
function agree(a: Entry, b: Entry, who: string): boolean {
  using _ = new Scope();
  const [x, y] = [a, b].map(({ tensor, name, given }) => {
    const copy = onDevice(cpu, () => Tensor.empty(inFiles(tensor).shape, tensor.dtype));
    setHost(copy, given, `${who}: ${name}`);
    return copy.data;
  });
  return x.every((value, i) => Object.is(value, y[i]));
}

/**
 * A module and what is below it, with paths: `above` are the modules and containers that lead to it, outermost first.
 */
function* walk(
  module: Module,
  prefix: string,
  above: readonly object[],
): Generator<[path: string, item: Tensor | Module]> {
  if (above.includes(module)) {
    const [path, name] = [prefix.slice(0, -1), module.constructor.name];
    throw new Error(
      `${above[0].constructor.name}: expected a tree, got ${path}, a ${name} that holds itself`,
    );
  }
  yield [prefix, module];
  const fields = Object.entries(module) as [string, unknown][];
  for (const [key, value] of fields) if (value instanceof Tensor) yield [prefix + key, value];
  for (const [key, value] of fields)
    if (!(value instanceof Tensor)) yield* inside(value, prefix + key, [...above, module]);
}

function* inside(
  value: unknown,
  path: string,
  above: readonly object[],
): Generator<[path: string, item: Tensor | Module]> {
  if (typeof value !== "object" || value === null || ArrayBuffer.isView(value)) return;
  if (value instanceof Tensor) yield [path, value];
  else if (value instanceof Module) yield* walk(value, `${path}.`, above);
  else if (!isBranch(value)) checkLeaf(value, path, above);
  else if (!above.includes(value)) {
    const entries = value instanceof Map ? value : Object.entries(value);
    for (const [key, item] of entries) yield* inside(item, `${path}.${key}`, [...above, value]);
  }
}

/** Arrays, plain objects and Maps with strings as keys may hold branches; anything else in a field is configuration. */
function isBranch(value: object): boolean {
  if (value instanceof Map) return [...value.keys()].every((key) => typeof key === "string");
  return Array.isArray(value) || Object.getPrototypeOf(value) === Object.prototype;
}

/** Throws for an object that holds parameters or modules where they would not be found. */
function checkLeaf(value: object, path: string, above: readonly object[]): void {
  const who = `${above[0].constructor.name}: ${path}`;
  if (isForeign(value)) refuse(who, "a tensor or module", value);
  const items = value instanceof Map || value instanceof Set ? value.values() : Object.values(value);
  for (const item of items) {
    const hidden = item instanceof Module || (item instanceof Tensor && item.requiresGrad) || isForeign(item);
    if (hidden) refuse(who, "modules and parameters in fields, arrays, records or Maps by string", value);
  }
}
