import { DIMENSIONS, type Dimension, LEVELS, type Level, showLevels } from "../perturb/dimensions.ts";
import type { TaskResult } from "./results.ts";
import { type Column, renderTable } from "./table.ts";
import { rateOf } from "./wilson.ts";

const columns: readonly Column[] = [
  { title: "success [95 %]", align: "left" },
  ...LEVELS.map((level) => ({ title: `level ${level}`, align: "right" }) as const),
];

/**
 * Success by dimension and level, under the rate of the starts as they are: `-` where nothing was to be played, `error`
 * where nothing could be.
 */
export function robustnessTable(tasks: readonly TaskResult[]): string {
  const rate = (perturb: string | undefined): string => {
    const played = tasks.filter((task) => task.perturb === perturb).flatMap(({ episodes }) => episodes);
    const scored = played.filter(({ outcome }) => outcome !== "error");
    if (played.length > 0 && scored.length === 0) return "error";
    return rateOf(scored.filter(({ outcome }) => outcome === "success").length, scored.length);
  };
  const rateAt = (dimension: Dimension, level: Level) => rate(showLevels({ [dimension]: level }));
  const rows = DIMENSIONS.map((dimension) => [dimension, ...LEVELS.map((level) => rateAt(dimension, level))]);
  const played = rows.filter(([, ...cells]) => cells.some((cell) => cell !== "-"));
  return renderTable(columns, [
    ["as they are", rate(undefined), ...LEVELS.slice(1).map(() => "")],
    ...played,
  ]);
}
