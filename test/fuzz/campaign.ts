/** Fuzzing of one reader: tries inputs until the time is over, then confirms, minimises and saves what failed. */
import { createHash } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import type { Limits } from "./judge.ts";
import { minimise } from "./minimise.ts";
import type { Input } from "./reader.ts";
import { Session } from "./session.ts";
import type { Counts, Failure, Known, Report } from "./worker.ts";

export interface CampaignOptions {
  readonly name: string;
  /** Address of the reader's module. */
  readonly module: string;
  readonly seed: number;
  readonly milliseconds: number;
  /** Folder for findings. */
  readonly out: string;
  readonly limits?: Limits;
  /** Hears the counts some times a second. */
  readonly progress?: (tally: Tally) => void;
}

export interface Tally {
  readonly inputs: number;
  readonly accepted: number;
  readonly refused: number;
  /** Failures that did not come again in a fresh process. */
  readonly unrepeated: number;
  /** Milliseconds of the slowest input that came to an end. */
  readonly slowest: number;
  /** Largest growth of the process by one input, bytes. */
  readonly grown: number;
}

export interface Finding {
  readonly text: string;
  /** Path of the minimised input. */
  readonly path: string;
}

export interface CampaignResult extends Tally {
  readonly reader: string;
  readonly seed: number;
  readonly seconds: number;
  readonly findings: readonly Finding[];
}

/** To minimise one finding, and all findings of a reader, milliseconds: what hangs takes seconds for each try. */
const MINIMISE = 20_000;
const MINIMISE_ALL = 120_000;

export async function campaign(options: CampaignOptions): Promise<CampaignResult> {
  using session = new Session(options.module, options.limits);
  await session.start();
  const start = Date.now();
  const { tally, failures } = await tryInputs(session, options);
  const seconds = (Date.now() - start) / 1000;
  const findings: Finding[] = [];
  const patience = Math.min(MINIMISE, MINIMISE_ALL / failures.length);
  for (const failure of failures) findings.push(await save(session, failure, options, patience));
  return { reader: options.name, seed: options.seed, seconds, ...tally, findings };
}

async function tryInputs(
  session: Session,
  { seed, milliseconds, progress }: CampaignOptions,
): Promise<{ tally: Tally; failures: readonly Failure[] }> {
  const shapes: string[] = [];
  const inputs: Input[] = [];
  const failures: Failure[] = [];
  const known: Known = { shapes, inputs };
  const until = Date.now() + milliseconds;
  let tally: Tally = { inputs: 0, accepted: 0, refused: 0, unrepeated: 0, slowest: 0, grown: 0 };
  while (Date.now() < until) {
    const before = tally;
    const count = (counts: Counts): void => {
      tally = {
        // A process that was ended before its first input left the counts of what it did before.
        inputs: Math.max(before.inputs, counts.index),
        accepted: before.accepted + counts.accepted,
        refused: before.refused + counts.refused,
        unrepeated: before.unrepeated,
        slowest: Math.max(before.slowest, counts.slowest),
        grown: Math.max(before.grown, counts.grown),
      };
      progress?.(tally);
    };
    const failure = await session.fuzz(
      { kind: "fuzz", seed, index: tally.inputs, until, known },
      (message: Report) => {
        if (message.kind === "new") {
          shapes.push(message.shape);
          if (message.input) inputs.push(message.input);
        } else if ("counts" in message) count(message.counts);
      },
    );
    if (!failure) break;
    count(failure.counts);
    // What a fresh process reads well was a pause of a busy machine, or the trace of earlier inputs.
    session.stop();
    const verdict = await session.judge(failure.input);
    if (verdict.outcome !== "failed") tally = { ...tally, unrepeated: tally.unrepeated + 1 };
    else {
      // A process that had to be ended knows nothing of those before it: the same fault ends one after the other.
      if (!failures.some((known) => known.verdict.shape === verdict.shape))
        failures.push({ ...failure, verdict });
      shapes.push(failure.verdict.shape);
    }
  }
  return { tally, failures };
}

/** Minimises a failure and writes it down. */
async function save(
  session: Session,
  { input, verdict }: Failure,
  { name, seed, out }: CampaignOptions,
  patience: number,
): Promise<Finding> {
  const { text, shape } = verdict;
  const bytes = await minimise(
    input.bytes,
    async (candidate) => (await session.judge({ ...input, bytes: candidate })).shape === shape,
    Date.now() + patience,
  );
  const hash = createHash("sha256").update(bytes).digest("hex").slice(0, 12);
  const folder = join(out, name);
  const path = join(folder, `${hash}.${basename(input.file)}`);
  mkdirSync(folder, { recursive: true });
  writeFileSync(path, bytes);
  writeFileSync(join(folder, `${hash}.txt`), `${input.file}, seed ${seed}\n${text}\n`);
  return { text, path };
}
