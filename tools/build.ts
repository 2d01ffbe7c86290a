/**
 * Builds what the package holds, in dist/: `npm run build`. JavaScript with types and source maps from the compiler, the
 * files that programs read beside their modules, and GPU.js inside of the module that loads it.
 */
import { execFileSync } from "node:child_process";
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "vite";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const DIST = join(ROOT, "dist");

rmSync(DIST, { recursive: true, force: true });
execFileSync("npx", ["tsc", "-p", "tsconfig.build.json"], { cwd: ROOT, stdio: "inherit" });
chmodSync(join(DIST, "cli/nina-ts.js"), 0o755);
copyAssets();
await bundleGpuJs();

/** All files of the folders that are no TypeScript: scenes, weights, tables, pages; not the logs of a training. */
function copyAssets(): void {
  for (const folder of ["core", "nn", "flows", "vla"]) {
    for (const entry of readdirSync(join(ROOT, folder), { recursive: true, withFileTypes: true })) {
      if (!entry.isFile() || /\.(ts|md)$/.test(entry.name) || /[\\/]training$/.test(entry.parentPath))
        continue;
      const from = join(entry.parentPath, entry.name);
      const to = join(DIST, from.slice(ROOT.length));
      mkdirSync(dirname(to), { recursive: true });
      copyFileSync(from, to);
    }
  }
}

/** Puts GPU.js's build for browsers, which comes with all it needs, into core/gpu/library.js. */
async function bundleGpuJs(): Promise<void> {
  const lib = { entry: join(ROOT, "core/gpu/library.ts"), formats: ["es" as const], fileName: "library" };
  const outDir = join(DIST, "core/gpu");
  await build({
    configFile: false,
    logLevel: "error",
    build: { lib, outDir, emptyOutDir: false, minify: true },
  });
  rmSync(join(outDir, "library.js.map"), { force: true });
  const licences = ["gpu.js", "acorn", "gpu-mock.js"].map((name) => {
    const folder = join(ROOT, "node_modules", name);
    const file = readdirSync(folder).find((each) => /^licen[cs]e/i.test(each));
    const text = file ? readFileSync(join(folder, file), "utf8") : "MIT licence, as its package.json says";
    return `${name} ${JSON.parse(readFileSync(join(folder, "package.json"), "utf8")).version}\n\n${text}`;
  });
  writeFileSync(join(outDir, "library.LICENSES.txt"), licences.join("\n\n"));
}
