import { spawnSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";

const ROOT = fileURLToPath(new URL("..", import.meta.url));

/** Comments that say what a line prints: `// → 4`. */
const PRINTS = /\/\/ → (.*)$/gm;

describe("the documentation's examples run and print what they say", () => {
  for (const page of readdirSync(join(ROOT, "docs")).filter((name) => name.endsWith(".md"))) {
    const snippets = [...readFileSync(join(ROOT, "docs", page), "utf8").matchAll(/```ts\n(.*?)```/gs)];
    test.each(snippets.map(([, snippet], i) => [`${page}, example ${i + 1}`, snippet]))(
      "%s",
      (_name, snippet) => {
        // Inside the project, where the package knows itself by name; the folder is ignored by git.
        mkdirSync(join(ROOT, "out"), { recursive: true });
        const folder = mkdtempSync(join(ROOT, "out", "docs-"));
        try {
          writeFileSync(join(folder, "example.ts"), snippet);
          const run = spawnSync(process.execPath, ["--import", "tsx", join(folder, "example.ts")], {
            cwd: ROOT,
            encoding: "utf8",
          });
          expect(run.stderr).toBe("");
          const said = [...snippet.matchAll(PRINTS)].map(([, text]) => text);
          expect(said.length).toBeGreaterThan(0);
          expect(run.stdout.trimEnd().split("\n")).toEqual(said);
        } finally {
          rmSync(folder, { recursive: true });
        }
      },
    );
  }
});

describe("the documentation's commands", () => {
  const pages = readdirSync(join(ROOT, "docs")).filter((name) => name.endsWith(".md"));
  const commands = pages.flatMap((page) =>
    [...readFileSync(join(ROOT, "docs", page), "utf8").matchAll(/^(?: {4})?npx tsx (\S+\.ts)(.*)$/gm)].map(
      ([, script, rest]) => [page, script, rest] as const,
    ),
  );

  test.each(commands)("%s: %s has the flags of%s", (_, script, rest) => {
    const read = (path: string): string =>
      existsSync(join(ROOT, path)) ? readFileSync(join(ROOT, path), "utf8") : "";
    const own = readFileSync(join(ROOT, script), "utf8") + read(script.replace(/\.ts$/, "/options.ts"));
    // What makes a run, and where its clones are, is said in one place for all commands.
    const source = own.includes("/eval/options.ts") ? own + read("vla/eval/options.ts") : own;
    for (const [, flag] of rest.replace(/#.*/, "").matchAll(/ --([a-z-]+)/g))
      expect(source).toMatch(new RegExp(`^ +"?${flag}"?: \\{`, "m"));
  });

  test("are found", () => {
    expect(commands.length).toBeGreaterThan(5);
  });
});
