/** What a browser's form does by itself is measured by what Node has for it; pages are looked at in test/pages. */
import { createHash } from "node:crypto";
import { posix } from "node:path";
import { fc, test } from "@fast-check/vitest";
import { describe, expect } from "vitest";
import { FormatError } from "../../../core/index.ts";
import * as browser from "../../../vla/platform/browser.ts";
import * as node from "../../../vla/platform/node.ts";
import type { Platform } from "../../../vla/platform/platform.ts";

// The compiler compares each form with what platform.ts says.
const forms: Readonly<Record<string, Platform>> = { node, browser };

const step = fc.constantFrom("a", "b", "scenes", "x.y.xml", ".json", "..", ".");
const path = fc.array(step, { minLength: 1, maxLength: 5 }).map((steps) => steps.join("/"));
const rooted = path.map((steps) => `/${steps}`);

describe("paths are those of Node", () => {
  test.prop([fc.oneof(path, rooted), path])("joined", (first, second) => {
    expect(browser.join(first, "", second)).toBe(posix.join(first, "", second));
  });
  test.prop([rooted, fc.oneof(path, rooted)])("resolved, and from one to another", (first, second) => {
    expect(browser.resolve(first, second)).toBe(posix.resolve(first, second));
    const [from, to] = [first, posix.resolve(first, second)];
    expect(browser.relative(from, to)).toBe(posix.relative(from, to));
  });
  test.prop([fc.oneof(path, rooted).map((any) => posix.join(any, "name.xml"))])("taken apart", (any) => {
    for (const each of [any, posix.dirname(any), ".json", "/a", "a"].filter((one) => !one.endsWith("."))) {
      expect(browser.dirname(each)).toBe(posix.dirname(each));
      expect(browser.basename(each)).toBe(posix.basename(each));
      expect(browser.extname(each)).toBe(posix.extname(each));
      expect(browser.isAbsolute(each)).toBe(posix.isAbsolute(each));
    }
  });
});

// Around the ends of a block, which has 64 bytes with 8 for the length in the last one.
const bytes = fc.oneof(fc.uint8Array({ maxLength: 200 }), fc.uint8Array({ minLength: 54, maxLength: 66 }));

test.prop([fc.array(fc.oneof(bytes, fc.string({ unit: "binary" })), { maxLength: 4 }), bytes])(
  "SHA-256 is Node's, in whatever pieces it is given, and copies go on by themselves",
  (pieces, more) => {
    const [own, other] = [browser.sha256(), createHash("sha256")];
    for (const piece of pieces) {
      own.update(piece);
      other.update(piece);
    }
    expect(own.copy().update(more).hex()).toBe(other.copy().update(more).digest("hex"));
    expect(Buffer.from(own.bytes())).toEqual(other.digest());
  },
);

test.each(Object.keys(forms))("%s: a turn lets in what waits", async (form) => {
  let others = 0;
  setTimeout(() => others++);
  for (let turns = 0; others === 0 && turns < 10_000; turns++) await forms[form].nextTurn();
  expect(others).toBe(1);
});

test("files of a page are found by their paths, with the folders above them", () => {
  browser.putFile("/suite/a/one.txt", new TextEncoder().encode("one"));
  browser.putFile("/suite/a/b/two.txt", Uint8Array.of(1, 2));
  expect(browser.readText("/suite/a/../a/one.txt", 3)).toBe("one");
  expect(browser.listFolder("/suite/a")).toEqual(["one.txt", "b"]);
  expect(["/suite", "/suite/a/b"].map(browser.isFolder)).toEqual([true, true]);
  expect(["/suite/a/one.txt", "/suite/c"].map(browser.isFolder)).toEqual([false, false]);
  expect(["/suite/a/one.txt", "/suite/a", "/suite/c"].map(browser.exists)).toEqual([true, true, false]);
  expect([...browser.openFile("/suite/a/b/two.txt").read(1, 1)]).toEqual([2]);
  expect(() => browser.readWhole("/suite/a/b/two.txt", 1)).toThrow(FormatError);
  expect(() => browser.openFile("/suite/a")).toThrow("found a folder");
  expect(() => browser.listFolder("/suite/c")).toThrow("found none");
});
