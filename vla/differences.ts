import { printable } from "../core/index.ts";

/** Differences that an error tells. */
const MOST_TOLD = 5;

/** Where two JSON values differ: `run.seed: 0, and 7`, one entry each; `nothing` for what one of them lacks. */
export function differences(a: unknown, b: unknown, path = ""): string[] {
  if (!isParent(a) || !isParent(b)) return Object.is(a, b) ? [] : [`${path}: ${show(a)}, and ${show(b)}`];
  const keys = new Set([...Object.keys(a), ...Object.keys(b)]);
  return [...keys].flatMap((key) => differences(a[key], b[key], path === "" ? key : `${path}.${key}`));
}

const isParent = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null;

const show = (value: unknown): string => JSON.stringify(value) ?? "nothing";

/** The first of some differences, and how many more there are. */
export function inOneLine(differing: readonly string[]): string {
  const more = differing.length > MOST_TOLD ? `; and ${differing.length - MOST_TOLD} more` : "";
  return `${printable(differing.slice(0, MOST_TOLD).join("; "), 1000)}${more}`;
}
