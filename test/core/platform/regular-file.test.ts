import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fc, test } from "@fast-check/vitest";
import { afterAll, expect } from "vitest";
import { FormatError } from "../../../core/formats/format-error.ts";
import { openFile } from "../../../core/platform/files/open-file.ts";
import { openRegular, readText, readWhole } from "../../../core/platform/files/regular-file.ts";

const folder = mkdtempSync(join(tmpdir(), "regular-file-"));
afterAll(() => rmSync(folder, { recursive: true }));
const path = join(folder, "file");

test.prop([fc.uint8Array({ maxLength: 300 })])("all bytes come back", (bytes) => {
  writeFileSync(path, bytes);
  expect(readWhole(path, 300)).toEqual(bytes);
});

test("text loses its byte-order mark and nothing else", () => {
  writeFileSync(path, "\uFEFFä\n\uFEFFb");
  expect(readText(path, 100)).toBe("ä\n\uFEFFb");
});

test("a file that is larger than allowed is not read", () => {
  writeFileSync(path, "12345");
  expect(() => readWhole(path, 4)).toThrow(`${path}: expected at most 4 bytes, found 5`);
});

test("pipes, devices, folders and absent files are refused at once", () => {
  const pipe = join(folder, "pipe");
  execFileSync("mkfifo", [pipe]);
  for (const open of [openRegular, openFile, (file: string) => readWhole(file, 10)]) {
    expect(() => open(pipe)).toThrow(`${pipe}: expected a regular file, found a device or pipe`);
    expect(() => open("/dev/zero")).toThrow("/dev/zero: expected a regular file, found a device or pipe");
    expect(() => open(folder)).toThrow(`${folder}: expected a regular file, found a folder`);
    expect(() => open(`${path}-none`)).toThrow(`${path}-none: expected a file that can be read, found none`);
    expect(() => open(pipe)).toThrow(FormatError);
  }
});

test("a closed file is read no more, even when its number stands for another file", () => {
  writeFileSync(path, "old");
  const source = openFile(path);
  source[Symbol.dispose]();
  using _other = openFile(path);
  expect(() => source.read(0, 1)).toThrow(`${path}: read after it was closed`);
});
