/** Derivatives of elementwise formulas, as formulas. */
import { type Expr, rebuild, type UnaryName } from "./expr.ts";

/**
 * dy ∂f/∂x for input number `input` of f, where `dy` is an expression of its own: the chain rule, node by node (as in
 * forward mode, with dy in place of the input's own change). undefined where f does not depend on it. Where the result
 * needs f itself, it reads `y` in its place. At kinks the side is the one that `min`, `max` and selects take; of |x| at
 * 0 it is 0.
 */
export function derivative(f: Expr, input: number, dy: Expr, y: Expr): Expr | undefined {
  const changes = new Map<Expr, Expr | undefined>();
  const changeOf = (e: Expr): Expr | undefined => {
    if (!changes.has(e)) changes.set(e, found(e));
    return changes.get(e);
  };
  const change = changeOf(f);
  return change && rebuild(change, (e) => (e === f ? y : e));

  function found(e: Expr): Expr | undefined {
    const { node } = e;
    switch (node.kind) {
      case "input":
        return node.index === input ? dy : undefined;
      case "unary": {
        const dx = changeOf(node.x);
        return dx && SLOPES[node.name](dx, node.x, e);
      }
      case "binary": {
        const { a, b } = node;
        const [da, db] = [changeOf(a), changeOf(b)];
        switch (node.name) {
          case "add":
            return sum(da, db);
          case "sub":
            return sum(da, db?.neg());
          case "mul":
            if (a === b) return da?.mul(a).mul(2);
            return sum(da?.mul(b), db && a.mul(db));
          case "div":
            return sum(da?.div(b), db?.mul(e).div(b).neg()); // ∂(a/b)/∂b = −(a/b)/b
          case "max":
            return da || db ? a.lessThan(b, db ?? 0, da ?? 0) : undefined;
          case "min":
            return da || db ? b.lessThan(a, db ?? 0, da ?? 0) : undefined;
        }
        break;
      }
      case "select": {
        const [yes, no] = [changeOf(node.yes), changeOf(node.no)];
        if (!yes && !no) return undefined;
        const compare = node.test === "less" ? "lessThan" : "equals";
        return node.a[compare](node.b, yes ?? 0, no ?? 0);
      }
      case "param":
      case "const":
        return undefined;
    }
    throw new Error(`derivative: expected an elementwise formula, got one with a ${node.kind}`);
  }
}

const sum = (a: Expr | undefined, b: Expr | undefined): Expr | undefined => (a && b ? a.add(b) : (a ?? b));

/** What a change dx of x makes of y = f(x); nothing of one that is flat wherever it has a slope. */
const SLOPES: Readonly<Record<UnaryName, (dx: Expr, x: Expr, y: Expr) => Expr | undefined>> = {
  neg: (dx: Expr) => dx.neg(),
  abs: (dx: Expr, x: Expr) => dx.mul(x.lessThan(0, -1, x.neg().lessThan(0, 1, x))),
  floor: () => undefined,
  sqrt: (dx: Expr, _: Expr, y: Expr) => dx.div(y).mul(0.5),
  exp: (dx: Expr, _: Expr, y: Expr) => dx.mul(y),
  log: (dx: Expr, x: Expr) => dx.div(x),
  log1p: (dx: Expr, x: Expr) => dx.div(x.add(1)),
  sin: (dx: Expr, x: Expr) => dx.mul(x.cos()),
  cos: (dx: Expr, x: Expr) => dx.mul(x.sin()).neg(),
  sinh: (dx: Expr, x: Expr) => dx.mul(cosh(x)),
  asinh: (dx: Expr, x: Expr) => dx.div(x.mul(x).add(1).sqrt()),
  tanh: (dx: Expr, _: Expr, y: Expr) => dx.sub(dx.mul(y.mul(y))),
  erf: (dx: Expr, x: Expr) => dx.mul(x.mul(x).neg().exp()).mul(2 / Math.sqrt(Math.PI)),
  gelu: (dx: Expr, x: Expr) => dx.mul(x.geluSlope()),
  geluSlope(dx: Expr, x: Expr): Expr {
    const square = x.mul(x);
    const density = square
      .mul(-0.5)
      .exp()
      .mul(1 / Math.sqrt(2 * Math.PI));
    return dx.mul(density.mul(square.neg().add(2))); // φ(x) (2 − x²)
  },
};

/** (eˣ + e⁻ˣ) / 2, from e^±|x|/2: eˣ overflows before cosh does. */
export function cosh(x: Expr): Expr {
  const [h, g] = [x.abs().mul(0.5).exp(), x.abs().mul(-0.5).exp()];
  return h.mul(0.5).mul(h).add(g.mul(0.5).mul(g));
}
