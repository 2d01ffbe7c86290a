/** Lines of lanes: drawings 1000 wide and 40 high that stretch with the page, as the `d` of an SVG path. */

/** Points of a line that are drawn at most: about as many as it is wide on a screen. */
export const MOST_POINTS = 300;
/** Of a lane, in the units of its drawing. */
export const [WIDTH, HEIGHT] = [1000, 40];

/**
 * Numbers over time, the first at the left end and the last at the right, between the bottom (`low`) and the top
 * (`high`).
 */
export function linePath(values: readonly number[], low: number, high: number): string {
  const shown = thinned(values);
  const pitch = WIDTH / Math.max(1, shown.length - 1);
  return shown
    .map((value, i) => `${i === 0 ? "M" : "L"}${fixed(i * pitch)} ${height(value, low, high)}`)
    .join("");
}

/** A line in steps: each number holds until the next one, all for the same time. */
export function stepPath(values: readonly number[], low: number, high: number): string {
  const shown = thinned(values);
  const pitch = WIDTH / Math.max(1, shown.length);
  return shown
    .map((value, i) => `${i === 0 ? "M0 " : "V"}${height(value, low, high)}h${fixed(pitch)}`)
    .join("");
}

/** At most `MOST_POINTS` of the numbers, evenly apart, the first and the last among them. */
function thinned(values: readonly number[]): readonly number[] {
  const count = Math.min(values.length, MOST_POINTS);
  const pitch = (values.length - 1) / Math.max(1, count - 1);
  return Array.from({ length: count }, (_, i) => values[Math.round(i * pitch)]);
}

/** From the top. A flat line runs through the middle. */
function height(value: number, low: number, high: number): string {
  const share = high > low ? (value - low) / (high - low) : 0.5;
  return fixed((HEIGHT - 4) * (1 - Math.min(1, Math.max(0, share))) + 2);
}

/** To a tenth of a unit. */
export const fixed = (value: number): string => String(Math.round(10 * value) / 10);
