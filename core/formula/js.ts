/**
 * Formulas as plain TypeScript kernels, for every dtype: what the op means, and what faster kernels are compared with.
 * Numbers are computed in double precision and rounded once, when they are stored.
 *
 * Lengths, factors and constants are arguments of the printed code: one function serves all shapes that are walked
 * alike. Where the elements of the last axis are reductions, four neighbours are computed side by side: an addition
 * need not wait for the one before it, and what they have in common is read once.
 */
import { checkInt32 } from "../check.ts";
import { erf, gelu, geluSlope } from "./erf.ts";
import type { ReductionName, Source } from "./expr.ts";
import { type Atom, Index, type Variable } from "./indices.ts";
import type { Operand } from "./launch.ts";
import {
  type Block,
  countersOf,
  homeOf,
  launchesOf,
  type Nest,
  nestOf,
  pathTo,
  type Step,
  type Value,
} from "./loops.ts";
import { COMPARISONS, indent, nameOf, OPERATORS } from "./text.ts";

export type Numbers = Float32Array | Float64Array | Int32Array;

/** A formula made ready for operands of certain shapes: writes its result to `out`. */
export type Compiled = (out: Numbers, ins: readonly Numbers[], params: readonly number[]) => void;

/**
 * Compiles a formula's result. `dtypes` names those of the output and of the operands. int32 results must be integers
 * that fit: others are refused in the name of `who`.
 */
export function compile(result: Operand, dtypes: readonly string[], who: string): Compiled {
  const launches = launchesOf(result);
  const places = new Map(launches.map(({ source }, i) => [source.name, i]));
  const calls = launches.map(({ source, launch, size }) => {
    const nest = nestOf(launch);
    const integers = source.name === result.source.name && dtypes[0] === "int32";
    const { text, sizes, constants } = new Printer(nest, integers).print();
    const kernel = kernelOf(text, `${dtypes}${integers ? who : ""}`, who);
    return { kernel, sizes, constants, sources: nest.sources, size };
  });
  const last = calls.pop();
  if (!last) throw new Error(`${who}: expected a formula that computes something`);
  const from = (call: typeof last, ins: readonly Numbers[], made: readonly Numbers[]): Numbers[] =>
    call.sources.map(({ input, name }) => (input === null ? made[places.get(name) as number] : ins[input]));
  return (out, ins, params) => {
    const made: Numbers[] = [];
    for (const call of calls) {
      const to = new Float64Array(call.size);
      call.kernel(to, from(call, ins, made), call.sizes, call.constants, params);
      made.push(to);
    }
    last.kernel(out, from(last, ins, made), last.sizes, last.constants, params);
  };
}

/** The source text of the kernels of a formula, in the order in which they run. */
export const printed = (result: Operand): string[] =>
  launchesOf(result).map(({ launch }) => new Printer(nestOf(launch), false).print().text);

type Kernel = (
  out: Numbers,
  ins: readonly Numbers[],
  sizes: Int32Array,
  constants: Float64Array,
  params: readonly number[],
) => void;

const kernels = new Map<string, Kernel>();

/** The function with this text. Each `flavour`, such as other dtypes, gets code of its own from the engine. */
function kernelOf(text: string, flavour: string, who: string): Kernel {
  const key = flavour + text;
  let kernel = kernels.get(key);
  if (!kernel) {
    const integer = (x: number): number => {
      if ((x | 0) !== x) checkInt32([x], who);
      return x;
    };
    const helpers = { ...HOST, integer };
    kernel = new Function(...Object.keys(helpers), `return ${text}`)(...Object.values(helpers)) as Kernel;
    kernels.set(key, kernel);
  }
  return kernel;
}

/** What `Math` lacks. */
const HOST = { erf, gelu, geluSlope };

/** Elements that are computed side by side. */
const LANES = 4;

/** Constants that are written down as they are. */
const PLAIN = [0, 1, -1, 2, 0.5, Infinity, -Infinity];

const START: Readonly<Record<ReductionName, string>> = { sum: "0", max: "-Infinity" };

class Printer {
  readonly #nest: Nest;
  readonly #integers: boolean;
  readonly #sizes = new Map<string, { readonly name: string; readonly value: number }>();
  readonly #constants = new Map<number, string>();
  readonly #params = new Set<number>();
  /** Whole numbers that a block computes before anything else: from text to name. */
  readonly #heads = new Map<Block, Map<string, string>>();
  /** For loops of reductions: multiples of the counter, which are added up. From factor to name. */
  readonly #strides = new Map<Block, Map<string, string>>();
  /** The innermost axis, when its elements are computed side by side. */
  readonly #side: Block | null;
  /** How many of them. */
  #lanes = 1;
  #count = 0;

