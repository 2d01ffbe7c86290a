import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { DEVELOPMENT_ONLY, dependencies, dependencyPage, PERMISSIVE } from "../tools/dependencies.ts";

const all = dependencies();
const read = (file: string): string => readFileSync(new URL(`../${file}`, import.meta.url), "utf8");
const names = (list: typeof all): string[] => list.map(({ name, version }) => `${name} ${version}`);

describe("what is installed beside our own code", () => {
  test("is listed", () => {
    expect(all.length).toBeGreaterThan(50);
    expect(read("docs/dependencies.md")).toBe(dependencyPage(all));
  });

  test("may be used, changed and passed on by anyone", () => {
    const wrong = all.filter(
      ({ license, use }) =>
        !PERMISSIVE.has(license) && !(use === "development" && DEVELOPMENT_ONLY.has(license)),
    );
    expect(wrong).toEqual([]);
  });

  test("has a checksum, and names no other registry than npm's", () => {
    expect(names(all.filter(({ integrity }) => !/^sha512-[\w+/]{86}==$/.test(integrity)))).toEqual([]);
    const addresses = all.flatMap(({ resolved }) => resolved ?? []);
    expect(addresses.filter((url) => !url.startsWith("https://registry.npmjs.org/"))).toEqual([]);
  });

  test("runs no program at its installation, but for esbuild, which looks whether its own is there", () => {
    const running = all.filter(({ runsAtInstall }) => runsAtInstall);
    expect(running.map(({ name }) => name)).toEqual(["esbuild"]);
  });
});

test("our own code is under the licence that stands in LICENSE", () => {
  expect(read("LICENSE")).toMatch(/^MIT License\n/);
  expect(JSON.parse(read("package.json")).license).toBe("MIT");
});
