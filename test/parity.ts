/** Compares this implementation with recorded numbers of the reference ones: `npx tsx test/parity.ts --help`. */
import { existsSync, statSync } from "node:fs";
import { type CliSchema, parseCli, runMain, UsageError } from "../cli/index.ts";
import type { ParityCase, ParityOptions } from "./parity/case.ts";
import { type CaseReport, reportLine, runCase } from "./parity/report.ts";

const suites: Readonly<
  Record<string, () => Promise<{ cases(dir: string, options: ParityOptions): Promise<ParityCase[]> }>>
> = {
  nina: () => import("./parity/nina.ts"),
  florence2: () => import("./parity/florence2.ts"),
  libero: () => import("./parity/libero.ts"),
};

const schema = {
  usage: "npx tsx test/parity.ts nina|florence2|libero DIR [options]",
  description:
    "Runs every case that the files in DIR describe and prints its largest error, its tolerance, and pass, FAIL or\n" +
    "not implemented. Exit code: 0 when all pass, 1 when one does not (a kind of case that is not known or not built\n" +
    "yet does not pass), 2 when it cannot start.",
  positionals: {
    SUITE:
      "what is compared: nina (decoders, training), florence2 (encoder, tokenizer), libero (simulator, pictures)",
    DIR: "folder of recorded numbers",
  },
  options: {
    libero: { type: "string", help: "folder of a LIBERO clone; otherwise LIBERO_ROOT of the environment" },
    robosuite: {
      type: "string",
      help: "folder of a robosuite clone; otherwise ROBOSUITE_ROOT of the environment",
    },
    json: { type: "boolean", help: "print one JSON line per case, then one with the counts" },
  },
} as const satisfies CliSchema;

await runMain(async () => {
  const { json, cases } = await readArguments();
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
});

async function readArguments(): Promise<{ json: boolean; cases: ParityCase[] }> {
  const { positionals, json, libero, robosuite } = parseCli(schema, process.argv.slice(2));
  const { SUITE, DIR } = positionals;
  const { LIBERO_ROOT, ROBOSUITE_ROOT } = process.env;
  if (!Object.hasOwn(suites, SUITE))
    throw new UsageError(`expected ${Object.keys(suites).join(", ")}, got ${JSON.stringify(SUITE)}`);
  if (SUITE !== "libero" && (libero ?? robosuite) !== undefined)
    throw new UsageError(`only libero takes --libero and --robosuite, got them for ${SUITE}`);
  if (!existsSync(DIR) || !statSync(DIR).isDirectory())
    throw new UsageError(`expected a folder of cases, got ${DIR}`);

  const { cases } = await suites[SUITE]();
  return {
    json,
    cases: await collect(
      cases(DIR, { libero: libero ?? LIBERO_ROOT, robosuite: robosuite ?? ROBOSUITE_ROOT }),
      DIR,
    ),
  };
}

/** Cases that cannot be listed are not failed cases: another exit code tells them apart. */
async function collect(listing: Promise<ParityCase[]>, dir: string): Promise<ParityCase[]> {
  const cases = await listing.catch((error: Error) => {
    throw new UsageError(error.message);
  });
  if (cases.length === 0) throw new UsageError(`${dir} describes no case`);
  return cases;
}
