import { crc32 as reference } from "node:zlib";
import { fc, test } from "@fast-check/vitest";
import { expect } from "vitest";
import * as browser from "../../../core/platform/browser.ts";
import { crc32 } from "../../../core/platform/crc32.ts";
import * as node from "../../../core/platform/node.ts";
import type { Platform } from "../../../core/platform/platform.ts";

// The compiler sees that each form is a platform; that neither has more is for the reader, who looks at one interface.
const FORMS: readonly Platform[] = [node, browser];

test("both forms offer the same", () => {
  const [names, others] = FORMS.map((form) => Object.keys(form).sort());
  expect(names).toEqual(others);
});

test.prop([fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 4 })])(
  "the checksum is that of zlib, however the bytes are cut",
  (parts) => {
    const all = Uint8Array.from(parts.flatMap((part) => [...part]));
    expect(crc32(all)).toBe(reference(all));
    expect(parts.reduce((sum, part) => crc32(part, sum), 0)).toBe(reference(all));
  },
);

const { openFile, readWhole, readText } = browser;
test.each([openFile, readWhole, readText])("$name in a browser says what to do", (open) => {
  expect(() => open("a/model.safetensors")).toThrow(
    "a/model.safetensors: expected bytes, as in openSafetensors(bytesSource(name, fetchedBytes)), found a path",
  );
});
