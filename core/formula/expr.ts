/**
 * What one number of a result is: an expression over numbers, written once. It becomes the plain kernel (js.ts, in
 * double precision), the emitted WASM kernel and the GPU kernel.
 */
import type { Index, Variable } from "./indices.ts";
import type { Launch } from "./launch.ts";

/** Functions of one number: those of erf.ts, and of `Math`. */
export type UnaryName =
  | "neg"
  | "abs"
  | "floor"
  | "sqrt"
  | "exp"
  | "log"
  | "log1p"
  | "sin"
  | "cos"
  | "sinh"
  | "asinh"
  | "tanh"
  | "erf"
  | "gelu"
  | "geluSlope";
export type BinaryName = "add" | "sub" | "mul" | "div" | "min" | "max";
export type ReductionName = "sum" | "max";

/** Where numbers are read from: an input of the op, or what an earlier launch of it made. */
export interface Source {
  /** Different sources have different names. */
  readonly name: string;
  /** Which input; those that the host makes follow the op's own. null for a launch. */
  readonly input: number | null;
  readonly launch: Launch | null;
}

/** A node of a formula. */
export type ExprNode =
  /** In elementwise formulas: the element of an input that belongs to the element of the output. */
  | { readonly kind: "input"; readonly index: number }
  /** A number given at each call, such as a scale. */
  | { readonly kind: "param"; readonly index: number }
  | { readonly kind: "const"; readonly value: number }
  | { readonly kind: "unary"; readonly name: UnaryName; readonly x: Expr }
  | { readonly kind: "binary"; readonly name: BinaryName; readonly a: Expr; readonly b: Expr }
  /** a < b, or a = b, ? yes : no; `no` when either is NaN. */
  | {
      readonly kind: "select";
      readonly test: "less" | "equal";
      readonly a: Expr;
      readonly b: Expr;
      readonly yes: Expr;
      readonly no: Expr;
    }
  /** A number of a source; `at` counts its elements, row-major. It is inside wherever the result is used. */
  | { readonly kind: "read"; readonly source: Source; readonly at: Index }
  /** a < b, or a = b, ? yes : no */
  | {
      readonly kind: "choose";
      readonly test: "less" | "equal";
      readonly a: Index;
      readonly b: Index;
      readonly yes: Expr;
      readonly no: Expr;
    }
  /** A whole number as a number. */
  | { readonly kind: "whole"; readonly index: Index }
  /** Sum (0 if there are none) or largest (−∞ if there are none) of what `of` is for each value of a counter. */
  | {
      readonly kind: "reduce";
      readonly name: ReductionName;
      readonly variable: Variable;
      readonly of: Expr;
    };

/** An expression, or a constant one. */
export type Scalar = Expr | number;

export const lift = (x: Scalar): Expr => (typeof x === "number" ? new Expr({ kind: "const", value: x }) : x);

/** A scalar expression; methods build larger ones. */
export class Expr {
  readonly node: ExprNode;
  constructor(node: ExprNode) {
    this.node = node;
  }

  static input(index: number): Expr {
    return new Expr({ kind: "input", index });
  }
  static constant(value: number): Expr {
    return new Expr({ kind: "const", value });
  }
  static param(index: number): Expr {
    return new Expr({ kind: "param", index });
  }

