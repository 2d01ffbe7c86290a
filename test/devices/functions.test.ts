import { expect, it } from "vitest";
import { erf, gelu, geluSlope } from "../../core/formula/erf.ts";
import { FUNCTIONS, functionSources } from "../../core/gpu/functions.ts";
import { describeModes } from "./modes.ts";

/** Each function in float64, and the largest argument for which its result is checked. */
const REFERENCES: Record<string, readonly [f: (x: number) => number, largest: number]> = {
  expOf: [Math.exp, 10],
  logOf: [Math.log, 1e30],
  log1pOf: [Math.log1p, 1e30],
  sinOf: [Math.sin, 8192],
  cosOf: [Math.cos, 8192],
  sinhOf: [Math.sinh, 10],
  asinhOf: [Math.asinh, 1e30],
  tanhOf: [Math.tanh, 1e30],
  erfOf: [erf, 1e30],
  geluOf: [gelu, 1e30],
  geluSlopeOf: [geluSlope, 1e30],
};

/** ±10^−8 … ±10^38, and ±1e30 and the like, at which masks lie. */
const ARGUMENTS = new Float32Array(4000).map((_, i) => (i % 2 ? -1 : 1) * 10 ** (-8 + (46 * i) / 4000));

describeModes("functions", (gpu) => {
  it.each(Object.keys(FUNCTIONS))("%s is right, and finite everywhere", async (name) => {
    const [f, largest] = REFERENCES[name];
    gpu().upload(0, ARGUMENTS);
    const source = `function (a) { return ${name}(a[this.thread.x]); }`;
    const functions = functionSources([name]);
    const { length } = ARGUMENTS;
    gpu().launch({ name, source, functions, arrays: [length], size: length }, 1, [0], []);
    const results = await gpu().read(1);
    for (const slot of [0, 1]) gpu().free(slot);
    let worst = 0;
    ARGUMENTS.forEach((x, i) => {
      const exact = f(x);
      if (!Number.isFinite(exact) || Math.abs(x) > largest) return;
      worst = Math.max(worst, Math.abs(results[i] - exact) / Math.max(1, Math.abs(exact)));
    });
    expect(results.every(Number.isFinite)).toBe(true);
    // What functions.ts states.
    expect(worst).toBeLessThan(1e-6);
  });
});
