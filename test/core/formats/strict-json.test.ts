import { fc, test } from "@fast-check/vitest";
import { describe, expect } from "vitest";
import { FormatError } from "../../../core/formats/format-error.ts";
import { type Json, parseStrictJson } from "../../../core/formats/strict-json.ts";

const parse = (text: string): Json => parseStrictJson("test", text);

/** Back to what JSON.parse gives, keys like `__proto__` included. */
const plain = (value: Json): unknown => {
  if (Array.isArray(value)) return value.map(plain);
  if (!(value instanceof Map)) return value;
  const entries = [...value].map(([key, child]) =>
    [JSON.stringify(key), JSON.stringify(plain(child))].join(":"),
  );
  return JSON.parse(`{${entries.join(",")}}`);
};

test.prop([fc.json({ maxDepth: 5 }), fc.constantFrom(undefined, 1, "\t")])(
  "agrees with JSON.parse",
  (text, indent) => {
    const value = JSON.parse(text);
    expect(plain(parse(JSON.stringify(value, null, indent)))).toEqual(value);
  },
);

test.prop([fc.json({ maxDepth: 3 }), fc.nat(), fc.string({ unit: "grapheme-ascii", maxLength: 2 })])(
  "refuses what JSON.parse refuses",
  (text, at, patch) => {
    const edited =
      text.slice(0, at % (text.length + 1)) + patch + text.slice((at % (text.length + 1)) + patch.length);
    let expected: unknown;
    try {
      expected = JSON.parse(edited);
    } catch {
      expect(() => parse(edited)).toThrow(FormatError);
      return;
    }
    try {
      expect(plain(parse(edited))).toEqual(expected);
    } catch (error) {
      expect((error as Error).message).toContain("distinct keys"); // the one thing refused beyond
    }
  },
);

describe("refused beyond JSON.parse", () => {
  test.each([
    '{"a":1,"a":2}',
    '{"a":1,"\\u0061":1}',
    '[{"b":{"c":1,"d":2,"c":3}}]',
    '{"__proto__":1,"__proto__":1}',
  ])("a key named twice: %s", (text) => {
    expect(() => parse(text)).toThrow(/distinct keys, found ".*" twice/);
  });

  test("more than a million values", () => {
    expect(parse(`[${"0,".repeat(999_998)}0]`)).toHaveLength(999_999);
    expect(() => parse(`[${"0,".repeat(999_999)}0]`)).toThrow(/at most 1000000 values/);
  });

  test("deep nesting, without using the stack it would take", () => {
    expect(() => parse("[".repeat(1_000_000))).toThrow(/nested at most 32 deep/);
    expect(() => parse('{"a":'.repeat(1_000_000))).toThrow(/nested at most 32 deep/);
  });
});

test("long strings and runs of space cost no stack either", () => {
  const long = "x".repeat(5_000_000);
  expect(parse(`"${long}"`)).toBe(long);
  expect(parse(`1${" ".repeat(5_000_000)}`)).toBe(1);
  expect(() => parse(`"${"\\\\".repeat(2_000_000)}`)).toThrow(FormatError);
});
