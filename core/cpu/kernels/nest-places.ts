/**
 * Whole numbers in the kernel of a nest: counters, where numbers lie, and how far apart those are that are compared.
 */
import { type Atom, Index, type Term, type Variable } from "../../formula/indices.ts";
import { type Block, countersOf, homeOf, type Nest } from "../../formula/loops.ts";
import type { Local } from "./assembler.ts";
import type { KernelCode } from "./engine.ts";
import { load } from "./loads.ts";
import { I32, int } from "./values.ts";

/** Numbers that are arguments; further ones are written into the code. */
export const MOST_NUMBERS = 100;

/** What the kernel must know of a source. */
export interface Numbers {
  readonly size: number;
  /** True for int32, false for float32. */
  readonly integers: boolean;
}

/** The index without its constant. */
const withoutConstant = (index: Index): Index => index.add(-index.constant);

const sumOf = (terms: readonly Term[]): Index =>
  terms.reduce((sum, { atom, factor }) => sum.add(Index.atom(atom).mul(factor)), Index.constant(0));

/**
 * Writes whole numbers where they are needed. What an index needs of the counters around is computed once per turn of
 * their loops, at the start (`enter`); lengths, strides and sizes are arguments of the kernel, in the order of first
 * use.
 */
export class Places {
  /** Values of those arguments. */
  readonly numbers: number[] = [];
  readonly #nest: Nest;
  readonly #sources: readonly Numbers[];
  readonly #code: KernelCode;
  readonly #bases: readonly I32[];
  readonly #known = new Map<string, I32>();
  readonly #counters = new Map<Variable, Local<I32>>();
  /** Whole numbers that are computed at the start of each turn of a block: sums without constants, by key. */
  readonly #heads = new Map<Block, Map<string, { readonly index: Index; local: Local<I32> | null }>>();
  /** The counter that stands further than at the first lane, while a later lane's index is computed. */
  #moved: Variable | null = null;

  constructor(nest: Nest, sources: readonly Numbers[], code: KernelCode) {
    this.#nest = nest;
    this.#sources = sources;
    this.#code = code;
    this.#bases = code.args.slice(1, 1 + nest.sources.length);
  }

  /** Computes what the turn of a block that begins here has in common. */
  enter(block: Block): void {
    const { f } = this.#code;
    for (const head of this.#heads.get(block)?.values() ?? []) {
      head.local = null;
      head.local = f.let(this.#sum(head.index, block));
    }
  }

  source(name: string): Numbers & { readonly base: I32 } {
    const i = this.#nest.sources.findIndex((source) => source.name === name);
    return { ...this.#sources[i], base: this.#bases[i] };
  }

  /** A number that shapes decide. Equal keys have equal numbers. */
  number(key: string, value: number): I32 {
    let number = this.#known.get(key);
    if (!number) {
      const at = 1 + this.#bases.length + this.numbers.length;
      number = this.numbers.length < MOST_NUMBERS ? this.#code.args[at] : int(value);
      if (this.numbers.length < MOST_NUMBERS) this.numbers.push(value);
      this.#known.set(key, number);
    }
    return number;
  }

  counter(variable: Variable): Local<I32> {
    let counter = this.#counters.get(variable);
    if (!counter) this.#counters.set(variable, (counter = this.#code.f.local(I32)));
    return counter;
  }

  /** Has the parts of an index computed where the counters that they need are known. */
  note(index: Index, block: Block): void {
    for (const { atom } of index.terms) {
      const home = homeOf(countersOf(Index.atom(atom)), block);
      if (atom.kind === "loaded") this.note(atom.at, home);
      if (atom.kind === "quotient" || atom.kind === "remainder") this.note(atom.of, home);
    }
    for (let home: Block | null = block; home; home = home.parent) {
      const at: Block = home;
      const part = sumOf(index.terms.filter((term) => isKnown(term, at, block)));
      if (!part.terms.some(({ atom }) => homeOf(countersOf(Index.atom(atom)), block) === at)) continue;
      let heads = this.#heads.get(at);
      if (!heads) this.#heads.set(at, (heads = new Map()));
      if (!heads.has(part.key)) heads.set(part.key, { index: part, local: null });
    }
  }

  /** A whole number where it is used. */
  whole(index: Index, block: Block): I32 {
    const { constant } = index;
    const rest = withoutConstant(index);
    if (rest.terms.length === 0) return this.number(`${constant}`, constant);
    const sum = this.#head(rest, block) ?? this.#sum(rest, block);
    return constant === 0 ? sum : sum.add(this.number(`${constant}`, constant));
  }

  #head(sum: Index, block: Block | null): I32 | null {
    if (this.#moved && countersOf(sum).has(this.#moved)) return null; // what is known is the first lane's
    for (let at = block; at; at = at.parent) {
      const local = this.#heads.get(at)?.get(sum.key)?.local;
      if (local) return local;
    }
    return null;
  }

  /** A sum without a constant: what is known further out, and the rest. */
  #sum(index: Index, block: Block): I32 {
    const outer = index.terms.filter(({ atom }) => homeOf(countersOf(Index.atom(atom)), block) !== block);
    const known = outer.length > 0 && block.parent ? this.#head(sumOf(outer), block.parent) : null;
    const own = known ? index.terms.filter((term) => !outer.includes(term)) : index.terms;
    const parts = own.map(({ atom, key, factor }) => {
      const value = this.#atom(atom, block);
      return factor === 1 ? value : value.mul(this.number(`${key}*${factor}`, factor));
    });
    return [...(known ? [known] : []), ...parts].reduce((a, b) => a.add(b));
  }

  #atom(atom: Atom, block: Block): I32 {
    const { f } = this.#code;
    switch (atom.kind) {
      case "variable":
        return this.counter(atom.variable);
      case "loaded": {
        const { base, size } = this.source(atom.source.name);
        const place = f.let(this.whole(atom.at, block));
        const inside = place.lt(this.number(`${atom.source.name} size`, size)).select(place, 0);
        return load(I32, base.add(inside.shl(2)));
      }
      default: {
        const of = f.let(this.whole(atom.of, block));
        const by = this.number(`/${atom.by}`, atom.by);
        // Division is that of unsigned numbers: ⌊x / by⌋ = −1 − ⌊(−1 − x) / by⌋.
        const quotient =
          atom.of.low >= 0 ? of.div(by) : of.shr(31).select(int(-1).sub(int(-1).sub(of).div(by)), of.div(by));
        return f.let(atom.kind === "quotient" ? quotient : of.sub(quotient.mul(by)));
      }
    }
  }

  /** An index for the element that is `lane` turns of a counter further. */
  laneOf(index: Index, block: Block, along: Variable, lane: number): Local<I32> {
    const { f } = this.#code;
    const counter = this.counter(along);
    this.#counters.set(along, f.let(counter.add(lane)));
    this.#moved = along;
    const result = f.let(this.whole(index, block));
    this.#moved = null;
    this.#counters.set(along, counter);
    return result;
  }
}

/** Whether what a term needs is known at a block around the one where it is used. */
function isKnown({ atom }: Term, at: Block, block: Block): boolean {
  let home: Block | null = at;
  const needed = homeOf(countersOf(Index.atom(atom)), block);
  while (home && home !== needed) home = home.parent;
  return home !== null;
}
