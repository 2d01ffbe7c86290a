/**
 * Formulas as kernels of GPU.js. A kernel computes one element of a launch at a time, so loops remain for reductions
 * alone, and the counters of the axes come from the element's number.
 *
 * To a GPU all numbers are float32, whole ones too: these are exact up to 2²⁴, which no tensor exceeds.
 */
import type { Source } from "../formula/expr.ts";
import { type Atom, Index, type Variable } from "../formula/indices.ts";
import {
  type Block,
  countersOf,
  homeOf,
  type Nest,
  nestOf,
  pathTo,
  type Stage,
  type Step,
  type Value,
} from "../formula/loops.ts";
import { COMPARISONS, indent, nameOf, OPERATORS } from "../formula/text.ts";
import { functionSources } from "./functions.ts";

/** A launch as a kernel: its text, and what it is to be called with. */
export interface PrintedKernel {
  readonly source: string;
  readonly functions: readonly string[];
  /** The arrays that it takes, in order. */
  readonly sources: readonly Source[];
  /** Which of the op's params it takes after them. */
  readonly params: readonly number[];
}

/** The largest count that float32 keeps exactly. */
export const LARGEST_COUNT = 2 ** 24;
/**
 * Up to here the nearest float32 of (n + ½) / N lies between the same whole numbers as the quotient, even where
 * division is wrong by 2.5 units of the last place, as WebGPU allows.
 */
const PLAIN_DIVISION = 2 ** 20;
/** Stands for −∞ in formulas, such as under a mask: a GPU may compute with infinities as it likes. */
const MASKED = -1e30;
const LARGEST = 3.4028234e38;

export function printKernel({ launch, size }: Stage): PrintedKernel {
  return new Printer(nestOf(launch), size).print();
}

/** What the language has itself; the others are in functions.ts. */
const BUILT_IN: Readonly<Record<string, string>> = {
  abs: "Math.abs",
  floor: "Math.floor",
  sqrt: "Math.sqrt",
};

/** A whole number with a name. */
interface Head {
  readonly name: string;
  readonly lines: readonly string[];
}

class Printer {
  readonly #nest: Nest;
  readonly #size: number;
  readonly #functions = new Set<string>();
  readonly #params = new Set<number>();
  /** Whole numbers that a block computes before anything else: by what they are. */
  readonly #heads = new Map<Block, Map<string, Head>>();
  #count = 0;

  constructor(nest: Nest, size: number) {
    this.#nest = nest;
    this.#size = size;
  }

