/**
 * Elementary functions, four at a time. Each reduces its argument to a short interval and evaluates a polynomial
 * there (minimax.ts).
 *
 * Largest errors over all float32 arguments, in units of the last place (test/core/cpu/math.test.ts measures them
 * against float64, with FMA and without): exp 1, log 1, log1p 1, tanh 1.5, erf 1.5, sinh 2, asinh 2, sin and cos 2;
 * gelu 3 in the last place of its argument, its slope 3 in that of 1: both end in a difference.
 * Infinities, NaN, signed zeros and subnormal numbers come out as IEEE 754 and the C library have them.
 */
import {
  ASINH,
  COS,
  ERF_LARGE,
  ERF_SMALL,
  EXP,
  LOG,
  NEARNESS,
  NORMAL_TAIL,
  SIN,
  SINH,
  TANH,
} from "../../minimax.ts";
import type { KernelCode } from "./engine.ts";
import { F32x4, F64x2, I32x4 } from "./values.ts";

/** ln 2 in two parts; the first has nine bits, so that its product with an exponent is exact. */
const LN2_HIGH = 0.693359375;
const LN2_LOW = -2.1219444005469057e-4;
/** Adding 1.5 · 2²³ to a float leaves its nearest integer in the lowest bits. */
const ROUND = 12_582_912;
const SIGN = -0x8000_0000;

/** π/2 in two parts; the first has 33 bits, so that its product with 20 bits is exact in double precision. */
const HALF_PI_HIGH = 1.5707963267341256;
const HALF_PI_LOW = 6.077100506506192e-11;
/** Above it the quarter turns of an angle no longer fit 20 bits. */
const LARGE_ANGLE = 1_000_000;

/** c₀ + x·(c₁ + x·(c₂ + …)) */
function polynomial({ f, madd }: KernelCode, coefficients: readonly number[], x: F32x4): F32x4 {
  const [last, ...rest] = coefficients.toReversed();
  return rest.reduce<F32x4>((sum, c) => f.let(madd(sum, x, f.constant(c))), f.constant(last));
}

/** x = n · ln 2 + r: the bits of `turns` hold n above ROUND's, and `mantissa` is eʳ. */
function expParts(code: KernelCode, x: F32x4): { turns: I32x4; mantissa: F32x4 } {
  const { f, madd, nmadd } = code;
  const shifted = f.let(madd(x, f.constant(Math.LOG2E), f.constant(ROUND)));
  const n = f.let(shifted.sub(f.constant(ROUND)));
  const r = f.let(nmadd(n, f.constant(LN2_LOW), nmadd(n, f.constant(LN2_HIGH), x)));
  const tail = f.let(madd(polynomial(code, EXP, r), r.mul(r), r));
  return { turns: shifted.as(I32x4), mantissa: f.let(tail.add(f.constant(1))) };
}

/** 2ⁿ for integers −127 (which gives 0) to 127; only the lowest nine bits of n count. */
const powerOfTwo = ({ f }: KernelCode, n: I32x4): F32x4 => n.add(f.constantInt(127)).shl(23).as(F32x4);

/** eˣ for −88 ≤ x ≤ 88; 0 where eˣ is subnormal. */
export function expModerate(code: KernelCode, x: F32x4): F32x4 {
  const { turns, mantissa } = expParts(code, x);
  return code.f.let(mantissa.mul(powerOfTwo(code, turns)));
}

/** eˣ for x ≤ 0, −∞ included; 0 where eˣ is subnormal. What softmax needs. */
export function expNonPositive(code: KernelCode, x: F32x4): F32x4 {
  const { f } = code;
  return expModerate(code, f.let(x.pmax(f.constant(-88))));
}

/** eˣ */
export function exp(code: KernelCode, x: F32x4): F32x4 {
  const { f } = code;
  const { turns, mantissa } = expParts(code, f.let(x.pmin(f.constant(89)).pmax(f.constant(-104))));
  // Two factors, so that results may overflow to infinity and underflow gradually.
  const n = f.let(turns.sub(f.constant(ROUND).as(I32x4)));
  const half = f.let(n.shrSigned(1));
  return f.let(mantissa.mul(powerOfTwo(code, half)).mul(powerOfTwo(code, n.sub(half))));
}

/** ln x */
export function log(code: KernelCode, x: F32x4): F32x4 {
  const { f } = code;
  const subnormal = f.let(x.lt(f.constant(2 ** -126)));
  const normal = f.let(subnormal.select<F32x4>(x.mul(f.constant(2 ** 23)), x));
  const { n, fraction } = logParts(code, normal, subnormal.and(f.constantInt(23)));
  return atEdges(code, x, logSum(code, n, fraction, logTail(code, n, fraction)));
}

/**
 * ln(1 + x). Where 1 + x lies in [√½, √2) the fraction is x itself, which 1 + x has rounded; elsewhere what 1 + x lost
 * is added as a first-order term.
 */
