import { inspect } from "node:util";
import { printable } from "../../core/index.ts";

/** Of whatever was thrown: short, and fit for a line. */
export function messageOf(thrown: unknown): string {
  return printable(thrown instanceof Error ? String(thrown.message) : inspect(thrown, { depth: 0 }), 1000);
}