  print(): PrintedKernel {
    const body = [...this.#counters(), ...this.#block(this.#nest.outermost)];
    const { sources } = this.#nest;
    const params = [...this.#params].sort((a, b) => a - b);
    const names = [...sources.map((_, i) => `x${i}`), ...params.map((i) => `p${i}`)];
    return {
      source: `function (${names.join(", ")}) {\n${indent(body).join("\n")}\n}`,
      functions: functionSources(this.#functions),
      sources,
      params,
    };
  }

  /** The counters of the axes, from the number of the element. */
  #counters(): string[] {
    const { axes } = this.#nest.launch;
    if (axes.length === 0) return [];
    const lines: string[] = [];
    let [rest, high] = ["this.thread.x", this.#size - 1];
    for (let i = axes.length - 1; i > 0; i--) {
      const { length } = axes[i];
      if (rest === "this.thread.x") {
        lines.push(`const element = ${rest};`);
        rest = "element";
      }
      const quotient = `q${i}`;
      lines.push(...quotientLines(quotient, rest, length, high));
      lines.push(`const ${nameOf(axes[i])} = ${rest} - ${quotient} * ${length};`);
      rest = quotient;
      high = Math.floor(high / length);
    }
    lines.push(`const ${nameOf(axes[0])} = ${rest};`);
    return lines;
  }

  /** What is done at a turn of a block's loop. */
  #block(block: Block, last: () => readonly string[] = () => []): string[] {
    const heads = new Map<string, Head>();
    this.#heads.set(block, heads);
    const steps = [...block.steps.flatMap((step) => this.#step(step, block)), ...last()];
    return [...[...heads.values()].flatMap(({ lines }) => lines), ...steps];
  }

  #step(step: Step, block: Block): string[] {
    switch (step.kind) {
      case "let":
        return [`const v${step.value.id} = ${this.#expression(step.value, block)};`];
      case "reduce": {
        const { results, block: inner } = step;
        const starts = results.map(
          ({ name, value }) => `let v${value.id} = ${name === "sum" ? "0" : `-${LARGEST}`};`,
        );
        const additions = (): string[] =>
          results.map(({ name, value, of }) => {
            const [to, term] = [`v${value.id}`, this.#value(of, inner)];
            return name === "sum" ? `${to} += ${term};` : `${to} = Math.max(${to}, ${term});`;
          });
        const { length } = inner.variable as Variable;
        const counter = nameOf(inner.variable as Variable);
        return [
          ...starts,
          `for (let ${counter} = 0; ${counter} < ${length}; ${counter}++) {`,
          ...indent(this.#block(inner, additions)),
          "}",
        ];
      }
      case "loop":
        return this.#block(step.block);
      case "store":
        return [`return ${this.#value(step.value, block)};`];
    }
  }

  /** The value where it is used. */
  #value(value: Value, block: Block): string {
    return value.inline ? this.#expression(value, block) : `v${value.id}`;
  }

  #expression({ node, parts }: Value, block: Block): string {
    const part = (i: number): string => this.#value(parts[i], block);
    switch (node.kind) {
      case "input":
        throw new Error("formula: expected reads, got an input of an elementwise formula");
      case "param":
        this.#params.add(node.index);
        return `p${node.index}`;
      case "const":
        return literal(node.value);
      case "unary":
        if (node.name === "neg") return `(-${part(0)})`;
        return `${this.#function(node.name)}(${part(0)})`;
      case "binary":
        if (node.name === "min" || node.name === "max") return `Math.${node.name}(${part(0)}, ${part(1)})`;
        return `(${part(0)} ${OPERATORS[node.name]} ${part(1)})`;
      case "select":
        return `(${part(0)} ${COMPARISONS[node.test]} ${part(1)} ? ${part(2)} : ${part(3)})`;
      case "whole":
        // To WebGL a counter is an integer; what was multiplied by a fraction is none.
        return `((${this.#index(node.index, block)}) * 0.5 * 2)`;
      case "read":
        return `${this.#source(node.source)}[${this.#index(node.at, block)}]`;
      case "choose": {
        const [a, b] = [node.a, node.b].map((x) => this.#index(x, block));
        return `(${a} ${COMPARISONS[node.test]} ${b} ? ${part(0)} : ${part(1)})`;
      }
      case "reduce":
        throw new Error("formula: a reduction has a step of its own");
    }
  }

  #function(name: string): string {
    if (BUILT_IN[name]) return BUILT_IN[name];
    this.#functions.add(`${name}Of`);
    return `${name}Of`;
  }

  #source({ name }: Source): string {
    return `x${this.#nest.sources.findIndex((source) => source.name === name)}`;
  }

  /** A whole number where it is used: what is known further out is added up there. */
  #index(index: Index, block: Block): string {
    const parts = new Map<Block, string[]>();
    for (const { atom, factor } of index.terms) {
      const home = homeOf(countersOf(Index.atom(atom)), block);
      const own = parts.get(home) ?? [];
      parts.set(home, own);
      own.push(signed(factor, this.#atom(atom, home)));
    }
    let text = index.constant === 0 ? "" : signed(index.constant);
    for (const home of pathTo(block)) {
      const own = parts.get(home);
      if (!own) continue;
      text = [...own, text].join("");
      if (home !== block) text = ` + ${this.#head(home, unsigned(text))}`;
    }
    return unsigned(text);
  }

  #atom(atom: Atom, home: Block): string {
    if (atom.kind === "variable") return nameOf(atom.variable);
    if (atom.kind === "loaded")
      return this.#head(home, `${this.#source(atom.source)}[${this.#index(atom.at, home)}]`);
    const { of, by } = atom;
    const whole = this.#head(home, this.#index(of, home));
    const high = Math.max(Math.abs(of.low), Math.abs(of.high));
    const quotient = this.#named(home, `⌊${whole} / ${by}⌋`, (name) => quotientLines(name, whole, by, high));
    return atom.kind === "quotient" ? quotient : this.#head(home, `${whole} - ${quotient} * ${by}`);
  }

  /** Has a whole number computed at the start of a block. */
  #head(block: Block, text: string): string {
    return /^\w+$/.test(text) ? text : this.#named(block, text, (name) => [`const ${name} = ${text};`]);
  }

  #named(block: Block, key: string, lines: (name: string) => readonly string[]): string {
    const heads = this.#heads.get(block) as Map<string, Head>;
    let head = heads.get(key);
    if (!head) {
      const name = `i${this.#count++}`;
      heads.set(key, (head = { name, lines: lines(name) }));
    }
    return head.name;
  }
}

/** ⌊of / by⌋ for a whole number that is no further from 0 than `high`. */
function quotientLines(name: string, of: string, by: number, high: number): string[] {
  if (high <= PLAIN_DIVISION) return [`const ${name} = Math.floor((${of} + 0.5) / ${by});`];
  return [
    `const ${name}a = Math.floor(${of} / ${by});`,
    `const ${name}b = ${name}a * ${by} > ${of} ? ${name}a - 1 : ${name}a;`,
    `const ${name} = (${name}b + 1) * ${by} <= ${of} ? ${name}b + 1 : ${name}b;`,
  ];
}

/** A term of a sum, with its sign. */
function signed(factor: number, of?: string): string {
  const size = Math.abs(factor);
  const term = of === undefined ? `${size}` : size === 1 ? of : `${of} * ${size}`;
  return factor < 0 ? ` - ${term}` : ` + ${term}`;
}

/** A sum of terms with signs. */
const unsigned = (terms: string): string =>
  terms === "" ? "0" : terms.startsWith(" + ") ? terms.slice(3) : `0${terms}`;

/** A number of a formula. */
function literal(value: number): string {
  if (Number.isNaN(value)) throw new Error("formula: a GPU has no NaN to compute with");
  if (value === -Infinity) return `(${MASKED})`;
  const finite = Math.max(-LARGEST, Math.min(value, LARGEST));
  return finite < 0 ? `(${finite})` : `${finite + 0}`;
}
