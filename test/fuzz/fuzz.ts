/** Gives broken files to readers: `npm run fuzz -- --help`. */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { type CliSchema, parseCli, runMain, UsageError } from "../../cli/index.ts";
import { printable, writeFileAtomic } from "../../core/index.ts";
import { type CampaignResult, campaign, type Tally } from "./campaign.ts";
import { caseAt, READERS, readerModule } from "./reader.ts";
import { Session } from "./session.ts";

const schema = {
  usage: "npm run fuzz -- [options] [FILES]",
  description:
    "Changes sound files at random and gives them to each reader, which must take them or refuse them with one clear\n" +
    "error, within 2 s and 500 MB. What fails is minimised and saved. Exit code: 0 without findings, 1 with some, 2 when\n" +
    "it cannot start.",
  positionals: { "FILES...": "saved inputs of one --reader, to be read once more instead" },
  options: {
    reader: { type: "string", help: `which, with commas between, of ${READERS.join(", ")}; otherwise all` },
    minutes: { type: "number", default: 1, help: "per reader" },
    seed: { type: "number", default: 0, help: "of all changes" },
    out: {
      type: "string",
      default: "fuzz-findings",
      help: "folder for findings and for state.json, the table so far",
    },
    json: { type: "boolean", help: "print one JSON line per reader" },
  },
} as const satisfies CliSchema;

/** Between two writings of the state, milliseconds. */
const SAVE = 1000;

const COLUMNS = ["inputs", "per s", "accepted", "refused", "unrepeated", "slowest ms", "peak MB", "findings"];
const HEAD = ["reader".padEnd(14), ...COLUMNS.map((title) => title.padStart(11))].join("");

for (const [signal, code] of [
  ["SIGINT", 130],
  ["SIGTERM", 143],
] as const)
  process.once(signal, () => process.exit(code)); // leaves no process and no folder behind

await runMain(async () => {
  const args = parseCli(schema, process.argv.slice(2));
  const { minutes, seed, out, json } = args;
  const readers = readersNamed(args.reader);
  if (!(minutes > 0)) throw new UsageError(`--minutes: expected more than 0, got ${minutes}`);
  if (!Number.isSafeInteger(seed) || seed < 0)
    throw new UsageError(`--seed: expected a whole number from 0, got ${seed}`);

  if (args.positionals.FILES.length > 0) return repeat(readers, args.positionals.FILES);

  const results: CampaignResult[] = [];
  const save = (running?: { reader: string; tally: Tally }): void =>
    writeFileAtomic(
      join(out, "state.json"),
      `${JSON.stringify({ seed, minutes, results, running }, null, 2)}\n`,
    );
  let saved = 0;
  mkdirSync(out, { recursive: true });
  if (!json) console.log(`seed ${seed}, ${minutes} min per reader\n\n${HEAD}`);
  for (const name of readers) {
    const result = await campaign({
      name,
      module: readerModule(name),
      seed,
      milliseconds: 60_000 * minutes,
      out,
      progress: (tally) => {
        if (Date.now() - saved < SAVE) return;
        saved = Date.now();
        save({ reader: name, tally });
        if (process.stderr.isTTY) process.stderr.write(`\r\u001b[K${rowOf({ ...tally, reader: name })}`);
      },
    });
    if (process.stderr.isTTY) process.stderr.write("\r\u001b[K");
    results.push(result);
    save();
    console.log(json ? JSON.stringify(result) : rowOf(result));
  }
  const findings = results.flatMap((result) => result.findings);
  if (!json) for (const { text, path } of findings) console.log(`\n${path}\n  ${printable(text)}`);
  if (findings.length > 0) process.exitCode = 1;
});

function readersNamed(list: string | undefined): readonly string[] {
  const names = list?.split(",") ?? READERS;
  const unknown = names.find((name) => !READERS.includes(name));
  if (unknown !== undefined)
    throw new UsageError(`--reader: expected some of ${READERS.join(", ")}, got ${JSON.stringify(unknown)}`);
  return names;
}

/** Reads saved inputs once more and says what comes of each. */
async function repeat(readers: readonly string[], paths: readonly string[]): Promise<void> {
  if (readers.length !== 1) throw new UsageError("FILES: expected one --reader to read them");
  const [name] = readers;
  using session = new Session(readerModule(name));
  for (const path of paths) {
    const { outcome, text } = await session.judge(await caseAt(name, path));
    console.log(`${outcome}  ${path}\n  ${printable(text)}`);
    if (outcome === "failed") process.exitCode = 1;
  }
}

function rowOf(result: Tally & { reader: string } & Partial<CampaignResult>): string {
  const { reader, inputs, accepted, refused, unrepeated, slowest, grown, seconds, findings } = result;
  const numbers = [
    inputs,
    seconds ? Math.round(inputs / seconds) : "",
    accepted,
    refused,
    unrepeated,
    Math.round(slowest),
    Math.round(grown / 2 ** 20),
    findings?.length ?? "",
  ];
  return [reader.padEnd(14), ...numbers.map((value) => String(value).padStart(11))].join("");
}
