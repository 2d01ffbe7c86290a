import {
  type HostTensor,
  type LazyTensor,
  misfit,
  type Random,
  setHost,
  Tensor,
  toHost,
} from "../core/index.ts";
import { initialiserOf } from "./parameter.ts";

/**
 * A tree of parameters. Every field that holds a tensor (see `parameter` and `buffer`), a `Module`, or an array or record
 * of them, is a branch, and its path is its name: spelling fields as a checkpoint does makes its state dict load
 * by name. Private `#fields` stay out.
 */
export abstract class Module {
  /** True while training: dropout and the like are active. Set for the whole tree by `train` and `eval`. */
  training = false;

  /** All parameters and buffers with their names, a module's own before its children's, in field order. */
  *namedTensors(prefix = ""): Generator<[name: string, tensor: Tensor]> {
    const fields = Object.entries(this) as [string, unknown][];
    for (const [key, value] of fields) if (value instanceof Tensor) yield [prefix + key, value];
    for (const [key, value] of fields) yield* inside(value, `${prefix}${key}`);
  }

  /** The parameters: what an optimiser changes. */
  namedParameters(): [name: string, tensor: Tensor][] {
    return [...this.namedTensors()].filter(([, tensor]) => tensor.requiresGrad);
  }

  parameters(): Tensor[] {
    return this.namedParameters().map(([, tensor]) => tensor);
  }

  /** Number of trainable numbers, or of all numbers including frozen parameters (integer buffers never count). */
  countParameters({ frozen = false } = {}): number {
    let count = 0;
    for (const [, tensor] of this.namedTensors()) {
      if (tensor.requiresGrad || (frozen && tensor.dtype !== "int32")) count += tensor.size;
    }
    return count;
  }

  /** Modules in the tree, this one first. */
  *modules(): Generator<Module> {
    yield this;
    for (const value of Object.values(this)) yield* modulesIn(value);
  }

  train(on = true): this {
    for (const module of this.modules()) module.training = on;
    return this;
  }

  eval(): this {
    return this.train(false);
  }

  /** Copies of all tensors by name. */
  stateDict(): Map<string, HostTensor> {
    const dict = new Map<string, HostTensor>();
    for (const [name, tensor] of this.namedTensors()) dict.set(name, toHost(tensor));
    return dict;
  }

  /** Draws new values for all parameters, in the order of their names' declaration. */
  init(random: Random): this {
    for (const [, tensor] of this.namedTensors()) initialiserOf(tensor)?.(tensor, random);
    return this;
  }

  /**
   * Fills the tree from a state dict. `prefix` is cut off the dict's names and names without it are left alone.
   * Throws one error that lists every missing, extra and misshapen tensor (another shape, or integers for numbers);
   * then nothing has been changed.
   */
  load(dict: ReadonlyMap<string, HostTensor | LazyTensor>, { prefix = "" } = {}): this {
    const own = new Map(this.namedTensors());
    const missing: string[] = [];
    const misshapen: string[] = [];
    for (const [name, tensor] of own) {
      const given = dict.get(prefix + name);
      const problem = given && misfit(tensor, given);
      if (!given) missing.push(prefix + name);
      else if (problem) misshapen.push(`${prefix}${name}: ${problem}`);
    }
    const extra = [...dict.keys()].filter(
      (name) => name.startsWith(prefix) && !own.has(name.slice(prefix.length)),
    );
    if (missing.length + misshapen.length + extra.length > 0) {
      const list = (title: string, lines: string[]): string =>
        lines.length === 0 ? "" : `\n  ${title} (${lines.length}): ${shorten(lines).join("; ")}`;
      throw new Error(
        `${this.constructor.name}.load: the state dict does not fit` +
          list("missing", missing) +
          list("misshapen", misshapen) +
          list("extra", extra),
      );
    }
    for (const [name, tensor] of own) {
      setHost(
        tensor,
        dict.get(prefix + name) as HostTensor,
        `${this.constructor.name}.load: ${prefix}${name}`,
      );
    }
    return this;
  }

  /** Gives back the memory of all tensors in the tree. */
  dispose(): void {
    for (const [, tensor] of this.namedTensors()) tensor.dispose();
  }
}

const shorten = (lines: string[]): string[] =>
  lines.length <= 12 ? lines : [...lines.slice(0, 12), `and ${lines.length - 12} more`];

function* inside(value: unknown, path: string): Generator<[string, Tensor]> {
  if (value instanceof Module) yield* value.namedTensors(`${path}.`);
  else if (isBranch(value)) {
    for (const [key, item] of Object.entries(value)) {
      if (item instanceof Tensor) yield [`${path}.${key}`, item];
      else yield* inside(item, `${path}.${key}`);
    }
  }
}

function* modulesIn(value: unknown): Generator<Module> {
  if (value instanceof Module) yield* value.modules();
  else if (isBranch(value)) for (const item of Object.values(value)) yield* modulesIn(item);
}

/** Arrays and plain objects of branches; anything else in a field is configuration. */
function isBranch(value: unknown): value is object {
  return Array.isArray(value) || (value !== null && Object.getPrototypeOf(value ?? 0) === Object.prototype);
}
