/**
 * From what one element is to the loops that compute all of them. Each subexpression gets the outermost place that its
 * counters allow (loop-invariant code motion): what depends on the row alone is computed once per row. Reductions over
 * the same range that do not need each other's results share a loop. Printers (js.ts, a GPU's, a WASM kernel's) write
 * down what is found here.
 */
import { sizeOf } from "../shape.ts";
import { Expr, type ExprNode, headOf, partsOf, type ReductionName, rebuild, type Source } from "./expr.ts";
import { type Atom, Index, Variable } from "./indices.ts";
import { counterOf, each, type Launch, type Operand, replaceCounters } from "./launch.ts";

/** A launch as loops: one for each axis inside one another, around them a block that runs once. */
export interface Nest {
  readonly launch: Launch;
  /** Runs once. Its loop, if there are axes, is the last of its steps; the innermost one ends with `store`. */
  readonly outermost: Block;
  /** What it reads, in the order of first use. */
  readonly sources: readonly Source[];
}

/** What is done at each turn of a loop, in this order. */
export interface Block {
  /** Counts the turns; null for the outermost block. */
  readonly variable: Variable | null;
  readonly parent: Block | null;
  readonly steps: readonly Step[];
}

export type Step =
  /** Computes a number that is used several times, or in loops inside this one. */
  | { readonly kind: "let"; readonly value: Value }
  /** A loop that sums up, or finds the largest: one result or more. */
  | { readonly kind: "reduce"; readonly block: Block; readonly results: readonly Reduction[] }
  /** The next axis. */
  | { readonly kind: "loop"; readonly block: Block }
  /** The element. */
  | { readonly kind: "store"; readonly value: Value };

export interface Reduction {
  readonly name: ReductionName;
  readonly value: Value;
  /** What is summed up, in the loop's block. */
  readonly of: Value;
}

/** A number that is computed at one place. */
export interface Value {
  /** Different values of a nest have different ones. */
  readonly id: number;
  /** What it is; its operands are `parts`, in the order of `partsOf`. */
  readonly node: ExprNode;
  readonly parts: readonly Value[];
  /** Counters that it depends on. */
  readonly free: ReadonlySet<Variable>;
  /** True when it has no step of its own: it is used once, where it is, or is a constant or a param. */
  readonly inline: boolean;
}

/** The loops of a launch. */
export function nestOf(given: Launch): Nest {
  const launch = collapsed(given);
  const numbering = new Numbering();
  const element = numbering.of(launch.element);
  const outermost = new Home(null, null);
  let innermost = outermost;
  const axes = launch.axes.map((variable) => (innermost = new Home(variable, innermost)));
  const placing = new Placing();
  const value = placing.place(element, innermost);
  value.uses++;
  for (const home of [outermost, ...axes]) home.finish();
  axes.forEach((home) => {
    (home.parent as Home).steps.push({ kind: "loop", block: home });
  });
  innermost.steps.push({ kind: "store", value });
  return { launch, outermost, sources: [...numbering.sources.values()] };
}

/** A distinct subexpression. */
interface Entry {
  readonly id: number;
  readonly node: ExprNode;
  readonly parts: readonly Entry[];
  readonly free: ReadonlySet<Variable>;
  /** Reductions that must be done one after the other before it is known. */
  readonly rank: number;
}

/** Finds equal subexpressions. */
class Numbering {
  readonly sources = new Map<string, Source>();
  readonly #byKey = new Map<string, Entry>();
  readonly #byExpr = new Map<Expr, Entry>();

