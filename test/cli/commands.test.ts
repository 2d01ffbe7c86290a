import { spawn } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { COMMANDS } from "../../cli/commands.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const { dependencies, peerDependencies } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));

/** What serves the repository alone: it reads or writes its sources and documents. */
const OF_THE_REPOSITORY = [
  "vla/experiments.ts",
  "vla/experts/run.ts",
  "vla/perturb/sheet.ts",
  "vla/results.ts",
  "vla/suites/mini/make-init-states.ts",
  "vla/suites/mini/make-textures.ts",
];

/** The modules that a file loads, threads and processes included, and the packages. Types are not loaded. */
function loadedBy(file: string): { modules: string[]; packages: string[] } {
  const source = readFileSync(join(ROOT, file), "utf8").replaceAll(/^(?:import|export) type [^;]*;/gm, "");
  const pattern =
    /\bfrom "([^"]+)"|^import "([^"]+)"|\bimport\("([^"]+)"\)|ownModule\("([^"]+)"|\bscript: "([^"]+)"|createRequire\(import\.meta\.url\)\.resolve\("([^"]+)"/gm;
  const names = [...source.matchAll(pattern)].map((match) => match.slice(1).find(Boolean) as string);
  const [modules, packages]: [string[], string[]] = [[], []];
  for (const name of names) {
    if (name.startsWith("node:")) continue;
    const isOwn = name.startsWith(".") || name.endsWith(".ts");
    if (isOwn)
      modules.push(join(file, "..", name), name); // commands are named from the project's folder
    else packages.push(name.match(/^(@[^/]+\/)?[^/]+/)![0]);
  }
  return { modules, packages };
}

/** All packages that a command may ask for. */
function packagesOf(script: string): Set<string> {
  const found = new Set<string>();
  const seen = new Set([script]);
  for (const file of seen) {
    if (file === "cli/commands.ts") continue; // names all of them, and loads none
    const { modules, packages } = loadedBy(file);
    for (const each of packages) found.add(each);
    for (const each of modules) if (existsSync(join(ROOT, each))) seen.add(each);
  }
  return found;
}

describe("the table of commands", () => {
  test("has every command", () => {
    const scripts = ["core", "flows", "vla"].flatMap((folder) =>
      readdirSync(join(ROOT, folder), { recursive: true, encoding: "utf8" })
        .map((path) => join(folder, path))
        .filter(
          (path) => path.endsWith(".ts") && readFileSync(join(ROOT, path), "utf8").includes("await runMain("),
        ),
    );
    const listed = Object.values(COMMANDS).map(({ script }) => script);
    expect([...listed, ...OF_THE_REPOSITORY].sort()).toEqual(scripts.sort());
  });

  test.each(Object.entries(COMMANDS))("names the packages that %s needs", (_, { script, needs = [] }) => {
    const all = [...packagesOf(script)].filter((name) => !(name in dependencies));
    // gpu.js is inside of the package; tsx is asked for where there is TypeScript of the user's, with words of its own.
    const asked = all.filter((name) => name !== "gpu.js" && name !== "tsx");
    expect([...needs].sort()).toEqual(asked.sort());
    for (const name of needs) expect(peerDependencies).toHaveProperty([name]);
  });
});

describe("nina-ts", () => {
  test.each([
    [["--help"], 0, /^ {2}eval +evaluate a policy on LIBERO tasks; needs @mujoco\/mujoco$/m, /^$/],
    [["--version"], 0, /^\d+\.\d+\.\d+\n$/, /^$/],
    [["evaluate"], 2, /^$/, /^UsageError: nina-ts has no command "evaluate" \(see nina-ts --help\)\n$/],
    [["toString"], 2, /^$/, /^UsageError: nina-ts has no command "toString"/],
    [["compare", "one"], 2, /^$/, /^UsageError: missing B \(see --help\)\n$/],
  ] as const)("%j", async (args, code, stdout, stderr) => {
    const child = spawn(process.execPath, ["--import", "tsx", "cli/nina-ts.ts", ...args], { cwd: ROOT });
    const said = { stdout: "", stderr: "" };
    child.stdout.on("data", (part) => (said.stdout += part));
    child.stderr.on("data", (part) => (said.stderr += part));
    expect(await new Promise((resolve) => child.on("close", resolve))).toBe(code);
    expect(said.stdout).toMatch(stdout);
    expect(said.stderr).toMatch(stderr);
  });
});