export function log1p(code: KernelCode, x: F32x4): F32x4 {
  const { f } = code;
  const one = f.constant(1);
  const sum = f.let(x.add(one));
  const parts = logParts(code, sum, f.constantInt(0));
  const near = f.let(parts.n.eq(f.constant(0)));
  const fraction = f.let(near.select<F32x4>(x, parts.fraction));
  const large = f.let(x.pmax(one)); // the larger of the two terms, taken away first, leaves what was lost
  const lost = f.let(x.pmin(one).sub(sum.sub(large)).div(sum));
  const tail = logTail(code, parts.n, fraction);
  const far = logSum(code, parts.n, fraction, f.let(tail.add(lost)));
  const finite = f.let(near.select<F32x4>(fraction.add(tail), far));
  return atEdges(code, sum, finite);
}

/** x = 2ⁿ (1 + fraction) with 1 + fraction in [√½, √2), for normal x that were multiplied by 2^shift. */
function logParts({ f }: KernelCode, x: F32x4, shift: I32x4): { n: F32x4; fraction: F32x4 } {
  const bits = f.let(x.as(I32x4));
  const exponent = f.let(bits.sub(f.constant(Math.SQRT1_2).as(I32x4)).shrSigned(23));
  const fraction = f.let(bits.sub(exponent.shl(23)).as(F32x4).sub(f.constant(1)));
  return { n: f.let(exponent.sub(shift).toF32x4()), fraction };
}

/** n ln 2 + ln(1 + m) without its large terms, n LN2_HIGH and m. */
function logTail(code: KernelCode, n: F32x4, m: F32x4): F32x4 {
  const { f, madd, nmadd } = code;
  const square = f.let(m.mul(m));
  const cubic = f.let(m.mul(square).mul(polynomial(code, LOG, m)));
  return f.let(nmadd(f.constant(0.5), square, madd(n, f.constant(LN2_LOW), cubic)));
}

const logSum = ({ f, madd }: KernelCode, n: F32x4, m: F32x4, tail: F32x4): F32x4 =>
  f.let(madd(n, f.constant(LN2_HIGH), m.add(tail)));

/** The logarithm of x where x is positive and finite; elsewhere its limits. */
function atEdges({ f }: KernelCode, x: F32x4, finite: F32x4): F32x4 {
  const atEdge = x
    .eq(f.constant(0))
    .select<F32x4>(f.constant(Number.NEGATIVE_INFINITY), f.constant(Number.NaN));
  const infinite = x.eq(f.constant(Number.POSITIVE_INFINITY));
  return f.let(x.gt(f.constant(0)).select<F32x4>(infinite.select<F32x4>(x, finite), atEdge));
}

/** sinh x: a polynomial for small arguments, h − ¼/h with h = e^|x| / 2 for the rest. */
export function sinh(code: KernelCode, x: F32x4): F32x4 {
  const { f, madd } = code;
  const size = f.let(x.abs());
  const square = f.let(size.mul(size));
  const small = f.let(madd(size.mul(square), polynomial(code, SINH, square), size));
  const half = halfExp(code, f.let(size.pmin(f.constant(90))));
  const large = f.let(half.sub(f.constant(0.25).div(half)));
  return withSign(code, size.lt(f.constant(1)).select<F32x4>(small, large), x);
}

/** eˣ / 2 for 0 ≤ x ≤ 90: finite a little longer than eˣ. */
function halfExp(code: KernelCode, x: F32x4): F32x4 {
  const { f } = code;
  const { turns, mantissa } = expParts(code, x);
  const n = f.let(turns.sub(f.constant(ROUND).as(I32x4)));
  const half = f.let(n.shrSigned(1));
  return f.let(mantissa.mul(powerOfTwo(code, half)).mul(powerOfTwo(code, n.sub(half).sub(f.constantInt(1)))));
}

/** asinh x: a polynomial for small arguments, ln(1 + t) with t = |x| + x² / (1 + √(1 + x²)) for the rest. */
export function asinh(code: KernelCode, x: F32x4): F32x4 {
  const { f, madd } = code;
  const one = f.constant(1);
  const size = f.let(x.abs());
  const square = f.let(size.mul(size));
  const small = f.let(madd(size.mul(square), polynomial(code, ASINH, square), size));
  // From 2³⁰ on t is 2 |x|, and ln(1 + t) is ln(1 + |x|) + ln 2: no square overflows.
  const huge = f.let(size.gt(f.constant(2 ** 30)));
  const t = f.let(size.add(square.div(one.add(square.add(one).sqrt()))));
  const rest = f.let(huge.and(f.constant(Math.LN2)).as(F32x4));
  const large = f.let(log1p(code, f.let(huge.select<F32x4>(size, t))).add(rest));
  return withSign(code, size.lt(f.constant(0.5)).select<F32x4>(small, large), x);
}

/** tanh x: a polynomial for small arguments, 1 − 2 / (e^2|x| + 1) for the rest. */
export function tanh(code: KernelCode, x: F32x4): F32x4 {
  const { f, madd } = code;
  const size = f.let(x.abs());
  const square = f.let(size.mul(size));
  const small = f.let(madd(size.mul(square), polynomial(code, TANH, square), size));
  const power = expModerate(code, f.let(size.add(size).pmin(f.constant(20))));
  const large = f.let(f.constant(1).sub(f.constant(2).div(power.add(f.constant(1)))));
  return withSign(code, size.lt(f.constant(0.625)).select<F32x4>(small, large), x);
}