  of(e: Expr): Entry {
    let entry = this.#byExpr.get(e);
    if (entry) return entry;
    const { node } = e;
    const parts = partsOf(node).map((part) => this.of(part));
    const key = `${headOf(node)}(${parts.map(({ id }) => id)})`;
    entry = this.#byKey.get(key);
    if (!entry) {
      const free = new Set<Variable>();
      let rank = 0;
      for (const part of parts) {
        part.free.forEach((variable) => void free.add(variable));
        rank = Math.max(rank, part.rank);
      }
      for (const index of indicesOf(node)) eachAtom(index, (atom) => this.#note(atom, free));
      if (node.kind === "read") this.sources.set(node.source.name, node.source);
      if (node.kind === "reduce") {
        free.delete(node.variable);
        rank++;
      }
      entry = { id: this.#byKey.size, node, parts, free, rank };
      this.#byKey.set(key, entry);
    }
    this.#byExpr.set(e, entry);
    return entry;
  }

  #note(atom: Atom, free: Set<Variable>): void {
    if (atom.kind === "variable") free.add(atom.variable);
    if (atom.kind === "loaded") this.sources.set(atom.source.name, atom.source);
  }
}

/** The whole numbers in a node. */
export function indicesOf(node: ExprNode): readonly Index[] {
  if (node.kind === "read") return [node.at];
  if (node.kind === "whole") return [node.index];
  return node.kind === "choose" ? [node.a, node.b] : [];
}

/** Calls `visit` for every atom of an index, and for the atoms inside of them. */
export function eachAtom(index: Index, visit: (atom: Atom) => void): void {
  for (const { atom } of index.terms) {
    visit(atom);
    if (atom.kind === "quotient" || atom.kind === "remainder") eachAtom(atom.of, visit);
    if (atom.kind === "loaded") eachAtom(atom.at, visit);
  }
}

/** The counters that an index depends on. */
export function countersOf(index: Index): Set<Variable> {
  const found = new Set<Variable>();
  eachAtom(index, (atom) => {
    if (atom.kind === "variable") found.add(atom.variable);
  });
  return found;
}

/** The outermost block around this one, or itself, in which all these counters have values. */
export function homeOf<B extends Block>(free: ReadonlySet<Variable>, from: B): B {
  let home: Block = from;
  while (home.parent && !free.has(home.variable as Variable)) home = home.parent;
  return home as B;
}

/** The blocks around one, outermost first, and itself. */
export const pathTo = (block: Block): Block[] => (block.parent ? [...pathTo(block.parent), block] : [block]);

/** A value while places are being found. */
interface Draft extends Value {
  inline: boolean;
  uses: number;
  readonly rank: number;
  readonly home: Home;
}

interface Loop {
  readonly kind: "reduce";
  readonly block: Home;
  readonly results: { readonly name: ReductionName; readonly value: Draft; readonly of: Draft }[];
  readonly rank: number;
}

/** A block while it is filled. */
class Home implements Block {
  readonly variable: Variable | null;
  readonly parent: Home | null;
  readonly steps: Step[] = [];
  readonly values = new Map<Entry, Draft>();
  readonly loops = new Map<string, Loop>();

  constructor(variable: Variable | null, parent: Home | null) {
    this.variable = variable;
    this.parent = parent;
  }

  /** Puts all that was placed here in order: what needs r reductions, then those of rank r + 1, and so on. */
  finish(): void {
    const values = [...this.values.values()].filter(({ node }) => node.kind !== "reduce");
    for (const value of values) value.inline ||= value.uses === 1;
    for (const { block } of this.loops.values()) block.finish();
    const lets = values
      .filter(({ inline }) => !inline)
      .map((value) => ({ kind: "let" as const, value, at: 2 * value.rank }));
    const loops = [...this.loops.values()].map((loop) => ({ ...loop, at: 2 * loop.rank - 1 }));
    this.steps.push(...[...lets, ...loops].sort((a, b) => a.at - b.at));
  }
}

/** Gives each value a place. */
class Placing {
  #count = 0;

  /** The value of an expression that is used in the given block. */
  place(entry: Entry, from: Home): Draft {
    const home = homeOf(entry.free, from);
    let value = home.values.get(entry);
    if (!value) {
      value = entry.node.kind === "reduce" ? this.#reduce(entry, entry.node, home) : this.#value(entry, home);
      home.values.set(entry, value);
    }
    // Used in a loop inside of its own, it is computed before that: it needs a step.
    if (home !== from) value.uses = Infinity;
    return value;
  }

  #value({ node, parts, free, rank }: Entry, home: Home): Draft {
    const own = parts.map((part) => this.place(part, home));
    for (const part of own) part.uses++;
    const inline = node.kind === "const" || node.kind === "param";
    return { id: this.#count++, node, parts: own, free, rank, home, inline, uses: 0 };
  }

