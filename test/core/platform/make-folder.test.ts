import { mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fc, test } from "@fast-check/vitest";
import { afterAll, expect } from "vitest";
import { makeFolder } from "../../../core/platform/files/make-folder.ts";

const folder = mkdtempSync(join(tmpdir(), "make-folder-"));
afterAll(() => rmSync(folder, { recursive: true }));

test.prop([fc.array(fc.constantFrom("a", "b", "c", "..", "."), { minLength: 1, maxLength: 5 })])(
  "makes what is missing, again and again",
  (names) => {
    const path = join(folder, "x", "y", "z", "x", "y", ...names);
    for (let i = 0; i < 2; i++) makeFolder(path);
    expect(statSync(path).isDirectory()).toBe(true);
  },
);

test("ends with a word where no folder can be made", () => {
  const file = join(folder, "file");
  writeFileSync(file, "");
  expect(() => makeFolder(join(file, "below"))).toThrow(`${join(file, "below")}: the folder cannot be made`);
  expect(() => makeFolder("/proc/none/below")).toThrow("the folder cannot be made");
});
