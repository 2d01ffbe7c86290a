/** The package as its users find it: one pack and one installation, then each of its doors. */
import { type SpawnSyncReturns, spawnSync } from "node:child_process";
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "vite";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { COMMANDS } from "../../cli/commands.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const OWN = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));
const MIB = 2 ** 20;

/** Where the user works: an empty folder, then the package, what it brings along, and the simulator. */
const user = mkdtempSync(join(tmpdir(), "nina-package-"));
const installed = join(user, "node_modules/nina-ts");
let files: readonly string[];

function run(command: string, args: readonly string[], cwd = user): SpawnSyncReturns<string> {
  return spawnSync(command, args, { cwd, encoding: "utf8", maxBuffer: 100 * MIB });
}

/** The same, where nothing may go wrong. */
function output(command: string, args: readonly string[], cwd = user): string {
  const { status, stdout, stderr } = run(command, args, cwd);
  if (status !== 0) throw new Error(`${command} ${args.join(" ")}: ${status}\n${stdout}\n${stderr}`);
  return stdout;
}

const put = (name: string, text: string): void => writeFileSync(join(user, name), text);
const nina = (...args: string[]): SpawnSyncReturns<string> => run("npx", ["nina-ts", ...args]);

beforeAll(() => {
  output("npm", ["run", "build"], ROOT);
  const packed = output("npm", ["pack", "--ignore-scripts", "--json", "--pack-destination", user], ROOT);
  const [{ filename, files: all }] = JSON.parse(packed) as [{ filename: string; files: { path: string }[] }];
  files = all.map(({ path }) => path);
  put("package.json", '{ "private": true, "type": "module" }');
  const simulator = `@mujoco/mujoco@${OWN.peerDependencies["@mujoco/mujoco"]}`;
  output("npm", ["install", "--prefer-offline", "--no-audit", "--no-fund", `./${filename}`, simulator]);
});
afterAll(() => rmSync(user, { recursive: true }));

describe("the package", () => {
  test("holds what it needs and nothing else", () => {
    const kinds = new Set(files.map((path) => path.split("/")[0]));
    const folders = ["cli", "core", "dist", "flows", "nn", "vla"];
    expect([...kinds].sort()).toEqual(["LICENSE", "README.md", ...folders, "package.json"].sort());
    const strange = files.filter((path) => /\.(test\.ts|hdf5|pt|ckpt|jsonl)$|golden|experiments/.test(path));
    expect(strange).toEqual([]);
    expect(files.filter((path) => !path.startsWith("dist/") && /\.(js|json)$/.test(path))).toEqual([
      "package.json",
    ]);
  });

  test("brings along nothing native and nothing large", () => {
    const names = readdirSync(join(user, "node_modules"));
    for (const absent of ["gpu.js", "gl", "webgpu", "h5wasm", "bullmq", "esbuild"])
      expect(names).not.toContain(absent);
    const bytes = readdirSync(join(user, "node_modules"), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile() && !entry.parentPath.includes("@mujoco"))
      .reduce((sum, { parentPath, name }) => sum + statSync(join(parentPath, name)).size, 0);
    expect(bytes).toBeLessThan(25 * MIB); // weights of the embedded policy 5.6, code 10, others 3
  });

  test("has maps from its code and its types to sources that it holds", () => {
    for (const name of ["core/tensor.js.map", "flows/flow.d.ts.map", "vla/eval.js.map"]) {
      const path = join(installed, "dist", name);
      const { sources } = JSON.parse(readFileSync(path, "utf8"));
      for (const source of sources) expect(existsSync(resolve(dirname(path), source)), name).toBe(true);
    }
  });
});

describe("Node", () => {
  const SCRIPTS: Readonly<Record<string, string>> = {
    "nina-ts": `
      import { Random, setThreads } from "nina-ts";
      setThreads(3);
      await new Promise((resolve) => setTimeout(resolve, 200));
      const x = new Random(0).normals([300, 300]);
      const [one, three] = [1, 3].map((count) => { setThreads(count); return x.matmul(x).data.join(); });
      console.log(one === three);`,
    gpu: `
      import { openDevice, Tensor } from "nina-ts";
      const device = await openDevice("gpu:webasm");
      console.log((await Tensor.ones([3]).to(device).exp().sum().read())[0] > 8.15);`,
    "nina-ts/nn": `
      import { Tensor } from "nina-ts";
      import { Linear } from "nina-ts/nn";
      console.log(new Linear(2, 3).forward(Tensor.ones([1, 2])).shape.join() === "1,3");`,
    "nina-ts/flows": `
      import { Random } from "nina-ts";
      import { Flow, InvertiblePLU, StandardNormal } from "nina-ts/flows";
      const random = new Random(0);
      const flow = new Flow([new InvertiblePLU(2)], new StandardNormal([2])).init(random);
      console.log(flow.logProb(flow.sample(4, random)).shape.join() === "4");`,
    "nina-ts/flows/laws": `
      import { Tanh } from "nina-ts/flows";
      import { bijectorLaws } from "nina-ts/flows/laws";
      console.log(bijectorLaws("Tanh", () => new Tanh(2), { D: 2 }).length > 5);`,
    "nina-ts/vla": `
      import { registerDecoder } from "nina-ts/vla";
      console.log(typeof registerDecoder === "function");`,
  };
  test.each(Object.entries(SCRIPTS))("runs %s", (name, script) => {
    const file = `${name.replaceAll("/", "-")}.mjs`;
    put(file, script);
    expect(output(process.execPath, [file])).toBe("true\n");
  });
});

