/** Drawings in SVG: they stretch with the page, and take their colours from its style. */
import type { Span } from "../eval/results.ts";
import { wilsonInterval } from "../eval/wilson.ts";
import { Html, html } from "./html.ts";

/** Points of a line that are drawn at most: about as many as it is wide on a screen. */
const MOST_POINTS = 300;
/** Of a lane, in the units of its drawing. */
const [WIDTH, HEIGHT] = [1000, 40];

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

/** Numbers over time, the first at the left end and the last at the right, between the bottom (`low`) and the top (`high`). */
export function lineLane(values: readonly number[], low: number, high: number): Html {
  const shown = thinned(values);
  const pitch = WIDTH / Math.max(1, shown.length - 1);
  const points = shown.map(
    (value, i) => `${i === 0 ? "M" : "L"}${fixed(i * pitch)} ${height(value, low, high)}`,
  );
  return drawing("lane", WIDTH, HEIGHT, html`<path class="line" d="${numbers(points)}"/>`);
}

/** A line in steps: each number holds until the next one, all for the same time. */
export function stepLane(values: readonly number[], low: number, high: number): Html {
  const shown = thinned(values);
  const pitch = WIDTH / Math.max(1, shown.length);
  const points = shown.map(
    (value, i) => `${i === 0 ? "M0 " : "V"}${height(value, low, high)}h${fixed(pitch)}`,
  );
  return drawing("lane", WIDTH, HEIGHT, html`<path class="line" d="${numbers(points)}"/>`);
}

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

/** Every so-manieth of many numbers, the first and the last among them. */
function thinned(values: readonly number[]): readonly number[] {
  const count = Math.min(values.length, MOST_POINTS);
  const pitch = (values.length - 1) / Math.max(1, count - 1);
  return Array.from({ length: count }, (_, i) => values[Math.round(i * pitch)]);
}

/** Nothing in them has to be escaped, and nothing may be cut. */
const numbers = (points: readonly string[]): Html => new Html(points.join(""));

/** From the top. A flat line runs through the middle. */
function height(value: number, low: number, high: number): string {
  const share = high > low ? (value - low) / (high - low) : 0.5;
  return fixed((HEIGHT - 4) * (1 - Math.min(1, Math.max(0, share))) + 2);
}

const fixed = (value: number): string => String(Math.round(10 * value) / 10);
