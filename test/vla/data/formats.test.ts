import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeEach, expect, test } from "vitest";
import { demonstrationFiles, type Format, openDemonstrations } from "../../../vla/data/formats.ts";

const root = mkdtempSync(join(tmpdir(), "nina-ts-formats-"));
const folder = join(root, "data");
afterAll(() => rmSync(root, { recursive: true }));
beforeEach(() => {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder);
});

const touch = (...names: string[]): void => {
  for (const name of names) writeFileSync(join(folder, name), "");
};

test("a folder stands for its demonstrations in the order of their names, whatever else lies there", () => {
  touch("b_demo.hdf5", "a_demo.hdf5", "collect.json", "README.md", "raw.hdf5");
  mkdirSync(join(folder, "parts"));
  expect(demonstrationFiles(folder)).toEqual([join(folder, "a_demo.hdf5"), join(folder, "b_demo.hdf5")]);
  expect(demonstrationFiles(join(folder, "b_demo.hdf5"))).toEqual([join(folder, "b_demo.hdf5")]);
});

test("folders in a folder belong to it: what was collected one after the other is one set", () => {
  mkdirSync(join(folder, "later"));
  touch("a_demo.hdf5", "z_demo.hdf5", join("later", "a_demo.hdf5"));
  expect(demonstrationFiles(folder)).toEqual(
    ["a_demo.hdf5", join("later", "a_demo.hdf5"), "z_demo.hdf5"].map((name) => join(folder, name)),
  );
});

test("each mistake is told with its place", async () => {
  const none = join(root, "none");
  expect(() => demonstrationFiles(none)).toThrow(
    `${none}: expected demonstrations (LIBERO's HDF5), found no such file or folder`,
  );
  expect(() => demonstrationFiles(folder)).toThrow(
    `${folder}: expected a folder of demonstrations (LIBERO's HDF5), found none in it`,
  );
  touch("notes.txt");
  const notes = join(folder, "notes.txt");
  expect(() => demonstrationFiles(notes)).toThrow(`${notes}: expected LIBERO's HDF5, found another file`);
  expect(() => openDemonstrations(notes)).toThrow(`${notes}: expected LIBERO's HDF5, found another file`);
});

test("a folder of two formats is refused", () => {
  const format = (name: string, suffix: string): Format => ({
    name,
    claims: (file) => file.endsWith(suffix),
    inFolder: (file) => file.endsWith(suffix),
    open: () => Promise.reject(new Error("not opened here")),
  });
  const formats = [format("A's files", ".a"), format("B's files", ".b")];
  touch("1.a", "2.b");
  expect(() => demonstrationFiles(folder, formats)).toThrow(
    `${folder}: expected demonstrations of one format, found A's files and B's files`,
  );
  rmSync(join(folder, "2.b"));
  expect(demonstrationFiles(folder, formats)).toEqual([join(folder, "1.a")]);
});
