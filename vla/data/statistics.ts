import type { Episode } from "./demonstrations.ts";

/** Of one entry of the actions, over all steps of all episodes. */
export interface Spread {
  readonly least: number;
  readonly mean: number;
  readonly deviation: number;
  readonly most: number;
}

/** How the 7 entries of the actions are spread. Throws for actions that are not finite, naming the step. */
export function actionSpread(episodes: readonly Episode[]): Spread[] {
  const least = new Float64Array(7).fill(Number.POSITIVE_INFINITY);
  const most = new Float64Array(7).fill(Number.NEGATIVE_INFINITY);
  const [sums, squares] = [new Float64Array(7), new Float64Array(7)];
  let steps = 0;
  for (const episode of episodes) {
    const actions = episode.actions(0, episode.length);
    actions.forEach((value, i) => {
      if (!Number.isFinite(value))
        throw new Error(
          `${episode.name}: expected finite actions, found ${value} at step ${Math.floor(i / 7)}`,
        );
      const entry = i % 7;
      least[entry] = Math.min(least[entry], value);
      most[entry] = Math.max(most[entry], value);
      sums[entry] += value;
      squares[entry] += value * value;
    });
    steps += episode.length;
  }
  return Array.from(least, (_, i) => {
    const mean = sums[i] / steps;
    const deviation = Math.sqrt(Math.max(0, squares[i] / steps - mean * mean));
    return { least: least[i], mean, deviation, most: most[i] };
  });
}
