import { UsageError } from "../../cli/index.ts";

/**
 * Ways in which an episode is made harder than its suite has it. LIBERO-plus (arXiv:2510.13626) has seven; its Objects
 * Layout is two here, `position` and `distractors`, so that a rate says which of them it is about.
 */
export const DIMENSIONS = [
  "position",
  "distractors",
  "camera",
  "robot",
  "language",
  "light",
  "textures",
  "noise",
] as const;
export type Dimension = (typeof DIMENSIONS)[number];

export const LEVELS = [1, 2, 3, 4, 5] as const;
/** How hard, from hardly to very. */
export type Level = (typeof LEVELS)[number];

/** How an episode is perturbed; a dimension that is absent is left as the suite has it. */
export type Levels = Readonly<Partial<Record<Dimension, Level>>>;

/** `camera:3,noise:1` as levels. @throws UsageError for anything else */
export function readLevels(flag: string, text: string): Levels {
  const levels: Partial<Record<Dimension, Level>> = {};
  for (const entry of text.split(",")) {
    const [dimension, level] = readEntry(flag, entry.trim());
    if (level === null) throw new UsageError(`${flag}: expected a level, as ${dimension}:3, got ${entry}`);
    if (levels[dimension] !== undefined) throw new UsageError(`${flag}: ${dimension} is given twice`);
    levels[dimension] = level;
  }
  return levels;
}

/**
 * `all`, or `camera,noise:5`: one dimension at one level each, a dimension without a level at all five.
 *
 * @throws UsageError for anything else
 */
export function readGrid(flag: string, text: string): Levels[] {
  const entries = text === "all" ? [...DIMENSIONS] : text.split(",");
  const grid = entries.flatMap((entry): Levels[] => {
    const [dimension, level] = readEntry(flag, entry.trim());
    return (level === null ? LEVELS : [level]).map((each) => ({ [dimension]: each }));
  });
  const names = grid.map(showLevels);
  const twice = names.find((name, i) => names.indexOf(name) < i);
  if (twice !== undefined) throw new UsageError(`${flag}: ${twice} is given twice`);
  return grid;
}

function readEntry(flag: string, entry: string): [dimension: Dimension, level: Level | null] {
  const [name, level, ...rest] = entry.split(":");
  const dimension = DIMENSIONS.find((known) => known === name);
  if (dimension === undefined || rest.length > 0)
    throw new UsageError(
      `${flag}: expected DIMENSION:LEVEL of ${DIMENSIONS.join(", ")}, got ${JSON.stringify(entry)}`,
    );
  if (level === undefined) return [dimension, null];
  const known = LEVELS.find((each) => String(each) === level);
  if (known === undefined)
    throw new UsageError(
      `${flag}: expected a level from 1 to 5 for ${dimension}, got ${JSON.stringify(level)}`,
    );
  return [dimension, known];
}

/** The inverse of `readLevels`, dimensions in their own order; "none" without any. */
export function showLevels(levels: Levels): string {
  const entries = DIMENSIONS.flatMap((name) =>
    levels[name] === undefined ? [] : [`${name}:${levels[name]}`],
  );
  return entries.join(",") || "none";
}
