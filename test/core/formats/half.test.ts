import { fc, test } from "@fast-check/vitest";
import { describe, expect } from "vitest";
import { bf16ToF32, f16ToF32, f32ToBf16, f32ToF16 } from "../../../core/formats/half.ts";

/** All 65536 patterns: cheap enough to try every one. */
const everyPattern = Uint16Array.from({ length: 65536 }, (_, i) => i);
const bits = (values: Float32Array): Uint32Array =>
  new Uint32Array(values.buffer, values.byteOffset, values.length);
const float = fc.oneof(
  fc.float(),
  fc.integer().map((i) => new Float32Array(Int32Array.of(i).buffer)[0]),
);

/** The two formats by definition: p fraction bits and exponent bias, read with plain arithmetic. */
function decode(pattern: number, fractionBits: number, bias: number): number {
  const sign = pattern & 0x8000 ? -1 : 1;
  const fraction = (pattern & ((1 << fractionBits) - 1)) / (1 << fractionBits);
  const exponent = (pattern & 0x7fff) >> fractionBits;
  if (exponent === 2 * bias + 1) return fraction === 0 ? sign * Infinity : NaN;
  return sign * (exponent === 0 ? fraction * 2 ** (1 - bias) : (1 + fraction) * 2 ** (exponent - bias));
}

describe.each([
  { name: "bfloat16", widen: bf16ToF32, narrow: f32ToBf16, fractionBits: 7, bias: 127 },
  { name: "float16", widen: f16ToF32, narrow: f32ToF16, fractionBits: 10, bias: 15 },
])("$name", ({ widen, narrow, fractionBits, bias }) => {
  const values = widen(everyPattern);

  test("widens every pattern to the value its definition gives", () => {
    const wrong = everyPattern.filter((p) => !Object.is(values[p], decode(p, fractionBits, bias)));
    expect([...wrong]).toEqual([]);
  });

  test("narrows every value it can hold back to its pattern", () => {
    const back = narrow(values);
    const again = widen(back);
    const wrong = everyPattern.filter(
      (p) => !Object.is(again[p], values[p]) || (!Number.isNaN(again[p]) && back[p] !== p),
    );
    expect([...wrong]).toEqual([]);
  });

  test.prop([float], { numRuns: 2000 })("rounds to the nearest value it can hold, ties to even", (x) => {
    const [pattern] = narrow(Float32Array.of(x));
    const rounded = decode(pattern, fractionBits, bias);
    if (!Number.isFinite(x)) {
      expect(rounded).toBe(x);
      return;
    }
    // Neighbours in magnitude. Infinity stands for the next power of two when distances are compared.
    const finite = (p: number): number => {
      const value = decode(p, fractionBits, bias);
      return Number.isFinite(value) ? Math.abs(value) : 2 ** (bias + 1);
    };
    const distance = (p: number): number => Math.abs(Math.abs(x) - finite(p));
    const magnitude = pattern & 0x7fff;
    expect(Object.is(Math.sign(rounded), Math.sign(x)) || rounded === 0).toBe(true);
    for (const other of [magnitude - 1, magnitude + 1]) {
      if (other < 0 || finite(other) === finite(magnitude) || Number.isNaN(decode(other, fractionBits, bias)))
        continue;
      const [mine, theirs] = [distance(magnitude), distance(other)];
      expect(mine).toBeLessThanOrEqual(theirs);
      if (mine === theirs) expect(magnitude % 2).toBe(0);
    }
  });

  test("rounds at every midpoint between neighbours: to even, and one float32 step to either side off it", () => {
    const infinite = (2 * bias + 1) << fractionBits;
    const value = (p: number): number => (p === infinite ? 2 ** (bias + 1) : decode(p, fractionBits, bias));
    const lower = Array.from({ length: infinite }, (_, p) => p);
    const middle = Float32Array.from(lower, (p) => (value(p) + value(p + 1)) / 2);
    const step = (by: number): Uint16Array =>
      narrow(new Float32Array(bits(middle).map((word) => word + by).buffer));
    const [below, at, above] = [step(-1), step(0), step(1)];
    expect(lower.filter((p) => below[p] !== p || at[p] !== p + (p % 2) || above[p] !== p + 1)).toEqual([]);
  });

  test.prop([fc.array(float, { maxLength: 20 })])("keeps the sign bit, also of zeros", (list) => {
    const input = Float32Array.from(list.filter((x) => !Number.isNaN(x)));
    const output = narrow(input);
    expect([...output].map((pattern) => pattern >>> 15)).toEqual([...bits(input)].map((word) => word >>> 31));
  });

  test("reads its input through an offset view", () => {
    const shared = Float32Array.of(9, 1, 2);
    expect([...widen(narrow(shared.subarray(1)))]).toEqual([1, 2]);
    expect([...widen(narrow(shared).subarray(1))]).toEqual([1, 2]);
  });
});
