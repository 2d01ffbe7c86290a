import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";

const ROOT = fileURLToPath(new URL("..", import.meta.url));

/** Who may import whom: core ← nn ← flows ← vla; benchmarks and tests see everything. Commands use cli. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  cli: ["cli"],
  core: ["core"],
  nn: ["core", "nn"],
  flows: ["cli", "core", "nn", "flows"],
  vla: ["cli", "core", "nn", "flows", "vla"],
  benchmarks: ["cli", "core", "nn", "flows", "vla", "benchmarks"],
  site: ["core", "nn", "flows", "vla", "site"],
  examples: ["examples"], // and the package by its name, as its users do
  test: ["cli", "core", "nn", "flows", "vla", "benchmarks", "site", "test", "tools"],
};

/** Single files that go beyond it: a command in core, and text that is safe for a terminal. */
const ALSO: Readonly<Record<string, string>> = {
  "core/devices.ts": "cli/index.ts",
  "cli/index.ts": "core/formats/printable.ts",
};

/** Tests and benchmarks look at kernels one by one; everybody else sees what core offers. */
const SEES_INSIDE_CORE = ["core", "test", "benchmarks"];

/** A policy knows observations, not the simulator they come from. */
const POLICY_FOLDERS = /^vla\/(nina|florence2|flower)\//;

/**
 * What is wrong with `file` importing `specifier`; null when nothing is. Paths are relative to the project, with `/`.
 */
