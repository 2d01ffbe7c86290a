import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fc, test } from "@fast-check/vitest";
import { afterAll, expect } from "vitest";
import { writeFileAtomic } from "../../../core/formats/atomic-write.ts";

const folder = mkdtempSync(join(tmpdir(), "atomic-write-"));
afterAll(() => rmSync(folder, { recursive: true }));
const path = join(folder, "file");

test.prop([fc.array(fc.uint8Array({ maxLength: 50 }), { maxLength: 8 })])(
  "chunks arrive joined",
  (chunks) => {
    writeFileAtomic(path, chunks);
    expect(readFileSync(path)).toEqual(Buffer.concat(chunks));
    expect(readdirSync(folder)).toEqual(["file"]);
  },
);

test("text is written in UTF-8, bytes as they are", () => {
  writeFileAtomic(path, "ä");
  expect([...readFileSync(path)]).toEqual([0xc3, 0xa4]);
  writeFileAtomic(path, Uint8Array.of(1, 2, 3).subarray(1));
  expect([...readFileSync(path)]).toEqual([2, 3]);
});

test("a failure halfway keeps the old file and leaves nothing behind", () => {
  writeFileSync(path, "old");
  function* failing() {
    yield Buffer.from("new, but");
    expect(readdirSync(folder)).toHaveLength(2);
    throw new Error("out of ideas");
  }
  expect(() => writeFileAtomic(path, failing())).toThrow("out of ideas");
  expect(readFileSync(path, "utf8")).toBe("old");
  expect(readdirSync(folder)).toEqual(["file"]);
});

test("a folder that is not there is reported", () => {
  const inside = join(folder, "none", "file");
  expect(() => writeFileAtomic(inside, "x")).toThrow(`${inside}: cannot be written: ENOENT`);
});
