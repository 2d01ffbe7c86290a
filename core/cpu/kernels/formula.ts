/** SIMD code for the formulas of core/formula/expr.ts. A subexpression that occurs twice is computed once. */
import { type Expr, type ExprNode, headOf, partsOf } from "../../formula/expr.ts";
import type { Local } from "./assembler.ts";
import type { KernelCode } from "./engine.ts";
import { asinh, cos, erf, exp, gelu, geluSlope, log, log1p, sin, sinh, tanh } from "./math.ts";
import type { F32x4 } from "./values.ts";

/** A node whose operands are steps that come before it. */
interface Step {
  readonly node: ExprNode;
  readonly operands: readonly number[];
}

/** The distinct subexpressions, operands first; the last one is the formula itself. */
function stepsOf(formula: Expr): { steps: Step[]; key: string } {
  const steps: Step[] = [];
  const byKey = new Map<string, number>();
  const byNode = new Map<ExprNode, number>();
  const visit = ({ node }: Expr): number => {
    const seen = byNode.get(node);
    if (seen !== undefined) return seen;
    const operands = partsOf(node).map(visit);
    const key = `${headOf(node)}(${operands.join(" ")})`;
    const step = byKey.get(key) ?? steps.push({ node, operands }) - 1;
    byKey.set(key, step);
    byNode.set(node, step);
    return step;
  };
  visit(formula);
  return { steps, key: [...byKey.keys()].join(";") };
}

/** A name for the formula: equal formulas have equal names. */
export function formulaKey(formula: Expr): string {
  return stepsOf(formula).key;
}

const COSTS: Readonly<Record<string, number>> = {
  sqrt: 500,
  div: 500,
  exp: 1500,
  log: 2000,
  log1p: 3000,
  sinh: 3000,
  asinh: 5000,
  tanh: 3000,
  erf: 3000,
  gelu: 2500,
  geluSlope: 2500,
  sin: 4000,
  cos: 4000,
};

/** How many microseconds a node takes for a million numbers, roughly: for the choice of threads. */
export const nodeCost = (node: ExprNode): number => COSTS[headOf(node)] ?? 100;

/** The same for a whole formula. */
export const formulaCost = (formula: Expr): number =>
  stepsOf(formula).steps.reduce((sum, { node }) => sum + nodeCost(node), 0);

const UNARY_CODE = {
  neg: (_: KernelCode, x: F32x4) => x.neg(),
  abs: (_: KernelCode, x: F32x4) => x.abs(),
  floor: (_: KernelCode, x: F32x4) => x.floor(),
  sqrt: (_: KernelCode, x: F32x4) => x.sqrt(),
  exp,
  log,
  log1p,
  sinh,
  asinh,
  sin,
  cos,
  tanh,
  erf,
  gelu,
  geluSlope,
};

/** Code for the formula; inputs and params must be locals. Products and sums are rounded one by one. */
export function emitFormula(
  code: KernelCode,
  formula: Expr,
  inputs: readonly F32x4[],
  params: readonly F32x4[],
): F32x4 {
  const values: F32x4[] = [];
  for (const { node, operands } of stepsOf(formula).steps) {
    if (node.kind === "input") values.push(inputs[node.index]);
    else if (node.kind === "param") values.push(params[node.index]);
    else
      values.push(
        emitNode(
          code,
          node,
          operands.map((step) => values[step]),
        ),
      );
  }
  return values[values.length - 1];
}

/** Code for what a node does with its operands, which must be locals. */
export function emitNode(code: KernelCode, node: ExprNode, [a, b, yes, no]: readonly F32x4[]): Local<F32x4> {
  switch (node.kind) {
    case "const":
      return code.f.constant(node.value);
    case "unary":
      return code.f.let(UNARY_CODE[node.name](code, a));
    case "binary":
      return code.f.let(a[node.name](b));
    case "select":
      return code.f.let((node.test === "less" ? a.lt(b) : a.eq(b)).select(yes, no));
    default:
      throw new Error(`emitNode: expected an operation on numbers, got a ${node.kind}`);
  }
}
