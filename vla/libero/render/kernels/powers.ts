import {
  type Callable,
  F64,
  F64x2,
  type Func,
  I32x4,
  type Library,
  type Local,
} from "../../../../core/index.ts";

const splat = F64x2.splat;

/** log₂ of two numbers x > 0 that are normal, to 13 digits; of powers of two exactly. */
export function log2(f: Func, x: Local<F64x2>): F64x2 {
  // x = m 2ᵉ with m in [√½, √2); log m = 2 artanh s with s = (m - 1) / (m + 1), |s| ≤ 0.172.
  const bits = x.as(I32x4);
  const fraction = bits.and(I32x4.of(-1, 0xfffff, -1, 0xfffff)).or(I32x4.of(0, 1023 << 20, 0, 1023 << 20));
  const m = f.let(fraction.as(F64x2));
  const large = f.let(m.gt(splat(Math.SQRT2)));
  f.set(m, large.select<F64x2>(m.mul(splat(0.5)), m));
  const exponents = bits.shuffle(bits, [1, 3, 1, 3]).shr(20);
  const e = exponents.lowToF64().sub(splat(1023)).add(splat(1).and(large));
  const s = f.let(m.sub(splat(1)).div(m.add(splat(1))));
  const z = f.let(s.mul(s));
  const series = polynomial(
    f,
    z,
    [1, 3, 5, 7, 9, 11, 13, 15].map((n) => 1 / n),
  );
  return e.add(s.mul(splat(2 / Math.LN2)).mul(series));
}

/** c₀ + c₁ x + c₂ x² + …, odd and even terms on their own: two short chains of operations instead of a long one. */
function polynomial(f: Func, x: Local<F64x2>, coefficients: readonly number[]): F64x2 {
  const square = f.let(x.mul(x));
  const sum = (odd: number): F64x2 =>
    coefficients
      .filter((_, i) => i % 2 === odd)
      .map((c) => splat(c))
      .reduceRight((rest, c) => rest.mul(square).add(c));
  return sum(0).add(sum(1).mul(x));
}

/** ln 2ⁿ / n!, so that 2ˣ = Σ taylorₙ xⁿ; enough of them for |x| ≤ ½. */
const taylor: number[] = [1];
for (let n = 1; n < 12; n++) taylor.push((taylor[n - 1] * Math.LN2) / n);

/** 2ʸ of two numbers, to 13 digits; below 2⁻¹⁰⁰⁰ it is that. */
function exp2(f: Func, y: F64x2): F64x2 {
  const bounded = f.let(y.pmax(splat(-1000)));
  const whole = f.let(bounded.nearest());
  const rest = f.let(bounded.sub(whole));
  const series = polynomial(f, rest, taylor);
  const exponents = f.let(
    whole
      .toI32x4()
      .add(I32x4.of(1023, 1023, 0, 0))
      .shl(20),
  );
  return series.mul(exponents.shuffle(I32x4.of(0, 0, 0, 0), [4, 0, 4, 1]).as(F64x2));
}

/** baseᵉ of two numbers, to 11 digits for exponents of a hundred. What it gives for a base below 0 has no meaning. */
export function definePower(library: Library): Callable<[typeof F64x2, typeof F64], F64x2> {
  return library.define("power", [F64x2, F64], F64x2, (f, base, exponent) =>
    exp2(f, log2(f, base).mul(exponent.splat())),
  );
}
