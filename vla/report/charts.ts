/** Drawings in SVG: they stretch with the page, and take their colours from its style. */
import type { Span } from "../eval/results.ts";
import { wilsonInterval } from "../eval/wilson.ts";
import { Html, html } from "./html.ts";
import { fixed, HEIGHT, linePath, MOST_POINTS, stepPath, WIDTH } from "./lanes.ts";

/** A share of successes as a bar, and its 95 % interval as a line across it. */
export function rateBar(successes: number, n: number): Html {
  const [low, high] = wilsonInterval(successes, n);
  const rate = n === 0 ? 0 : successes / n;
  return drawing(
    "rate",
    100,
    10,
    html`<rect class="track" width="100" height="10"/><rect class="done" width="${fixed(100 * rate)}" height="10"/>
<path class="interval" d="M${fixed(100 * low)} 2v6m0 -3H${fixed(100 * high)}m0 -3v6"/>`,
  );
}

/** Numbers over time, see `linePath`. */
export const lineLane = (values: readonly number[], low: number, high: number): Html =>
  lane(linePath(values, low, high));

/** A line in steps, see `stepPath`. */
export const stepLane = (values: readonly number[], low: number, high: number): Html =>
  lane(stepPath(values, low, high));

/** Nothing in a path has to be escaped, and nothing may be cut. */
const lane = (path: string): Html =>
  drawing("lane", WIDTH, HEIGHT, html`<path class="line" d="${new Html(path)}"/>`);

/** When something was so, out of `steps` steps. */
export function spanLane(spans: readonly Span[], steps: number): Html {
  const width = WIDTH / Math.max(1, steps);
  const bars = spans.slice(0, MOST_POINTS).map(([first, last]) => {
    const [x, length] = [fixed((first - 1) * width), fixed((last - first + 1) * width)];
    return html`<rect class="held" x="${x}" width="${length}" height="${HEIGHT}"/>`;
  });
  return drawing(
    "lane",
    WIDTH,
    HEIGHT,
    html`<rect class="track" width="${WIDTH}" height="${HEIGHT}"/>${bars}`,
  );
}

const drawing = (name: string, width: number, height: number, content: Html): Html =>
  html`<svg class="${name}" viewBox="0 0 ${width} ${height}" preserveAspectRatio="none" aria-hidden="true">${content}</svg>`;