/** erf x: a polynomial for small arguments, 1 − e^(−|x|·q(|x|)) for the rest. */
export function erf(code: KernelCode, x: F32x4): F32x4 {
  const { f, madd } = code;
  const size = f.let(x.abs().pmin(f.constant(4)));
  const square = f.let(size.mul(size));
  const small = f.let(madd(size, polynomial(code, ERF_SMALL, square), size));
  const power = expModerate(code, f.let(size.mul(polynomial(code, ERF_LARGE, size)).neg()));
  const large = f.let(f.constant(1).sub(power));
  return withSign(code, size.lt(f.constant(0.925)).select<F32x4>(small, large), x);
}

/** x Φ(x) with the normal distribution function Φ. */
export const gelu = (code: KernelCode, x: F32x4): F32x4 => geluBoth(code, x).value();

/** Its derivative, Φ(x) + x φ(x) with the normal density φ. */
export const geluSlope = (code: KernelCode, x: F32x4): F32x4 => geluBoth(code, x).slope();

/** Either, or both with what they share computed once. */
export function geluBoth(code: KernelCode, x: F32x4): { value(): F32x4; slope(): F32x4 } {
  const { f, madd } = code;
  const { below, bell } = normal(code, x);
  return {
    value: () => f.let(x.mul(below)),
    slope: () => f.let(madd(x.mul(f.constant(1 / Math.sqrt(2 * Math.PI))), bell, below)),
  };
}

/** Φ(x) and e^(−x²/2); the form of Handbook of Mathematical Functions (Abramowitz & Stegun), 7.1.26. */
function normal(code: KernelCode, x: F32x4): { below: F32x4; bell: F32x4 } {
  const { f, madd } = code;
  const one = f.constant(1);
  const bell = expNonPositive(code, f.let(x.mul(x).mul(f.constant(-0.5))));
  const t = f.let(one.div(madd(x.abs(), f.constant(NEARNESS), one)));
  const tail = f.let(bell.mul(t).mul(polynomial(code, NORMAL_TAIL, t)));
  return { below: f.let(x.lt(f.constant(0)).select<F32x4>(tail, one.sub(tail))), bell };
}

/** sin x */
export function sin(code: KernelCode, x: F32x4): F32x4 {
  // Reducing −0 loses its sign.
  return code.f.let(x.eq(code.f.constant(0)).select<F32x4>(x, circular(code, x, "sin")));
}

/** cos x */
export function cos(code: KernelCode, x: F32x4): F32x4 {
  return circular(code, x, "cos");
}

/**
 * Angles up to a million are reduced to |r| ≤ π/4 in double precision, so that r keeps its relative precision even
 * next to a zero of the function; larger ones go to the host's own function, lane by lane.
 */
function circular(code: KernelCode, x: F32x4, name: "sin" | "cos"): F32x4 {
  const { f, madd, nmadd } = code;
  const halves = [x, x.shuffle(x, [2, 3, 2, 3])].map((two) => {
    const angle = f.let(two.lowToF64());
    const quarters = f.let(angle.mul(f.let(F64x2.splat(2 / Math.PI))).nearest());
    const high = angle.sub(quarters.mul(f.let(F64x2.splat(HALF_PI_HIGH))));
    const rest = high.sub(quarters.mul(f.let(F64x2.splat(HALF_PI_LOW))));
    return { rest: f.let(rest.toF32x4()), quarters: f.let(quarters.toI32x4()) };
  });
  const r = f.let(halves[0].rest.shuffle(halves[1].rest, [0, 1, 4, 5]));
  const quarters = halves[0].quarters.shuffle(halves[1].quarters, [0, 1, 4, 5]);
  const turn = f.let(name === "cos" ? quarters.add(f.constantInt(1)) : quarters);

  const square = f.let(r.mul(r));
  const sine = f.let(madd(r.mul(square), polynomial(code, SIN, square), r));
  const nearOne = f.let(nmadd(f.constant(0.5), square, f.constant(1)));
  const cosine = f.let(madd(square.mul(square), polynomial(code, COS, square), nearOne));
  const odd = turn.and(f.constantInt(1)).eq(f.constantInt(1));
  const flip = turn.shl(30).and(f.constantInt(SIGN));
  const out = f.let(odd.select<F32x4>(cosine, sine).xor(flip));

  const large = f.let(x.abs().gt(f.constant(LARGE_ANGLE)));
  f.if(large.any(), () => {
    let exact: F32x4 = out;
    for (let lane = 0; lane < 4; lane++) {
      exact = f.let(exact.withLane(lane, code.call(name, x.lane(lane).toF64()).toF32()));
    }
    f.set(out, large.select<F32x4>(exact, out));
  });
  return out;
}

/** `size` (not negative) with the sign of x. */
function withSign({ f }: KernelCode, size: F32x4, x: F32x4): F32x4 {
  return f.let(size.or(x.and(f.constantInt(SIGN))));
}
