/**
 * Whole numbers that say where a formula reads: counters of loops, sums and multiples of them, quotients and remainders
 * by constants, and row numbers loaded from int32 tensors. They are kept as linear forms, Σ factor · atom + constant,
 * whose range is known: so reading under another shape, (r · N + c) / N, costs nothing, and a bound that always holds
 * is not tested.
 */
import { Expr, lift, type Scalar, type Source } from "./expr.ts";

/** The counter of a loop: 0 to length − 1. Equal names in one formula are one counter. */
export class Variable {
  readonly name: string;
  readonly length: number;

  constructor(name: string, length: number) {
    this.name = name;
    this.length = length;
  }
}

/** What a linear form is made of. Quotients and remainders are those of division towards −∞. */
export type Atom =
  | { readonly kind: "variable"; readonly variable: Variable }
  | { readonly kind: "quotient" | "remainder"; readonly of: Index; readonly by: number }
  /** A number of an int32 operand. */
  | { readonly kind: "loaded"; readonly source: Source; readonly at: Index };

export interface Term {
  readonly atom: Atom;
  /** Equal atoms have equal keys. */
  readonly key: string;
  /** Not 0. */
  readonly factor: number;
}

/** A whole number. Methods build larger ones. */
export class Index {
  readonly terms: readonly Term[];
  readonly constant: number;
  /** Bounds of its values, inclusive; infinite where row numbers are loaded. */
  readonly low: number;
  readonly high: number;

  private constructor(terms: readonly Term[], constant: number) {
    this.terms = terms;
    this.constant = constant;
    let [low, high] = [constant, constant];
    for (const { atom, factor } of terms) {
      const [from, to] = rangeOf(atom);
      low += factor * (factor > 0 ? from : to);
      high += factor * (factor > 0 ? to : from);
    }
    this.low = low;
    this.high = high;
  }

  static constant(value: number): Index {
    if (!Number.isSafeInteger(value)) throw new Error(`Index: expected an integer, got ${value}`);
    return new Index([], value);
  }

  static atom(atom: Atom): Index {
    // A counter that never leaves 0 is no counter.
    if (atom.kind === "variable" && atom.variable.length === 1) return Index.constant(0);
    return new Index([{ atom, key: keyOf(atom), factor: 1 }], 0);
  }

  /** Equal keys, equal numbers. */
  get key(): string {
    const terms = this.terms.map(({ key, factor }) => `${factor}${key}`).sort();
    return `${this.constant}+${terms.join("+")}`;
  }

  add(b: Whole): Index {
    if (typeof b === "number")
      return b === 0 ? this : new Index(this.terms, this.constant + whole(b).constant);
    const terms = [...this.terms];
    for (const term of b.terms) {
      const at = terms.findIndex(({ key }) => key === term.key);
      if (at < 0) terms.push(term);
      else {
        const factor = terms[at].factor + term.factor;
        if (factor === 0) terms.splice(at, 1);
        else terms[at] = { ...term, factor };
      }
    }
    return new Index(terms, this.constant + b.constant);
  }

  sub(b: Whole): Index {
    return this.add(whole(b).mul(-1));
  }

  /** Times a constant. */
  mul(factor: number): Index {
    if (!Number.isSafeInteger(factor)) throw new Error(`Index.mul: expected an integer, got ${factor}`);
    if (factor === 0) return Index.constant(0);
    if (factor === 1) return this;
    const terms = this.terms.map((term) => ({ ...term, factor: term.factor * factor }));
    return new Index(terms, this.constant * factor);
  }

  /** ⌊this / by⌋, for a positive constant. */
  div(by: number): Index {
    const { quotient, rest } = this.#split(by, "div");
    const from = Math.floor(rest.low / by);
    if (from === Math.floor(rest.high / by)) return quotient.add(from);
    return quotient.add(Index.atom({ kind: "quotient", of: rest, by }));
  }

  /** this − by · ⌊this / by⌋, for a positive constant. */
  mod(by: number): Index {
    const { rest } = this.#split(by, "mod");
    const from = Math.floor(rest.low / by);
    if (from === Math.floor(rest.high / by)) return rest.sub(from * by);
    return Index.atom({ kind: "remainder", of: rest, by });
  }

  /** this = by · quotient + rest, the rest being what is no obvious multiple. */
  #split(by: number, who: string): { quotient: Index; rest: Index } {
    if (!Number.isSafeInteger(by) || by < 1)
      throw new Error(`Index.${who}: expected a positive integer, got ${by}`);
    const multiple = ({ factor }: Term): boolean => factor % by === 0;
    const terms = this.terms.filter(multiple).map((term) => ({ ...term, factor: term.factor / by }));
    const rest = this.terms.filter((term) => !multiple(term));
    return { quotient: new Index(terms, 0), rest: new Index(rest, this.constant) };
  }

  /** this < b ? yes : no */
  lessThan(b: Whole, yes: Scalar, no: Scalar): Expr {
    const difference = this.sub(b);
    if (difference.high < 0) return lift(yes);
    if (difference.low >= 0) return lift(no);
    return new Expr({ kind: "choose", test: "less", a: this, b: whole(b), yes: lift(yes), no: lift(no) });
  }

  /** this = b ? yes : no */
  equals(b: Whole, yes: Scalar, no: Scalar): Expr {
    const difference = this.sub(b);
    if (difference.low > 0 || difference.high < 0) return lift(no);
    if (difference.low === 0 && difference.high === 0) return lift(yes);
    return new Expr({ kind: "choose", test: "equal", a: this, b: whole(b), yes: lift(yes), no: lift(no) });
  }

  /** 0 ≤ this < length ? yes : no, such as a map with zeros around. */
  within(length: number, yes: Scalar, no: Scalar): Expr {
    return this.lessThan(0, no, this.lessThan(length, yes, no));
  }

  /** As a number of the formula. */
  value(): Expr {
    return new Expr({ kind: "whole", index: this });
  }

  /** With other whole numbers in place of counters. */
  replace(counters: ReadonlyMap<Variable, Index>): Index {
    let sum = Index.constant(this.constant);
    for (const { atom, factor } of this.terms) sum = sum.add(replaced(atom).mul(factor));
    return sum;

    function replaced(atom: Atom): Index {
      switch (atom.kind) {
        case "variable":
          return counters.get(atom.variable) ?? Index.atom(atom);
        case "quotient":
          return atom.of.replace(counters).div(atom.by);
        case "remainder":
          return atom.of.replace(counters).mod(atom.by);
        case "loaded":
          return Index.atom({ ...atom, at: atom.at.replace(counters) });
      }
    }
  }
}

/** A whole number, or a constant one. */
export type Whole = Index | number;

export const whole = (x: Whole): Index => (typeof x === "number" ? Index.constant(x) : x);

function rangeOf(atom: Atom): readonly [number, number] {
  switch (atom.kind) {
    case "variable":
      return [0, Math.max(0, atom.variable.length - 1)];
    case "quotient":
      return [Math.floor(atom.of.low / atom.by), Math.floor(atom.of.high / atom.by)];
    case "remainder":
      return [0, atom.by - 1];
    case "loaded":
      return [-Infinity, Infinity];
  }
}

function keyOf(atom: Atom): string {
  switch (atom.kind) {
    case "variable":
      return atom.variable.name;
    case "quotient":
      return `(${atom.of.key}/${atom.by})`;
    case "remainder":
      return `(${atom.of.key}%${atom.by})`;
    case "loaded":
      return `${atom.source.name}[${atom.at.key}]`;
  }
}
