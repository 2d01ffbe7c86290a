import { defineElementwise, unbroadcast } from "../elementwise.ts";
import type { Expr } from "../formula/expr.ts";
import { apply, sample } from "../op.ts";
import type { Tensor } from "../tensor.ts";

/**
 * aᵇ = e^(b ln a); of a negative number only with an integer exponent, else its logarithm is NaN, and so is the result.
 */
function power(a: Expr, b: Expr): Expr {
  const half = b.mul(0.5);
  const base = a.lessThan(0, b.floor().equals(b, a.abs(), a), a);
  const size = base.log().mul(b).exp();
  const signed = a.lessThan(0, half.floor().equals(half, size, size.neg()), size);
  return b.equals(0, 1, a.equals(1, 1, signed));
}

const op = defineElementwise({
  name: "pow",
  inputs: 2,
  formula: ([a, b]) => power(a, b),
  backward(dy, [a, b], y, _attrs, wants) {
    const da = (): Tensor => unbroadcast(dy.mul(b).mul(a.pow(b.sub(1))), a);
    const db = (): Tensor => unbroadcast(dy.mul(y).mul(a.add(a.eq(0)).log()), b); // y ln a, 0 where a is 0
    return [wants[0] ? da() : null, wants[1] ? db() : null];
  },
  samples: [
    { ...sample([2, 5], [5]), range: [0.3, 2] },
    { ...sample([], [3]), range: [0.5, 1] },
  ],
});

const numberOp = defineElementwise({
  name: "powNumber",
  inputs: 1,
  params: 1,
  formula: ([x], [exponent]) => power(x, exponent),
  backward: (dy, [x], _y, [exponent]) => [dy.mul(x.pow(exponent - 1)).scale(exponent)],
  samples: [{ ...sample([2, 5]), attrs: [-0.7], range: [0.5, 2] }],
});

/** Integer exponents up to this size are products. */
const MOST = 64;

/**
 * aᵇ, with broadcasting; b may be a number. Integers b up to 64 in size multiply: exact where the result is, also for
 * int32. Others are e^(b ln a), whose error in float32 is up to (2 + |b ln a|) 2⁻²⁴ of the result; NaN where a < 0 and
 * b is no integer.
 */
export function pow(a: Tensor, b: Tensor | number): Tensor {
  if (typeof b !== "number") return apply(op, [a, b], []);
  if (Number.isInteger(b) && Math.abs(b) <= MOST) return integerPower(a, b);
  return b === 0.5 ? a.sqrt() : apply(numberOp, [a], [b]);
}

/** By squaring (The Art of Computer Programming, volume 2, 4.6.3). */
function integerPower(x: Tensor, n: number): Tensor {
  if (n < 0) return integerPower(x, -n).reciprocal();
  if (n === 0) return x.onesLike();
  if (n === 1) return x;
  const square = integerPower(x, Math.floor(n / 2)).square();
  return n % 2 === 0 ? square : square.mul(x);
}