  #reduce({ node, parts, free, rank }: Entry, { name, variable }: ReduceNode, home: Home): Draft {
    const key = `${rank} ${variable.name}`;
    let loop = home.loops.get(key);
    if (!loop) {
      loop = { kind: "reduce", block: new Home(variable, home), results: [], rank };
      home.loops.set(key, loop);
    }
    const of = this.place(parts[0], loop.block);
    of.uses++;
    const value = { id: this.#count++, node, parts: [of], free, rank, home, inline: false, uses: 0 };
    loop.results.push({ name, value, of });
    return value;
  }
}

type ReduceNode = Extract<ExprNode, { kind: "reduce" }>;

/**
 * The same launch with fewer axes: neighbours that every index walks like one become one, those of length 1 go. An
 * elementwise launch over blocks of one shape has one axis, whatever the shape.
 */
function collapsed({ axes, element }: Launch): Launch {
  const indices: Index[] = [];
  rebuild(element, (e) => {
    for (const index of indicesOf(e.node)) forms(index, indices);
    return e;
  });
  const factorOf = (index: Index, variable: Variable): number =>
    index.terms.find(({ atom }) => atom.kind === "variable" && atom.variable === variable)?.factor ?? 0;

  const kept: Variable[] = [];
  const counters = new Map<Variable, Index>();
  /** The original axis whose factors the last of `kept` has. */
  let last: Variable | null = null;
  for (const axis of axes) {
    if (axis.length === 1) continue;
    const outer = last;
    const alike = outer && indices.every((x) => factorOf(x, outer) === factorOf(x, axis) * axis.length);
    const length = axis.length * (alike ? (kept.pop() as Variable).length : 1);
    if (alike) counters.set(outer, Index.constant(0));
    const variable = new Variable(`b${kept.length}:${length}`, length);
    kept.push(variable);
    counters.set(axis, counterOf(variable));
    last = axis;
  }
  return { axes: kept, element: replaceCounters(element, counters) };
}

/** The linear form of an index and of all inside of it. */
function forms(index: Index, found: Index[]): void {
  found.push(index);
  for (const { atom } of index.terms) {
    if (atom.kind === "quotient" || atom.kind === "remainder") forms(atom.of, found);
    if (atom.kind === "loaded") forms(atom.at, found);
  }
}

/** A launch of a formula, and what others read it as. */
export interface Stage {
  readonly source: Source;
  readonly launch: Launch;
  /** Elements that it computes. */
  readonly size: number;
}

/** A formula's launches, earlier ones first: those that its result reads, directly or not, and the result. */
export function launchesOf(result: Operand): Stage[] {
  const found = new Map<string, Stage>();
  const visit = (source: Source): void => {
    const { launch, name } = source;
    if (!launch || found.has(name)) return;
    rebuild(launch.element, (e) => {
      if (e.node.kind === "read") visit(e.node.source);
      for (const index of indicesOf(e.node)) {
        eachAtom(index, (atom) => {
          if (atom.kind === "loaded") visit(atom.source);
        });
      }
      return e;
    });
    found.set(name, { source, launch, size: sizeOf(launch.axes.map(({ length }) => length)) });
  };
  visit(result.source);
  return [...found.values()];
}

/**
 * The same result, for devices that compute each element by itself: reductions that depend on some of the axes only,
 * such as the largest of a row, become launches of their own, so that they are not done again for every element of the
 * row. `done` are launches that were changed before, for results that have some in common.
 */
export function withStatistics(result: Operand, done: Map<string, Operand> = new Map()): Operand {
  for (const stage of launchesOf(result)) {
    if (done.has(stage.source.name)) continue;
    const launch = collapsed(stage.launch);
    done.set(stage.source.name, split({ axes: launch.axes, element: readFrom(launch.element, done) }));
  }
  const last = done.get(result.source.name) as Operand;
  return last.as(result.shape);
}

/** The expression reading other launches in place of those named. */
function readFrom(element: Expr, launches: ReadonlyMap<string, Operand>): Expr {
  return rebuild(element, (e) => {
    const { node } = e;
    const other = node.kind === "read" && launches.get(node.source.name);
    return other ? new Expr({ ...node, source: other.source } as ExprNode) : e;
  });
}

function split({ axes, element }: Launch): Operand {
  const numbering = new Numbering();
  const statistics = new Map<number, Operand>();
  // Inner reductions come first: a row's sum of exponentials reads the row's largest number from its launch.
  const changed = rebuild(element, (e) => {
    if (e.node.kind !== "reduce") return e;
    const { id, free } = numbering.of(e);
    const own = axes.filter((axis) => free.has(axis));
    const inner = [...free].some((variable) => !axes.includes(variable));
    if (inner || own.length === axes.length) return e;
    let statistic = statistics.get(id);
    if (!statistic) {
      const shape = own.map(({ length }) => length);
      statistic = each(shape, (...places) =>
        replaceCounters(e, new Map(own.map((axis, i) => [axis, places[i]]))),
      );
      statistics.set(id, statistic);
    }
    return statistic.at(...own.map(counterOf));
  });
  const shape = axes.map(({ length }) => length);
  return each(shape, (...places) =>
    replaceCounters(changed, new Map(axes.map((axis, i) => [axis, places[i]]))),
  );
}