function offence(file: string, specifier: string): string | null {
  if (!specifier.startsWith(".")) return null;
  const target = relative(ROOT, resolve(ROOT, dirname(file), specifier)).replaceAll("\\", "/");
  const [from, to] = [file.split("/")[0], target.split("/")[0]];
  const problem = (why: string) => `${file} imports ${specifier}: ${why}`;

  if (!/\.(ts|json)$/.test(specifier)) return problem("relative imports end in .ts");
  if (ALSO[file] === target) return null;
  if (!MAY_IMPORT[from].includes(to))
    return problem(`${from} may import only ${MAY_IMPORT[from].join(", ")}`);
  if (to === "core" && !SEES_INSIDE_CORE.includes(from) && target !== "core/index.ts")
    return problem("core is entered through core/index.ts only");
  if (POLICY_FOLDERS.test(file) && target.startsWith("vla/libero/"))
    return problem("policies know no simulator");
  if (/^vla\/(nina|florence2)\//.test(file) && target.startsWith("vla/flower/"))
    return problem("NinA and its encoder know nothing of FLOWER");
  return null;
}

/** Specifiers of all static, re-exporting, side-effect and dynamic imports, types included. */
function importsOf(source: string): string[] {
  const statement =
    /^\s*(?:import|export)\b[^"';]*?\bfrom\s*["']([^"']+)["']|^\s*import\s*["']([^"']+)["']/gm;
  const call = /\bimport\(\s*["']([^"']+)["']/g;
  return [...source.matchAll(statement), ...source.matchAll(call)].map((match) => match[1] ?? match[2]);
}

function sources(): string[] {
  return Object.keys(MAY_IMPORT).flatMap((folder) =>
    readdirSync(join(ROOT, folder), { recursive: true, encoding: "utf8" })
      .filter((path) => path.endsWith(".ts") && !path.includes("node_modules"))
      .map((path) => `${folder}/${path.replaceAll("\\", "/")}`),
  );
}

/** The files of core that import each other in a circle, types included; each circle in order of their names. */
function circles(graph: ReadonlyMap<string, readonly string[]>): string[][] {
  // Tarjan, "Depth-first search and linear graph algorithms", 1972: files that reach each other.
  const [number, lowest] = [new Map<string, number>(), new Map<string, number>()];
  const stack: string[] = [];
  const found: string[][] = [];
  const visit = (file: string): void => {
    number.set(file, number.size);
    lowest.set(file, number.get(file) as number);
    stack.push(file);
    for (const next of graph.get(file) ?? []) {
      if (!number.has(next)) visit(next);
      if (stack.includes(next))
        lowest.set(file, Math.min(lowest.get(file) as number, lowest.get(next) as number));
    }
    if (lowest.get(file) !== number.get(file)) return;
    const circle = stack.splice(stack.indexOf(file));
    if (circle.length > 1) found.push(circle.sort());
  };
  for (const file of graph.keys()) if (!number.has(file)) visit(file);
  return found;
}

/** Circles of types that are there on purpose. */
const ALLOWED: readonly (readonly string[])[] = [
  // One grammar in three files: numbers are read at indices, and indices are read from operands.
  ["core/formula/expr.ts", "core/formula/indices.ts", "core/formula/launch.ts"],
  // The library's types name the modes, and whether there is a mode is asked of the library.
  ["core/gpu/gpu-js.ts", "core/gpu/gpu.ts", "core/gpu/library.ts", "core/gpu/modes.ts"],
];

describe("imports", () => {
  test("make no circles in core", () => {
    const files = sources().filter((file) => file.startsWith("core/"));
    const graph = new Map(
      files.map((file) => [
        file,
        importsOf(readFileSync(join(ROOT, file), "utf8"))
          .filter((specifier) => specifier.startsWith("."))
          .map((specifier) => relative(ROOT, resolve(ROOT, dirname(file), specifier)).replaceAll("\\", "/")),
      ]),
    );
    const allowed = ALLOWED.map((circle) => circle.join());
    expect(circles(graph).filter((circle) => !allowed.includes(circle.join()))).toEqual([]);
  });

  test("that make circles are found", () => {
    const graph = new Map([
      ["a", ["b"]],
      ["b", ["c", "d"]],
      ["c", ["a"]],
      ["d", ["e"]],
      ["e", []],
    ]);
    expect(circles(graph)).toEqual([["a", "b", "c"]]);
    expect(
      circles(
        new Map([
          ["a", ["b"]],
          ["b", ["a"]],
          ["c", ["a"]],
        ]),
      ),
    ).toEqual([["a", "b"]]);
    expect(
      circles(
        new Map([
          ["a", ["b", "c"]],
          ["b", ["c"]],
          ["c", []],
        ]),
      ),
    ).toEqual([]);
  });

  test("point one way: core ← nn ← flows ← vla", () => {
    const offences = sources().flatMap((file) =>
      importsOf(readFileSync(join(ROOT, file), "utf8")).flatMap(
        (specifier) => offence(file, specifier) ?? [],
      ),
    );
    expect(offences).toEqual([]);
  });

  test("the rule sees each kind of offence", () => {
    expect(offence("core/tensor.ts", "../cli/index.ts")).toContain("core may import only core");
    expect(offence("cli/index.ts", "../core/index.ts")).toContain("cli may import only cli");
    expect(offence("core/tensor.ts", "../nn/linear.ts")).toContain("core may import only core");
    expect(offence("nn/linear.ts", "../flows/flow.ts")).toContain("nn may import only core, nn");
    expect(offence("flows/flow.ts", "../vla/policy.ts")).toContain("flows may import only");
    expect(offence("vla/eval.ts", "../test/law.ts")).toContain("vla may import only");
    expect(offence("nn/linear.ts", "../core/tensor.ts")).toContain("core/index.ts only");
    expect(offence("vla/nina/policy.ts", "../libero/env.ts")).toContain("no simulator");
    expect(offence("vla/nina/mlp.ts", "../flower/flower.ts")).toContain("nothing of FLOWER");
    expect(offence("vla/eval.ts", "./policy")).toContain("end in .ts");
    expect(offence("vla/eval.ts", "./libero/env.ts")).toBeNull();
    expect(offence("test/core/tensor.test.ts", "../../core/tensor.ts")).toBeNull();
  });

  test("every way to write an import is seen", () => {
    const source = `
      import a from "./a.ts";
      import type { B, C } from "./b.ts";
      import {
        d,
      } from './d.ts';
      export * from "./e.ts";
      import "./f.ts";
      const g = await import("./g.ts");
    `;
    expect(importsOf(source)).toEqual(["./a.ts", "./b.ts", "./d.ts", "./e.ts", "./f.ts", "./g.ts"]);
  });
});