  constructor(nest: Nest, integers: boolean) {
    this.#nest = nest;
    this.#integers = integers;
    let innermost = nest.outermost;
    for (;;) {
      const step = innermost.steps.at(-1);
      if (step?.kind !== "loop") break;
      innermost = step.block;
    }
    this.#side =
      innermost.variable && innermost.steps.some(({ kind }) => kind === "reduce") ? innermost : null;
  }

  print(): { text: string; sizes: Int32Array; constants: Float64Array } {
    const body = this.#block(this.#nest.outermost);
    const sizes = [...this.#sizes.values()];
    const lines = [
      ...this.#nest.sources.map((_, i) => `const x${i} = ins[${i}];`),
      ...sizes.map(({ name }, i) => `const ${name} = n[${i}];`),
      ...[...this.#constants.values()].map((name, i) => `const ${name} = c[${i}];`),
      ...[...this.#params].sort().map((i) => `const p${i} = p[${i}];`),
      "let at = 0;",
      ...body,
    ];
    return {
      text: `(out, ins, n, c, p) => {\n${indent(lines).join("\n")}\n}`,
      sizes: Int32Array.from(sizes, ({ value }) => value),
      constants: Float64Array.from(this.#constants.keys()),
    };
  }

  /** What is done at a turn of a block's loop. */
  #block(block: Block, last: () => readonly string[] = () => []): string[] {
    this.#heads.set(block, new Map());
    const steps = [...block.steps.flatMap((step) => this.#step(step, block)), ...last()];
    const heads = this.#heads.get(block) as Map<string, string>;
    return [...[...heads].map(([text, name]) => `const ${name} = ${text};`), ...steps];
  }

  #step(step: Step, block: Block): string[] {
    switch (step.kind) {
      case "let":
        return this.#lanesOf(step.value).map(
          (lane) => `const ${this.#name(step.value, lane)} = ${this.#expression(step.value, block, lane)};`,
        );
      case "reduce": {
        const { results, block: inner } = step;
        const all = results.flatMap((result) =>
          this.#lanesOf(result.value).map((lane) => ({ ...result, lane })),
        );
        const starts = all.map(({ name, value, lane }) => `let ${this.#name(value, lane)} = ${START[name]};`);
        const additions = (): string[] =>
          all.map(({ name, value, of, lane }) => {
            const [to, term] = [this.#name(value, lane), this.#value(of, inner, lane)];
            return name === "sum" ? `${to} += ${term};` : `${to} = Math.max(${to}, ${term});`;
          });
        return [...starts, ...this.#loop(inner, additions)];
      }
      case "loop":
        return step.block === this.#side ? this.#sideBySide(step.block) : this.#loop(step.block);
      case "store":
        return [...Array(this.#lanes).keys()].map((lane) => {
          const value = this.#value(step.value, block, lane);
          return `out[at++] = ${this.#integers ? `integer(${value})` : value};`;
        });
    }
  }

  #loop(block: Block, last?: () => readonly string[]): string[] {
    const variable = block.variable as Variable;
    const [counter, length] = [nameOf(variable), this.#size(`${variable.name}`, variable.length)];
    const strides = new Map<string, string>();
    if (last) this.#strides.set(block, strides);
    const body = this.#block(block, last);
    const starts = [...strides.values()].map((name) => `, ${name} = 0`).join("");
    const bumps = [...strides].map(([factor, name]) => `, ${name} += ${factor}`).join("");
    return [
      `for (let ${counter} = 0${starts}; ${counter} < ${length}; ${counter}++${bumps}) {`,
      ...indent(body),
      "}",
    ];
  }

  #sideBySide(block: Block): string[] {
    const variable = block.variable as Variable;
    const [counter, length] = [nameOf(variable), this.#size(`${variable.name}`, variable.length)];
    this.#lanes = LANES;
    const several = this.#block(block);
    this.#lanes = 1;
    const single = this.#block(block);
    return [
      `let ${counter} = 0;`,
      `for (; ${counter} + ${LANES} <= ${length}; ${counter} += ${LANES}) {`,
      ...indent(several),
      "}",
      `for (; ${counter} < ${length}; ${counter}++) {`,
      ...indent(single),
      "}",
    ];
  }

  /** The elements that a value is computed for: one when they have it in common. */
  #lanesOf({ free }: Value): readonly number[] {
    const differs = this.#side && free.has(this.#side.variable as Variable);
    return differs ? [...Array(this.#lanes).keys()] : [0];
  }

  #name({ id, free }: Value, lane: number): string {
    const differs = this.#lanes > 1 && free.has(this.#side?.variable as Variable);
    return differs ? `v${id}_${lane}` : `v${id}`;
  }

  /** The value where it is used. */
  #value(value: Value, block: Block, lane: number): string {
    return value.inline ? this.#expression(value, block, lane) : this.#name(value, lane);
  }

  #expression({ node, parts, free }: Value, block: Block, lane: number): string {
    const part = (i: number): string => this.#value(parts[i], block, lane);
    switch (node.kind) {
      case "input":
        throw new Error("formula: expected reads, got an input of an elementwise formula");
      case "param":
        this.#params.add(node.index);
        return `p${node.index}`;
      case "const":
        return this.#constant(node.value);
      case "unary":
        if (node.name === "neg") return `(-${part(0)})`;
        return node.name in HOST ? `${node.name}(${part(0)})` : `Math.${node.name}(${part(0)})`;
      case "binary":
        if (node.name === "min" || node.name === "max") return `Math.${node.name}(${part(0)}, ${part(1)})`;
        return `(${part(0)} ${OPERATORS[node.name]} ${part(1)})`;
      case "select":
        return `(${part(0)} ${COMPARISONS[node.test]} ${part(1)} ? ${part(2)} : ${part(3)})`;
      case "whole":
        return `(${this.#index(node.index, block, lane)})`;
      case "read": {
        const text = `${this.#source(node.source)}[${this.#index(node.at, block, lane)}]`;
        // Once for all neighbours that have it in common: the engine would load it for each.
        return this.#lanes > 1 && !free.has(this.#side?.variable as Variable)
          ? this.#head(block, text)
          : text;
      }
      case "choose": {
        const [a, b] = [node.a, node.b].map((x) => this.#index(x, block, lane));
        return `(${a} ${COMPARISONS[node.test]} ${b} ? ${part(0)} : ${part(1)})`;
      }
      case "reduce":
        throw new Error("formula: a reduction has a step of its own");
    }
  }

  #source({ name }: Source): string {
    return `x${this.#nest.sources.findIndex((source) => source.name === name)}`;
  }

  #constant(value: number): string {
    if (Object.is(value, -0)) return "(-0)";
    if (PLAIN.includes(value)) return `(${value})`;
    let name = this.#constants.get(value);
    if (!name) this.#constants.set(value, (name = `c${this.#constants.size}`));
    return name;
  }

  /** A whole number as an argument; equal keys have equal numbers. */
  #size(key: string, value: number): string {
    let size = this.#sizes.get(key);
    if (!size) this.#sizes.set(key, (size = { name: `n${this.#sizes.size}`, value }));
    return size.name;
  }

  /** A whole number where it is used: what is known further out is added up there. */
  #index(index: Index, block: Block, lane: number): string {
    const parts = new Map<Block, string[]>();
    const at = (home: Block): string[] => {
      let list = parts.get(home);
      if (!list) parts.set(home, (list = []));
      return list;
    };
    for (const { atom, key, factor } of index.terms) {
      const home = homeOf(countersOf(Index.atom(atom)), block);
      at(home).push(this.#term(atom, key, factor, home, lane));
    }
    if (index.constant !== 0) at(this.#nest.outermost).push(this.#size(`+${index.constant}`, index.constant));
    let text = "";
    for (const home of pathTo(block)) {
      const own = parts.get(home);
      if (!own) continue;
      text = [...(text ? [text] : []), ...own].join(" + ");
      if (home !== block && own.length > 0) text = this.#head(home, text);
    }
    return text || "0";
  }

  #term(atom: Atom, key: string, factor: number, home: Block, lane: number): string {
    if (atom.kind === "variable") {
      const counter = nameOf(atom.variable);
      const own = lane > 0 && home === this.#side ? `${counter} + ${lane}` : counter;
      if (factor === 1) return own;
      const size = this.#size(`${atom.variable.name}*${factor}`, factor);
      const strides = this.#strides.get(home);
      if (!strides) return `Math.imul(${own}, ${size})`;
      let name = strides.get(size);
      if (!name) strides.set(size, (name = `${counter}_${size}`));
      return name;
    }
    const value = this.#head(home, this.#atom(atom, home, lane));
    return factor === 1 ? value : `Math.imul(${value}, ${this.#size(`${key}*${factor}`, factor)})`;
  }

  #atom(atom: Exclude<Atom, { kind: "variable" }>, home: Block, lane: number): string {
    if (atom.kind === "loaded") return `${this.#source(atom.source)}[${this.#index(atom.at, home, lane)}]`;
    const of = this.#index(atom.of, home, lane);
    const by = this.#size(`/${atom.by}`, atom.by);
    const plain = atom.of.low >= 0;
    if (atom.kind === "quotient") return plain ? `((${of}) / ${by}) | 0` : `Math.floor((${of}) / ${by})`;
    return plain ? `(${of}) % ${by}` : `(((${of}) % ${by}) + ${by}) % ${by}`;
  }

  /** Has a whole number computed at the start of a block. */
  #head(block: Block, text: string): string {
    if (/^\w+$/.test(text)) return text;
    const heads = this.#heads.get(block) as Map<string, string>;
    let name = heads.get(text);
    if (!name) heads.set(text, (name = `i${this.#count++}`));
    return name;
  }
}
