import { createHash } from "node:crypto";
import type { Ended } from "../eval/ledger.ts";
import type { EpisodeOutcome } from "../eval/results.ts";
import { type Column, renderTable } from "../eval/table.ts";
import type { ReportedEpisode } from "../report/run-folder.ts";

/** What must come out of the same actions again. */
const COMPARED = ["outcome", "steps", "trajectoryHash"] as const satisfies (keyof EpisodeOutcome)[];

type Compared = Pick<EpisodeOutcome, (typeof COMPARED)[number]>;

/** What came of an episode that was played again. */
export interface Replayed {
  readonly task: string;
  readonly perturb?: string;
  readonly init: number;
  readonly verdict: "equal" | "different" | "not played";
  readonly recorded: Compared;
  /** Absent where it could not be played. */
  readonly played?: Compared;
  /** Why it could not. */
  readonly error?: string;
}

/** Holds an episode that was played again against its record. */
export function judge({ task, perturb, init, ...was }: ReportedEpisode, ended: Ended): Replayed {
  const id = { task, ...(perturb !== undefined && { perturb }), init };
  const recorded = compared(was);
  const error = "crashed" in ended ? ended.crashed : ended.episode.error;
  if (error !== undefined || "crashed" in ended) return { ...id, verdict: "not played", recorded, error };
  const played = compared(ended.episode);
  const isEqual = COMPARED.every((name) => recorded[name] === played[name]);
  return { ...id, verdict: isEqual ? "equal" : "different", recorded, played };
}

const compared = ({ outcome, steps, trajectoryHash }: Compared): Compared => ({
  outcome,
  steps,
  trajectoryHash,
});

/** `size` of these keys, in their order. Which ones is a function of seed and keys alone; every choice is as likely. */
export function drawKeys(keys: readonly string[], size: number, seed: number): string[] {
  const lot = (key: string): string =>
    createHash("sha256")
      .update(JSON.stringify([seed, key]))
      .digest("hex");
  const lots = new Map(keys.map((key) => [key, lot(key)]));
  const drawn = new Set(keys.toSorted((a, b) => (lots.get(a)! < lots.get(b)! ? -1 : 1)).slice(0, size));
  return keys.filter((key) => drawn.has(key));
}

const COLUMNS: readonly Column[] = [
  { title: "task", align: "left" },
  ...["played", "equal", "different", "not played"].map((title) => ({ title, align: "right" }) as const),
];

/** A row per task, and a line for each episode that is not as it was. */
export function replayReport(replayed: readonly Replayed[]): string {
  const tasks = [...new Set(replayed.map(({ task }) => task))];
  const cells = (those: readonly Replayed[]): string[] =>
    [
      those,
      ...(["equal", "different", "not played"] as const).map((verdict) =>
        those.filter((each) => each.verdict === verdict),
      ),
    ].map(({ length }) => String(length));
  const rows = tasks.map((name) => [name, ...cells(replayed.filter(({ task }) => task === name))]);
  return [renderTable(COLUMNS, rows, ["all tasks", ...cells(replayed)]), ...replayed.flatMap(complaint)].join(
    "\n",
  );
}

function complaint({ task, perturb, init, verdict, recorded, played, error }: Replayed): string[] {
  if (verdict === "equal") return [];
  const label = `${task} ${init}${perturb === undefined ? "" : ` (${perturb})`}`;
  if (!played) return [`NOT PLAYED: ${label}: ${error}`];
  const [was, is] = [recorded, played].map(({ outcome, steps, trajectoryHash }) => ({
    outcome,
    steps,
    trajectory: trajectoryHash.slice(0, 16),
  }));
  const differing = (["outcome", "steps", "trajectory"] as const).filter((name) => was[name] !== is[name]);
  return [
    `DIFFERENT: ${label}: ${differing.map((name) => `${name} ${is[name]}, recorded ${was[name]}`).join("; ")}`,
  ];
}
