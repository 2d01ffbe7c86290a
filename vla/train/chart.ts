import { Canvas, type Colour, PITCH } from "../draw/canvas.ts";

/** A line through points (x, y), left to right. */
export interface Series {
  readonly name: string;
  readonly points: readonly (readonly [x: number, y: number])[];
}

/** One coordinate system; all series share its axes. */
export interface Panel {
  readonly title: string;
  readonly series: readonly Series[];
}

/** Of a panel, pixels. */
const [WIDTH, HEIGHT] = [480, 260];
const MARGIN = { left: 62, right: 14, top: 28, bottom: 26 };
const PER_ROW = 2;
const [INK, GRID]: readonly Colour[] = [
  [60, 60, 60],
  [228, 228, 228],
];
/** Okabe and Ito's colours, which colour-blind readers can tell apart. */
const COLOURS: readonly Colour[] = [
  [0, 114, 178],
  [213, 94, 0],
  [0, 158, 115],
  [204, 121, 167],
  [230, 159, 0],
  [86, 180, 233],
];

/** Panels side by side as a PNG: axes with numbers, a line per series, a legend where there are several. */
export function drawPanels(panels: readonly Panel[]): Uint8Array {
  const columns = Math.min(PER_ROW, panels.length);
  const canvas = new Canvas(columns * WIDTH, Math.ceil(panels.length / columns) * HEIGHT);
  panels.forEach((panel, i) => {
    drawPanel(canvas, panel, (i % columns) * WIDTH, Math.floor(i / columns) * HEIGHT);
  });
  return canvas.png();
}

function drawPanel(canvas: Canvas, { title, series }: Panel, left: number, top: number): void {
  const box = {
    left: left + MARGIN.left,
    right: left + WIDTH - MARGIN.right,
    top: top + MARGIN.top,
    bottom: top + HEIGHT - MARGIN.bottom,
  };
  const points = series.flatMap((one) => one.points);
  const [xs, ys] = [0, 1].map((axis) => ticks(points.map((point) => point[axis])));
  const column = (x: number): number =>
    box.left + ((x - xs.low) / (xs.high - xs.low)) * (box.right - box.left);
  const row = (y: number): number =>
    box.bottom - ((y - ys.low) / (ys.high - ys.low)) * (box.bottom - box.top);

  for (const x of xs.marks) {
    canvas.line([column(x), box.top], [column(x), box.bottom], GRID, 1);
    canvas.text(label(x), column(x), box.bottom + 8, "centre", INK);
  }
  for (const y of ys.marks) {
    canvas.line([box.left, row(y)], [box.right, row(y)], GRID, 1);
    canvas.text(label(y), box.left - 6, row(y) - 3, "right", INK);
  }
  canvas.line([box.left, box.top], [box.left, box.bottom], INK, 1);
  canvas.line([box.left, box.bottom], [box.right, box.bottom], INK, 1);
  canvas.text(title, box.left, top + 10, "left", INK);
  let at = box.right;
  series.forEach((one, i) => {
    const colour = COLOURS[i % COLOURS.length];
    const path = one.points.map(([x, y]) => [column(x), row(y)] as const);
    path.forEach((point, j) => {
      canvas.line(path[Math.max(0, j - 1)], point, colour, path.length < 2 ? 4 : 1.6);
    });
    if (series.length === 1 || at - left < WIDTH / 3) return; // the title, or too many for a legend
    canvas.text(one.name, at, top + 10, "right", colour);
    at -= PITCH * (one.name.length + 2);
  });
}

/** A range that holds all values, and round numbers in it. */
function ticks(values: readonly number[]): { low: number; high: number; marks: number[] } {
  let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const value of values) [low, high] = [Math.min(low, value), Math.max(high, value)];
  if (low > high) [low, high] = [0, 1];
  if (low === high) {
    const around = Math.abs(low) / 10 || 1;
    [low, high] = [low - around, high + around];
  }
  const rough = (high - low) / 5;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * ([1, 2, 5].find((factor) => factor * power >= rough) ?? 10);
  const [first, last] = [Math.ceil(low / step), Math.floor(high / step)];
  return { low, high, marks: Array.from({ length: last - first + 1 }, (_, i) => (first + i) * step) };
}

/** A number in at most ten letters. */
export function label(value: number): string {
  if (Math.abs(value) >= 1e6 || (value !== 0 && Math.abs(value) < 1e-3))
    return value.toExponential(1).replace(".0e", "e");
  if (Math.abs(value) >= 1e4) return `${Number((value / 1000).toPrecision(6))}k`;
  return `${Number(value.toPrecision(5))}`;
}