  #unary(name: UnaryName): Expr {
    return new Expr({ kind: "unary", name, x: this });
  }
  #binary(name: BinaryName, b: Scalar): Expr {
    return new Expr({ kind: "binary", name, a: this, b: lift(b) });
  }
  neg(): Expr {
    return this.#unary("neg");
  }
  abs(): Expr {
    return this.#unary("abs");
  }
  /** The largest integer that is not above this. */
  floor(): Expr {
    return this.#unary("floor");
  }
  sqrt(): Expr {
    return this.#unary("sqrt");
  }
  exp(): Expr {
    return this.#unary("exp");
  }
  log(): Expr {
    return this.#unary("log");
  }
  /** ln(1 + x) */
  log1p(): Expr {
    return this.#unary("log1p");
  }
  sin(): Expr {
    return this.#unary("sin");
  }
  cos(): Expr {
    return this.#unary("cos");
  }
  sinh(): Expr {
    return this.#unary("sinh");
  }
  asinh(): Expr {
    return this.#unary("asinh");
  }
  tanh(): Expr {
    return this.#unary("tanh");
  }
  erf(): Expr {
    return this.#unary("erf");
  }
  /** x Φ(x) with the normal distribution function Φ. */
  gelu(): Expr {
    return this.#unary("gelu");
  }
  /** The derivative of `gelu`. */
  geluSlope(): Expr {
    return this.#unary("geluSlope");
  }
  add(b: Scalar): Expr {
    return this.#binary("add", b);
  }
  sub(b: Scalar): Expr {
    return this.#binary("sub", b);
  }
  mul(b: Scalar): Expr {
    return this.#binary("mul", b);
  }
  div(b: Scalar): Expr {
    return this.#binary("div", b);
  }
  /** The smaller; NaN if either is NaN. */
  min(b: Scalar): Expr {
    return this.#binary("min", b);
  }
  /** The larger; NaN if either is NaN. */
  max(b: Scalar): Expr {
    return this.#binary("max", b);
  }
  /** this < b ? yes : no; `no` where either is NaN */
  lessThan(b: Scalar, yes: Scalar, no: Scalar): Expr {
    return this.#select("less", b, yes, no);
  }
  /** this = b ? yes : no; `no` where either is NaN */
  equals(b: Scalar, yes: Scalar, no: Scalar): Expr {
    return this.#select("equal", b, yes, no);
  }
  #select(test: "less" | "equal", b: Scalar, yes: Scalar, no: Scalar): Expr {
    return new Expr({ kind: "select", test, a: this, b: lift(b), yes: lift(yes), no: lift(no) });
  }
}

/** The expressions that a node is made of. */
export function partsOf(node: ExprNode): readonly Expr[] {
  switch (node.kind) {
    case "unary":
      return [node.x];
    case "binary":
      return [node.a, node.b];
    case "select":
      return [node.a, node.b, node.yes, node.no];
    case "choose":
      return [node.yes, node.no];
    case "reduce":
      return [node.of];
    default:
      return [];
  }
}

/** What tells nodes with equal parts apart. */
export function headOf(node: ExprNode): string {
  switch (node.kind) {
    case "input":
    case "param":
      return `${node.kind}${node.index}`;
    case "const":
      return Object.is(node.value, -0) ? "-0" : `${node.value}`;
    case "select":
      return `select ${node.test}`;
    case "whole":
      return `whole ${node.index.key}`;
    case "read":
      return `${node.source.name}[${node.at.key}]`;
    case "choose":
      return `${node.test} ${node.a.key} ${node.b.key}`;
    case "reduce":
      return `${node.name} ${node.variable.name}`;
    default:
      return node.name;
  }
}

/**
 * The formula with other nodes in place of some: `change` is given each node, its parts changed already, and returns
 * what stands there instead. Parts that occur twice stay one object.
 */
export function rebuild(formula: Expr, change: (e: Expr) => Expr): Expr {
  const done = new Map<Expr, Expr>();
  const visit = (e: Expr): Expr => {
    let result = done.get(e);
    if (!result) done.set(e, (result = change(withParts(e, partsOf(e.node).map(visit)))));
    return result;
  };
  return visit(formula);
}

function withParts(e: Expr, parts: readonly Expr[]): Expr {
  const { node } = e;
  if (partsOf(node).every((part, i) => part === parts[i])) return e;
  switch (node.kind) {
    case "unary":
      return new Expr({ ...node, x: parts[0] });
    case "binary":
      return new Expr({ ...node, a: parts[0], b: parts[1] });
    case "select":
      return new Expr({ ...node, a: parts[0], b: parts[1], yes: parts[2], no: parts[3] });
    case "choose":
      return new Expr({ ...node, yes: parts[0], no: parts[1] });
    case "reduce":
      return new Expr({ ...node, of: parts[0] });
    default:
      return e;
  }
}

/** Inputs become expressions. */
export const substitute = (formula: Expr, inputs: readonly Expr[]): Expr =>
  rebuild(formula, (e) => (e.node.kind === "input" ? inputs[e.node.index] : e));

/** The inputs that an elementwise formula reads. */
export function inputsOf(formula: Expr): number[] {
  const found = new Set<number>();
  rebuild(formula, (e) => {
    if (e.node.kind === "input") found.add(e.node.index);
    return e;
  });
  return [...found];
}
