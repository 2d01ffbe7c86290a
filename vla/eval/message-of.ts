import { printable } from "../../core/index.ts";
import { describeThrown } from "../platform/node.ts";

/** Of whatever was thrown: short, and fit for a line. */
export function messageOf(thrown: unknown): string {
  return printable(thrown instanceof Error ? String(thrown.message) : describeThrown(thrown), 1000);
}
