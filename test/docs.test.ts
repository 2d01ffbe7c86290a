import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { format } from "node:util";
import { afterAll, afterEach, describe, expect, test, vi } from "vitest";
import { poisonFreed } from "../core/index.ts";

const ROOT = fileURLToPath(new URL("..", import.meta.url));

/** Comments that say what a line prints: `// → 4`. */
const PRINTS = /\/\/ → (.*)$/gm;

describe("the documentation's examples run and print what they say", () => {
  // Among the tests, where the package's name stands for its sources; the folder is ignored by git.
  const folder = mkdtempSync(join(ROOT, "test", "docs-"));
  afterAll(() => rmSync(folder, { recursive: true }));
  afterEach(() => {
    vi.restoreAllMocks();
    poisonFreed(false);
  });

  for (const page of readdirSync(join(ROOT, "docs")).filter((name) => name.endsWith(".md"))) {
    const snippets = [...readFileSync(join(ROOT, "docs", page), "utf8").matchAll(/```ts\n(.*?)```/gs)];
    test.each(snippets.map(([, snippet], i) => [`${page}, example ${i + 1}`, snippet]))(
      "%s",
      async (name, snippet) => {
        const printed: string[] = [];
        vi.spyOn(console, "log").mockImplementation((...words) => {
          printed.push(...format(...words).split("\n"));
        });
        const complained = vi.spyOn(process.stderr, "write");
        const file = join(folder, `${name.replaceAll(/\W+/g, "-")}.ts`);
        writeFileSync(file, snippet);
        await import(file);
        const said = [...snippet.matchAll(PRINTS)].map(([, text]) => text);
        expect(said.length).toBeGreaterThan(0);
        expect(printed).toEqual(said);
        expect(complained).not.toHaveBeenCalled();
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
      expect(source).toMatch(new RegExp(`(^ +|\\{ )"?${flag}"?: \\{`, "m"));
  });

  test("are found", () => {
    expect(commands.length).toBeGreaterThan(5);
  });
});

describe("links", () => {
  const pages = [
    ...["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"],
    ...readdirSync(join(ROOT, "docs"))
      .filter((name) => name.endsWith(".md"))
      .map((name) => `docs/${name}`),
  ];
  const textOf = (page: string): string => readFileSync(join(ROOT, page), "utf8");
  /** What a heading is linked by. */
  const slug = (heading: string): string =>
    heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N} _-]/gu, "")
      .replaceAll(" ", "-");

  test.each(pages)("of %s lead somewhere", (page) => {
    const wrong = [...textOf(page).matchAll(/\]\((?!https?:)([^)#]*)#?([^)]*)\)/g)].filter(
      ([, path, anchor]) => {
        const target = path === "" ? page : join(dirname(page), path);
        if (!existsSync(join(ROOT, target))) return true;
        const headings = anchor
          ? [...textOf(target).matchAll(/^#+ (.*)$/gm)].map(([, text]) => slug(text))
          : [];
        return anchor !== "" && !headings.includes(anchor);
      },
    );
    expect(wrong.map(([link]) => link)).toEqual([]);
  });

  test("of the site's first page lead to pages", () => {
    const names = [...textOf("site/index.html").matchAll(/docs\/documents\/([\w-]+)\.html/g)].map(
      ([, name]) => name,
    );
    expect(names.length).toBeGreaterThan(5);
    for (const name of names)
      expect(pages.some((page) => page === `${name}.md` || page === `docs/${name}.md`)).toBe(true);
  });

  test("lead from docs/README.md to every page", () => {
    const contents = textOf("docs/README.md");
    for (const page of pages.filter((name) => name !== "README.md" && name !== "docs/README.md"))
      expect(contents).toContain(page.startsWith("docs/") ? `(${page.slice(5)})` : `(../${page})`);
  });
});
