/**
 * Where this project's own programs are: TypeScript while it is developed, which Node runs through tsx, and JavaScript
 * once it is packed.
 */
import { fileURLToPath } from "node:url";
import { Worker } from "node:worker_threads";
import { COMMANDS } from "./commands.ts";

const FROM_SOURCES = import.meta.url.endsWith(".ts");

/** The module of that relative path, which ends in .ts, seen from another; `from` is its `import.meta.url`. */
export const ownModule = (path: string, from: string): URL =>
  new URL(FROM_SOURCES ? path : path.replace(/\.ts$/, ".js"), from);

/** What Node is given to run a module of this project. */
export const nodeArguments = (module: URL): string[] => [
  ...(FROM_SOURCES ? ["--import", import.meta.resolve("tsx")] : []),
  fileURLToPath(module),
];

/** How a command is called, which `script` is below the project's folder: "npx tsx vla/eval.ts" or "npx nina-ts eval". */
export function callOf(script: string): string {
  const name = Object.keys(COMMANDS).find((name) => COMMANDS[name].script === script);
  return FROM_SOURCES || name === undefined ? `npx tsx ${script}` : `npx nina-ts ${name}`;
}

/**
 * Starts a thread on a module of this project. Threads do not take over the program's loader for TypeScript, so they get
 * one of their own; `before` names packages that are loaded first, as a loader takes seconds for large ones.
 */
export function startThread(module: URL, workerData: unknown, before: readonly string[] = []): Worker {
  if (!FROM_SOURCES) return new Worker(module, { workerData, execArgv: [] });
  const [tsx, ...first] = ["tsx/esm/api", ...before].map((name) => import.meta.resolve(name));
  const script = `(async () => {
    for (const url of ${JSON.stringify(first)}) await import(url);
    (await import(${JSON.stringify(tsx)})).register();
    await import(${JSON.stringify(module.href)});
  })();`;
  return new Worker(script, { eval: true, workerData, execArgv: [] });
}