test("tsx runs TypeScript that imports it", () => {
  put(
    "hello.ts",
    'import { Tensor } from "nina-ts"; const x: Tensor = Tensor.ones([2]); console.log(x.size);',
  );
  expect(output(join(ROOT, "node_modules/.bin/tsx"), ["hello.ts"])).toBe("2\n");
});

test.each(["nodenext", "bundler"])("the strictest TypeScript takes the types, resolved as %s", (how) => {
  put(
    "strict.ts",
    `import { type Device, grad, Random, Tensor } from "nina-ts";
     import { AffineCoupling, Flow, InvertiblePLU, StandardNormal } from "nina-ts/flows";
     import { bijectorLaws } from "nina-ts/flows/laws";
     import { AdamW, Linear } from "nina-ts/nn";
     import type { Observation, Policy } from "nina-ts/vla";
     const random: Random = new Random(0);
     const x: Tensor = random.normals([4, 2]).tracked();
     const [slope] = grad(x.exp().sum(), [x]);
     const device: Device = x.device;
     const coupling = new AffineCoupling(new Linear(1, 1), new Linear(1, 1));
     const flow = new Flow([new InvertiblePLU(2), coupling], new StandardNormal([2]));
     const optimiser = new AdamW(flow.namedParameters());
     const policy: Policy = {
       name: "still",
       reset() {},
       act: async (seen: Observation) => ({ actions: [Float32Array.of(seen.agentview_image.data.length)] }),
     };
     export const all: unknown[] = [slope, device, optimiser, policy, bijectorLaws];
     // @ts-expect-error a shape is no text
     Tensor.ones("2");`,
  );
  const options = {
    target: "es2022",
    lib: ["es2022"],
    types: [],
    noEmit: true,
    skipLibCheck: false,
    module: how === "bundler" ? "preserve" : "nodenext",
    moduleResolution: how,
    strict: true,
    exactOptionalPropertyTypes: true,
    noUncheckedIndexedAccess: true,
    noPropertyAccessFromIndexSignature: true,
    noImplicitOverride: true,
    noImplicitReturns: true,
    noUnusedLocals: true,
    noUnusedParameters: true,
    verbatimModuleSyntax: true,
    isolatedModules: true,
  };
  put("tsconfig.json", JSON.stringify({ compilerOptions: options, files: ["strict.ts"] }));
  expect(run(join(ROOT, "node_modules/.bin/tsc"), ["-p", "."]).stdout).toBe("");
});

test("a bundle for browsers asks Node for nothing, and runs", async () => {
  put("page.js", 'import { Tensor } from "nina-ts"; console.log(Tensor.ones([2]).shift(1).data.join());');
  const lib = { entry: join(user, "page.js"), formats: ["es" as const], fileName: "bundle" };
  const outDir = join(user, "bundle");
  await build({ root: user, configFile: false, logLevel: "error", build: { lib, outDir } });
  const code = readdirSync(outDir).map((name) => readFileSync(join(outDir, name), "utf8"));
  expect(code.join("\n")).not.toMatch(/["']node:/);
  expect(output(process.execPath, [join(outDir, "bundle.js")])).toBe("2,2\n");
});

describe("npx nina-ts", () => {
  test("evaluates the embedded policy, with threads", () => {
    const { status, stdout, stderr } = nina("eval", "--tasks", "8", "--episodes", "1", "--workers", "2");
    expect([status, stderr]).toEqual([0, ""]);
    expect(stdout).toMatch(/DRAWER_SCENE3_push_the_drawer_shut +1 +1 +0 +100\.0/);
  });

  test("certifies the embedded flow", () => {
    const { status, stdout } = nina("certify", join(installed, "dist/vla/suites/mini/checkpoint"));
    expect(status).toBe(0);
    expect(stdout).toContain("every law holds");
  });

  test("calls commands by their names in their help", () => {
    const { status, stdout } = nina("convert", "--help");
    expect(status).toBe(0);
    expect(stdout).toContain("npx nina-ts convert");
    expect(stdout).not.toContain("tsx");
  });

  test("helps with every command before anything beside it is installed", () => {
    const [simulator, away] = ["@mujoco", "away"].map((name) => join(user, "node_modules", name));
    renameSync(simulator, away);
    try {
      for (const name of Object.keys(COMMANDS)) {
        const { status, stdout, stderr } = nina(name, "--help");
        expect([status, stderr], name).toEqual([0, ""]);
        expect(stdout, name).toContain(`Usage: npx nina-ts ${name}`);
      }
    } finally {
      renameSync(away, simulator);
    }
  });

  test("says what to install, and what it does not know", () => {
    const missing = nina("inspect", "demos");
    expect([missing.status, missing.stderr]).toEqual([
      1,
      `Error: nina-ts inspect: needs packages that nina-ts does not bring along: npm install h5wasm@${OWN.peerDependencies.h5wasm}\n`,
    ]);
    const unknown = nina("evaluate");
    expect([unknown.status, unknown.stderr]).toEqual([
      2,
      'UsageError: nina-ts has no command "evaluate" (see nina-ts --help)\n',
    ]);
    expect(nina("--version").stdout).toBe(`${OWN.version}\n`);
  });
});
