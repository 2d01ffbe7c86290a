import type { Results } from "../eval/results.ts";
import { wilsonInterval } from "../eval/wilson.ts";

/** Successes of several seeds together. Episodes that ended in an error are left out. */
export interface Rate {
  readonly successes: number;
  readonly episodes: number;
  /** Share of each seed. */
  readonly shares: readonly number[];
}

/** Of an evaluation per seed; with `task`, of that task alone. */
export function rateOf(results: readonly Results[], task?: string): Rate {
  const seeds = results.map(({ tasks }) => {
    const episodes = tasks.flatMap((one) => (task === undefined || one.task === task ? one.episodes : []));
    const scored = episodes.filter(({ outcome }) => outcome !== "error");
    const successes = scored.filter(({ outcome }) => outcome === "success");
    return { successes: successes.length, episodes: scored.length };
  });
  return {
    successes: seeds.reduce((sum, { successes }) => sum + successes, 0),
    episodes: seeds.reduce((sum, { episodes }) => sum + episodes, 0),
    shares: seeds.flatMap(({ successes, episodes }) => (episodes === 0 ? [] : [successes / episodes])),
  };
}

const percent = (share: number): string => (100 * share).toFixed(1);

/** In percent, with the Wilson interval over all episodes; null without one. */
export function showRate({ successes, episodes }: Rate): string | null {
  if (episodes === 0) return null;
  const [low, high] = wilsonInterval(successes, episodes);
  return `${percent(successes / episodes)} [${percent(low)}, ${percent(high)}]`;
}

/** The rates of the seeds in percent, from the lowest on; null without one. */
export const showSeeds = ({ shares }: Rate): string | null =>
  shares.length === 0
    ? null
    : shares
        .toSorted((a, b) => a - b)
        .map(percent)
        .join(", ");
