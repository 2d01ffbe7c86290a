/**
 * Runs a command several times in this process, once with each list of arguments: starting Node and reading a hundred
 * modules takes longer than what most refusals do. `SCRIPT JSON` in, a JSON list of what each turn printed and its exit
 * code out.
 */
import { pathToFileURL } from "node:url";

/** What came of a turn. */
export interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

const [script, lists] = process.argv.slice(2);
const print = process.stdout.write.bind(process.stdout);
const exit = process.exit.bind(process);
// Benchmarks end their process, since what they compare with keeps threads of its own.
process.exit = (() => {}) as unknown as typeof process.exit;
const ended: Ended[] = [];
for (const [i, args] of (JSON.parse(lists) as string[][]).entries()) {
  process.argv = [process.argv[0], script, ...args];
  process.exitCode = undefined;
  const written = { stdout: "", stderr: "" };
  for (const name of ["stdout", "stderr"] as const)
    process[name].write = (text: string | Uint8Array): boolean => {
      written[name] += text;
      return true;
    };
  // A module of its own for each turn, on the same imports.
  await import(`${pathToFileURL(script).href}?turn=${i}`);
  for (const stream of [process.stdout, process.stderr]) stream.removeAllListeners("error");
  ended.push({ code: Number(process.exitCode ?? 0), ...written });
}
print(JSON.stringify(ended), () => exit(0)); // whatever a turn has left running
