/**
 * Compares this implementation with recorded numbers of the reference ones:
 *
 *   npx tsx test/parity.ts nina|florence2|libero DIR [--json]
 *
 * Runs every case that the files in DIR describe. Exits with 0 when all pass, 1 when one does not (a kind of case that
 * is not known or not built yet does not pass), 2 when it cannot start.
 */
import { existsSync, statSync } from "node:fs";
import { parseArgs } from "node:util";
import type { ParityCase } from "./parity/case.ts";
import { type CaseReport, reportLine, runCase } from "./parity/report.ts";

const suites: Readonly<Record<string, () => Promise<{ cases(dir: string): Promise<ParityCase[]> }>>> = {
  nina: () => import("./parity/nina.ts"),
  florence2: () => import("./parity/florence2.ts"),
  libero: () => import("./parity/libero.ts"),
};

const { suite, dir, json } = readArguments();
const cases = await collect();
const reports: CaseReport[] = [];
for (const one of cases) {
  const report = await runCase(one);
  reports.push(report);
  console.log(json ? JSON.stringify(report) : reportLine(report));
}
const failed = reports.filter((report) => report.status !== "pass").length;
console.log(
  json
    ? JSON.stringify({ passed: reports.length - failed, failed })
    : `${reports.length - failed} passed, ${failed} failed`,
);
process.exitCode = failed > 0 ? 1 : 0;

function readArguments(): { suite: string; dir: string; json: boolean } {
  try {
    const { positionals, values } = parseArgs({
      allowPositionals: true,
      options: { json: { type: "boolean", default: false } },
    });
    const [suite, dir] = positionals;
    if (positionals.length !== 2 || !Object.hasOwn(suites, suite))
      throw new Error(
        `expected ${Object.keys(suites).join("|")} DIR [--json], got ${positionals.join(" ") || "nothing"}`,
      );
    if (!existsSync(dir) || !statSync(dir).isDirectory())
      throw new Error(`expected a folder of cases, got ${dir}`);
    return { suite, dir, json: values.json };
  } catch (error) {
    return refuse(error);
  }
}

async function collect(): Promise<ParityCase[]> {
  try {
    const cases = await (await suites[suite]()).cases(dir);
    if (cases.length === 0) throw new Error(`${dir} describes no case`);
    return cases;
  } catch (error) {
    return refuse(error);
  }
}

/** What cannot start is not a failed case: another exit code tells them apart. */
function refuse(error: unknown): never {
  console.error(`parity: ${error instanceof Error ? error.message : String(error)}`);
  process.exit(2);
}
