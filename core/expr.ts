/**
 * Formulas of elementwise ops, written once: an expression over scalars that becomes the plain kernel
 * (this file, in double precision), the emitted WASM kernel and the GPU kernel.
 */
import { erf, gelu, geluSlope } from "./erf.ts";

/** Functions of one number: those of erf.ts, and of `Math`. */
export const UNARY = [
  ...(["neg", "abs", "sqrt", "exp", "log", "log1p"] as const),
  ...(["sin", "cos", "sinh", "asinh", "tanh", "erf"] as const),
  ...(["gelu", "geluSlope"] as const),
] as const;
export const BINARY = ["add", "sub", "mul", "div", "min", "max"] as const;
export type UnaryName = (typeof UNARY)[number];
export type BinaryName = (typeof BINARY)[number];

/** A node of a formula. */
export type ExprNode =
  | { readonly kind: "input"; readonly index: number }
  /** A number given at each call, such as a scale. */
  | { readonly kind: "param"; readonly index: number }
  | { readonly kind: "const"; readonly value: number }
  | { readonly kind: "unary"; readonly name: UnaryName; readonly x: Expr }
  | { readonly kind: "binary"; readonly name: BinaryName; readonly a: Expr; readonly b: Expr }
  /** a < b ? yes : no; `no` when either is NaN. */
  | {
      readonly kind: "select";
      readonly a: Expr;
      readonly b: Expr;
      readonly yes: Expr;
      readonly no: Expr;
    };

type Operand = Expr | number;
const lift = (x: Operand): Expr => (typeof x === "number" ? new Expr({ kind: "const", value: x }) : x);

/** A scalar expression; methods build larger ones. */
export class Expr {
  readonly node: ExprNode;
  constructor(node: ExprNode) {
    this.node = node;
  }

  static input(index: number): Expr {
    return new Expr({ kind: "input", index });
  }
  static param(index: number): Expr {
    return new Expr({ kind: "param", index });
  }

  #unary(name: UnaryName): Expr {
    return new Expr({ kind: "unary", name, x: this });
  }
  #binary(name: BinaryName, b: Operand): Expr {
    return new Expr({ kind: "binary", name, a: this, b: lift(b) });
  }
  neg(): Expr {
    return this.#unary("neg");
  }
  abs(): Expr {
    return this.#unary("abs");
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
  add(b: Operand): Expr {
    return this.#binary("add", b);
  }
  sub(b: Operand): Expr {
    return this.#binary("sub", b);
  }
  mul(b: Operand): Expr {
    return this.#binary("mul", b);
  }
  div(b: Operand): Expr {
    return this.#binary("div", b);
  }
  /** The smaller; NaN if either is NaN. */
  min(b: Operand): Expr {
    return this.#binary("min", b);
  }
  /** The larger; NaN if either is NaN. */
  max(b: Operand): Expr {
    return this.#binary("max", b);
  }
  /** this < b ? yes : no */
  lessThan(b: Operand, yes: Operand, no: Operand): Expr {
    return new Expr({ kind: "select", a: this, b: lift(b), yes: lift(yes), no: lift(no) });
  }
}

/** What `Math` lacks. */
const HOST = { erf, gelu, geluSlope };

/** The formula as a JavaScript expression over `x0, x1, …` (inputs) and `p0, p1, …` (params). */
function toJs(e: Expr): string {
  const node = e.node;
  switch (node.kind) {
    case "input":
      return `x${node.index}`;
    case "param":
      return `p${node.index}`;
    case "const":
      return Object.is(node.value, -0) ? "(-0)" : `(${node.value})`;
    case "unary":
      if (node.name === "neg") return `(-${toJs(node.x)})`;
      return node.name in HOST ? `${node.name}(${toJs(node.x)})` : `Math.${node.name}(${toJs(node.x)})`;
    case "binary": {
      const [a, b] = [toJs(node.a), toJs(node.b)];
      if (node.name === "min" || node.name === "max") return `Math.${node.name}(${a}, ${b})`;
      return `(${a} ${{ add: "+", sub: "-", mul: "*", div: "/" }[node.name]} ${b})`;
    }
    case "select":
      return `(${toJs(node.a)} < ${toJs(node.b)} ? ${toJs(node.yes)} : ${toJs(node.no)})`;
  }
}

type Numbers = Float32Array | Float64Array | Int32Array;
/** Runs a formula along one row: `strides[i]` is 0 to repeat input i's first element, 1 to walk it. */
export type RowFunction = (
  out: Numbers,
  at: number,
  count: number,
  ins: readonly Numbers[],
  starts: readonly number[],
  strides: readonly number[],
  params: readonly number[],
) => void;

/** Compiles a formula of `inputs` inputs and `params` params to a loop over one row, in double precision. */
export function compileRow(formula: Expr, inputs: number, params: number): RowFunction {
  const each = (n: number, text: (i: number) => string): string =>
    Array.from({ length: n }, (_, i) => text(i)).join(" ");
  return new Function(
    ...Object.keys(HOST),
    `return (out, at, count, ins, starts, strides, params) => {
      ${each(params, (i) => `const p${i} = params[${i}];`)}
      ${each(inputs, (i) => `const a${i} = ins[${i}], s${i} = strides[${i}]; let i${i} = starts[${i}];`)}
      for (let i = 0; i < count; i++) {
        ${each(inputs, (i) => `const x${i} = a${i}[i${i}]; i${i} += s${i};`)}
        out[at + i] = ${toJs(formula)};
      }
    };`,
  )(...Object.values(HOST));
}
