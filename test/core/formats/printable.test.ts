import { fc, test } from "@fast-check/vitest";
import { expect } from "vitest";
import { FormatError } from "../../../core/formats/format-error.ts";
import { printable } from "../../../core/formats/printable.ts";

const anyText = fc.string({ unit: "binary", maxLength: 80 });

test.prop([anyText, fc.integer({ min: 1, max: 300 })])(
  "nothing that a terminal would obey is left",
  (text, most) => {
    expect(printable(text, most)).not.toMatch(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/u);
  },
);

test.prop([fc.stringMatching(/^[ -~äß水]{0,80}$/)])("ordinary text stays as it is", (text) => {
  expect(printable(text)).toBe(text);
});

test("long text is cut and says how long it was", () => {
  expect(printable("x".repeat(500), 4)).toBe("xxxx… (500 characters)");
});

test("an error about a file stays short, on one line and without escapes, whatever the file holds", () => {
  const controls = "\u0001".repeat(1000); // six characters each once they are escaped
  expect(new FormatError(controls, controls, controls).message.length).toBeLessThan(1200);
  const hostile = `\u001b[2J\n\u202e${"x".repeat(1e6)}`;
  const error = new FormatError(hostile, hostile, hostile);
  expect(error.message.length).toBeLessThan(1200);
  expect(error.message).toMatch(/^\\u\{1b\}\[2J\\u\{a\}\\u\{202e\}x+… \(1000006 characters\): expected/);
});
