import { encode } from "fast-png";
import { glyph } from "./glyphs.ts";

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

type Colour = readonly [red: number, green: number, blue: number];

/** Of a panel, pixels. */
const [WIDTH, HEIGHT] = [480, 260];
const MARGIN = { left: 62, right: 14, top: 28, bottom: 26 };
const PER_ROW = 2;
/** From the start of one letter to that of the next. */
const PITCH = 6;
const [INK, GRID, WHITE]: readonly Colour[] = [
  [60, 60, 60],
  [228, 228, 228],
  [255, 255, 255],
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

/** RGB pixels, white at first; row 0 at the top. */
class Canvas {
  readonly #width: number;
  readonly #height: number;
  readonly #data: Uint8Array;

  constructor(width: number, height: number) {
    this.#width = width;
    this.#height = height;
    this.#data = new Uint8Array(3 * width * height).fill(WHITE[0]);
  }

  png(): Uint8Array {
    return encode({ width: this.#width, height: this.#height, data: this.#data, channels: 3, depth: 8 });
  }

  /** With round ends; a pixel's share of colour falls off within a pixel of the edge. */
  line(
    [x0, y0]: readonly [number, number],
    [x1, y1]: readonly [number, number],
    colour: Colour,
    width: number,
  ): void {
    const reach = width / 2 + 1;
    const squared = (x1 - x0) ** 2 + (y1 - y0) ** 2;
    for (let y = Math.floor(Math.min(y0, y1) - reach); y <= Math.max(y0, y1) + reach; y++) {
      for (let x = Math.floor(Math.min(x0, x1) - reach); x <= Math.max(x0, x1) + reach; x++) {
        const along = squared === 0 ? 0 : ((x - x0) * (x1 - x0) + (y - y0) * (y1 - y0)) / squared;
        const t = Math.min(1, Math.max(0, along));
        const distance = Math.hypot(x - x0 - t * (x1 - x0), y - y0 - t * (y1 - y0));
        this.#blend(x, y, colour, width / 2 + 0.5 - distance);
      }
    }
  }

  text(words: string, x: number, y: number, align: "left" | "centre" | "right", colour: Colour): void {
    const width = PITCH * words.length - 1;
    const left = Math.round(x - (align === "left" ? 0 : align === "right" ? width : width / 2));
    [...words].forEach((letter, i) => {
      glyph(letter).forEach((dots, column) => {
        for (let row = 0; row < 8; row++)
          if (dots & (1 << row)) this.#blend(left + PITCH * i + column, Math.round(y) + row, colour, 1);
      });
    });
  }

  #blend(x: number, y: number, colour: Colour, share: number): void {
    if (share <= 0 || x < 0 || y < 0 || x >= this.#width || y >= this.#height) return;
    const at = 3 * (y * this.#width + x);
    const kept = 1 - Math.min(1, share);
    colour.forEach((value, c) => {
      this.#data[at + c] = Math.round(kept * this.#data[at + c] + (1 - kept) * value);
    });
  }
}
