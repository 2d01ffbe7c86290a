import { ASINH, COS, ERF_LARGE, ERF_SMALL, LOG, NEARNESS, NORMAL_TAIL, SIN, SINH, TANH } from "../minimax.ts";

/**
 * Elementary functions in the language of GPU.js. Those of the drivers are not to be trusted: tanh gives NaN for large
 * arguments, log1p and sinh lose small ones, sine and cosine large ones, and what log(0) and an overflow give differs
 * from driver to driver. Here they are finite everywhere: where float32 has ±∞, e.g. log 0, stand ±3.4e38.
 *
 * Largest errors relative to the result, or absolute where it is below 1 (test/devices/functions.test.ts): 1e-6 for
 * arguments up to 10, sine and cosine up to 8192. For a larger |x| the drivers' exponential is off by |x| · 1e-7, and
 * sine and cosine lose their digits.
 */

/** The source of a function, and of what it calls. */
interface KernelFunction {
  readonly source: string;
  readonly calls: readonly string[];
}

/** A number as a literal that is no integer to GPU.js. */
const literal = (value: number): string => {
  const text = String(value);
  return /[.e]/.test(text) ? text : `${text}.0`;
};

/** c₀ + x·(c₁ + x·(c₂ + …)) */
function polynomial(coefficients: readonly number[], x: string): string {
  const [last, ...rest] = coefficients.toReversed();
  return rest.reduce((sum, c) => `(${literal(c)} + ${x} * ${sum})`, literal(last));
}

const LARGEST = 3.4028234e38;
const SMALLEST = 1.1754944e-38;
/** π/2 in three parts; the first two have so few bits that their products with up to 2¹³ quarter turns are exact. */
const HALF_PI = [1.5703125, 4.837512969970703e-4, 7.549789948768648e-8];

/** An angle less its nearest multiple of π/2, and sine or cosine from what remains. */
const circular = (name: string, offset: number): string => `function ${name}(x) {
  const turns = Math.floor(x * ${2 / Math.PI} + 0.5);
  const rest = ((x - turns * ${HALF_PI[0]}) - turns * ${HALF_PI[1]}) - turns * ${HALF_PI[2]};
  const r = Math.max(-0.8, Math.min(rest, 0.8));
  const square = r * r;
  const sine = r + r * square * ${polynomial(SIN, "square")};
  const cosine = 1.0 - 0.5 * square + square * square * ${polynomial(COS, "square")};
  const shifted = turns + ${literal(offset)};
  const quarter = shifted - 4.0 * Math.floor(shifted * 0.25);
  if (quarter < 0.5) { return sine; }
  if (quarter < 1.5) { return cosine; }
  if (quarter < 2.5) { return 0.0 - sine; }
  return 0.0 - cosine;
}`;

/**
 * Φ(x) from t = 1 / (1 + NEARNESS |x|) and e^(−x²/2); Handbook of Mathematical Functions (Abramowitz & Stegun), 7.1.26.
 */
const NORMAL = `const bell = expOf(-0.5 * x * x);
  const t = 1.0 / (1.0 + ${NEARNESS} * Math.abs(x));
  const tail = bell * t * ${polynomial(NORMAL_TAIL, "t")};
  let below = tail;
  if (x > 0.0) { below = 1.0 - tail; }`;

/** By the name that kernels call them: the driver's own names must not be taken. */
export const FUNCTIONS: Readonly<Record<string, KernelFunction>> = {
  expOf: {
    calls: [],
    source: `function expOf(x) {
  if (x < -87.3) { return 0.0; }
  return Math.exp(Math.min(x, 88.72));
}`,
  },
  logOf: {
    calls: [],
    source: `function logOf(x) {
  if (x < ${SMALLEST}) { return -${LARGEST}; }
  return Math.log(x);
}`,
  },
  log1pOf: {
    calls: ["logOf"],
    source: `function log1pOf(x) {
  const square = x * x;
  if (square < 0.08) { return x - 0.5 * square + x * square * ${polynomial(LOG, "x")}; }
  return logOf(1.0 + x);
}`,
  },
  sinOf: { calls: [], source: circular("sinOf", 0) },
  cosOf: { calls: [], source: circular("cosOf", 1) },
  sinhOf: {
    calls: ["expOf"],
    source: `function sinhOf(x) {
  const square = x * x;
  if (square < 1.0) { return x + x * square * ${polynomial(SINH, "square")}; }
  const half = expOf(Math.abs(x) - ${Math.LN2});
  const size = half - 0.25 / half;
  if (x < 0.0) { return 0.0 - size; }
  return size;
}`,
  },
  asinhOf: {
    calls: ["logOf"],
    source: `function asinhOf(x) {
  const size = Math.abs(x);
  const square = size * size;
  if (size < 0.5) { return x + x * square * ${polynomial(ASINH, "square")}; }
  let large = logOf(size) + ${Math.LN2};
  if (size < 100000.0) { large = logOf(size + Math.sqrt(square + 1.0)); }
  if (x < 0.0) { return 0.0 - large; }
  return large;
}`,
  },
  tanhOf: {
    calls: [],
    source: `function tanhOf(x) {
  const size = Math.abs(x);
  const square = size * size;
  if (size < 0.625) { return x + x * square * ${polynomial(TANH, "square")}; }
  const large = 1.0 - 2.0 / (Math.exp(Math.min(2.0 * size, 20.0)) + 1.0);
  if (x < 0.0) { return 0.0 - large; }
  return large;
}`,
  },
  erfOf: {
    calls: ["expOf"],
    source: `function erfOf(x) {
  const size = Math.min(Math.abs(x), 4.0);
  const square = size * size;
  let value = size + size * ${polynomial(ERF_SMALL, "square")};
  if (size > 0.925) { value = 1.0 - expOf(0.0 - size * ${polynomial(ERF_LARGE, "size")}); }
  if (x < 0.0) { return 0.0 - value; }
  return value;
}`,
  },
  geluOf: {
    calls: ["expOf"],
    source: `function geluOf(x) {
  ${NORMAL}
  return x * below;
}`,
  },
  geluSlopeOf: {
    calls: ["expOf"],
    source: `function geluSlopeOf(x) {
  ${NORMAL}
  return below + x * ${1 / Math.sqrt(2 * Math.PI)} * bell;
}`,
  },
};

/** The sources of the named functions and of all that they call. */
export function functionSources(names: Iterable<string>): string[] {
  const found = new Set<string>();
  const add = (name: string): void => {
    for (const called of FUNCTIONS[name].calls) add(called);
    found.add(name);
  };
  for (const name of names) add(name);
  return [...found].map((name) => FUNCTIONS[name].source);
}
