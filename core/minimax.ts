/**
 * Polynomials that stand for elementary functions on short intervals, in CPU kernels and on GPUs. Coefficients, from
 * the constant on, are minimax fits of the stated relative error, rounded to float32.
 */

/** (eʳ − 1 − r) / r² for |r| ≤ ½ ln 2; 3.1e-9 relative to eʳ. */
export const EXP = [0.49999994, 0.166665211, 0.0416682549, 0.00836867187, 0.00138217118];
/** (ln(1 + f) − f + f²/2) / f³ for √½ ≤ 1 + f ≤ √2; 7.7e-10 relative to the logarithm. */
export const LOG = [
  0.333333135, -0.250000119, 0.20002073, -0.166678548, 0.142202333, -0.124081962, 0.118862025, -0.11660669,
  0.0673302859,
];
/** (sinh x / x − 1) / x² in x², for |x| ≤ 1; 5.2e-11 relative. */
export const SINH = [0.166666665, 0.00833335006, 0.000198361598, 2.81695124e-6];
/** (asinh x / x − 1) / x² in x², for |x| ≤ 0.5; 1.3e-9 relative. */
export const ASINH = [-0.166666436, 0.0749865214, -0.0443845167, 0.0281691238, -0.0132375267];
/** (tanh x / x − 1) / x² in x², for |x| ≤ 0.625; 4.5e-9 relative. */
export const TANH = [-0.333332807, 0.133314162, -0.0537379384, 0.0206341185, -0.00570009183];
/** erf x / x − 1 in x², for |x| ≤ 0.93; 1.8e-8 relative. */
export const ERF_SMALL = [
  0.128379151, -0.376124889, 0.11281731, -0.0267629661, 0.00498735299, -0.000595958962,
];
/** −ln(1 − erf x) / x for 0.92 ≤ x ≤ 4; 3e-9 relative to erf. */
export const ERF_LARGE = [
  1.12851441, 0.635718167, 0.105262011, -0.0228900481, 0.00321497209, -0.000213985477,
];
/** e^(a²/2) (1 − Φ(a)) / t in t = 1 / (1 + NEARNESS a), for a ≥ 0; 9.3e-9 absolute, times e^(−a²/2). */
export const NORMAL_TAIL = [0.116520941, 0.0674957037, 0.268912792, -0.23699677, 0.389876068, -0.10580875];
export const NEARNESS = 0.28;
/** (sin r / r − 1) / r² in r², for |r| ≤ π/4; 4e-9 relative. */
export const SIN = [-0.166666552, 0.00833218917, -0.000195182642];
/** (cos r − 1 + r²/2) / r⁴ in r², for |r| ≤ π/4; 1.2e-10 relative. */
export const COS = [0.0416666456, -0.00138873106, 2.44325529e-5];
