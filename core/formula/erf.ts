const TWO_OVER_SQRT_PI = 2 / Math.sqrt(Math.PI);

/**
 * The error function in double precision, about 1e-16 relative. Handbook of Mathematical Functions (Abramowitz &
 * Stegun): series 7.1.6, erf x = 2/√π e^(−x²) Σ 2ⁿ x^(2n+1) / (1·3·…·(2n+1)), whose terms are all positive, below 3;
 * above, 1 minus the continued fraction 7.1.14 of erfc, evaluated from its 40th level outwards.
 */
export function erf(x: number): number {
  const a = Math.abs(x);
  if (!(a > 0)) return x; // ±0 and NaN
  if (a > 6) return Math.sign(x); // 1 − erf(6) is 2e-17
  if (a < 3) {
    let term = a;
    let sum = a;
    for (let n = 1; term > sum * 1e-17; n++) {
      term *= (2 * a * a) / (2 * n + 1);
      sum += term;
    }
    return Math.sign(x) * TWO_OVER_SQRT_PI * Math.exp(-a * a) * sum;
  }
  let fraction = a;
  for (let n = 40; n >= 1; n--) fraction = a + n / 2 / fraction;
  return Math.sign(x) * (1 - Math.exp(-a * a) / (Math.sqrt(Math.PI) * fraction));
}

/** The normal distribution function. */
const normalCdf = (x: number): number => 0.5 * (erf(x * Math.SQRT1_2) + 1);

/** x Φ(x) with the normal distribution function Φ: the exact form of arXiv:1606.08415. */
export const gelu = (x: number): number => x * normalCdf(x);

/** Its derivative, Φ(x) + x φ(x). */
export const geluSlope = (x: number): number =>
  normalCdf(x) + (x * Math.exp(-0.5 * x * x)) / Math.sqrt(2 * Math.PI);
