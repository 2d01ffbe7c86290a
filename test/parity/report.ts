import type { ParityCase } from "./case.ts";

/** How one case went. */
export interface CaseReport {
  readonly name: string;
  readonly kind: string;
  readonly status: "pass" | "FAIL" | "not implemented";
  /** Largest error and what is allowed; null when nothing was compared. */
  readonly error: number | null;
  readonly tolerance: number | null;
  readonly note?: string;
}

/** Runs one case; what it throws is a failure with that message. */
export async function runCase({ name, kind, run }: ParityCase): Promise<CaseReport> {
  if (run === undefined) return { name, kind, status: "not implemented", error: null, tolerance: null };
  try {
    const { error, tolerance, pass, note } = await run();
    // A NaN that slipped into a comparison must not pass for agreement.
    const status = pass && !Number.isNaN(error) ? "pass" : "FAIL";
    return { name, kind, status, error, tolerance, ...(note !== undefined && { note }) };
  } catch (thrown) {
    const note = thrown instanceof Error ? thrown.message : String(thrown);
    return { name, kind, status: "FAIL", error: null, tolerance: null, note };
  }
}

/** One line: name, kind, largest error, tolerance, status, note. */
export function reportLine({ name, kind, status, error, tolerance, note }: CaseReport): string {
  const number = (value: number | null) => (value === null ? "-" : value.toExponential(2)).padStart(9);
  return [name.padEnd(44), kind.padEnd(18), number(error), number(tolerance), status, note]
    .join("  ")
    .trimEnd();
}
