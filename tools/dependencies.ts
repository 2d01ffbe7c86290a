/**
 * Lists what is installed beside our own code, with its licences: `npx tsx tools/dependencies.ts >
 * docs/dependencies.md`. test/supply.test.ts keeps the page, and what it says, true.
 */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const ROOT = new URL("../", import.meta.url);

/** A package as package-lock.json has it. */
interface Locked {
  readonly version?: string;
  readonly resolved?: string;
  readonly integrity?: string;
  readonly license?: string;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
  readonly peerDependencies?: Readonly<Record<string, string>>;
  /** A folder of ours, which stands in for a package. */
  readonly link?: boolean;
  readonly hasInstallScript?: boolean;
}

export interface Dependency {
  readonly name: string;
  readonly version: string;
  /** Its licence's SPDX name. */
  readonly license: string;
  /** Where it is needed: by whoever uses nina-ts, or by whoever works on it. */
  readonly use: "use" | "development";
  /** Its address where the lock names one; otherwise the registry's that npm is set to. */
  readonly resolved: string | null;
  readonly integrity: string;
  /** Whether installing it runs a program of its own. */
  readonly runsAtInstall: boolean;
}

/** Licences that let anyone use, change and pass on. */
export const PERMISSIVE: ReadonlySet<string> = new Set([
  "0BSD",
  "Apache-2.0",
  "BlueOak-1.0.0",
  "BSD-2-Clause",
  "BSD-3-Clause",
  "ISC",
  "MIT",
  "MIT OR Apache-2.0",
  "NIST-Software",
  "Python-2.0",
]);

/** Those that bind whoever passes the package on, which development does not: only there they are allowed. */
export const DEVELOPMENT_ONLY: ReadonlySet<string> = new Set(["MPL-2.0"]);

/** Packages that name a file in place of a licence, by what stands in it. */
const READ: Readonly<Record<string, string>> = {
  h5wasm: "NIST-Software", // and the HDF Group's, a BSD licence, for the library in it
};

/** All packages of package-lock.json that are not ours, by name and version. */
export function dependencies(): Dependency[] {
  const lock = JSON.parse(readFileSync(new URL("package-lock.json", ROOT), "utf8"));
  const packages = Object.entries<Locked>(lock.packages);
  const used = usedPaths(lock.packages);
  const others = packages.filter(([path, { link }]) => path.includes("node_modules/") && !link);
  const found = others.map(([path, locked]): Dependency => {
    const name = path.slice(path.lastIndexOf("node_modules/") + "node_modules/".length);
    return {
      name,
      version: locked.version ?? "none",
      license: READ[name] ?? locked.license ?? "none",
      use: used.has(path) ? "use" : "development",
      resolved: locked.resolved ?? null,
      integrity: locked.integrity ?? "none",
      runsAtInstall: locked.hasInstallScript === true,
    };
  });
  const keyed = new Map(found.map((each) => [`${each.name} ${each.version}`, each]));
  return [...keyed].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, each]) => each);
}

/** Where those lie that users need: dependencies, packages that commands ask for, GPU.js inside ours, and what these need. */
function usedPaths(packages: Readonly<Record<string, Locked>>): ReadonlySet<string> {
  const used = new Set<string>();
  const add = (name: string, from: string): void => {
    // As Node looks: in the folder of the package that asks, then in those around it.
    for (let folder = from; ; folder = folder.slice(0, Math.max(0, folder.lastIndexOf("/node_modules/")))) {
      const path = `${folder}${folder && "/"}node_modules/${name}`;
      const found = packages[path];
      if (found && !used.has(path)) {
        used.add(path);
        const { dependencies, optionalDependencies } = found;
        for (const each in { ...dependencies, ...optionalDependencies }) add(each, path);
      }
      if (found || folder === "") return;
    }
  };
  const { dependencies, peerDependencies } = packages[""];
  for (const name in { ...dependencies, ...peerDependencies, "gpu.js": "" }) add(name, "");
  return used;
}

/** docs/dependencies.md. */
export function dependencyPage(all: readonly Dependency[]): string {
  const rows = (use: Dependency["use"]): string =>
    all
      .filter((each) => each.use === use)
      .map(({ name, version, license }) => `| ${name} | ${version} | ${license} |`)
      .join("\n");
  const head = "| package | version | licence |\n|---|---|---|\n";
  return `# Dependencies

All packages that \`npm ci\` installs, with their licences, made by \`npx tsx tools/dependencies.ts > docs/dependencies.md\`. A test
fails when a package is missing here, when its licence is not a permissive one, when it has no checksum in \`package-lock.json\`, and
when it names another registry than npm's own.

## For use

${head}${rows("use")}

\`h5wasm\` is NIST's, with the HDF Group's library in it, whose licence is a BSD one. Of these only the dependencies of
\`package.json\` are installed with the package; the others are for commands that ask for them, and GPU.js is inside of it.

## For development

Nothing of these is passed on with the package. MPL-2.0 binds whoever passes on a changed copy, and is allowed here alone.

${head}${rows("development")}
`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) process.stdout.write(dependencyPage(dependencies()));
