import { type Shape, sizeOf } from "./shape.ts";

/** Tensors of more numbers than this are shown by their ends. */
const MOST = 200;
/** Entries shown at each end of an axis. */
const EDGE = 3;
/** Decimals at most. */
const DIGITS = 4;
/** Columns after which a row of numbers goes on in the next line. */
const WIDTH = 100;

/**
 * Numbers as nested rows, in columns, with four decimals at most; of many numbers three at each end of each axis, as
 * NumPy shows them. `[]` for a shape that holds none.
 *
 *     [[1.50, -2.00],
 *      [0.25,  3.00]]
 */
export function showNumbers(numbers: ArrayLike<number>, shape: Shape): string {
  if (sizeOf(shape) === 0) return "[]";
  const isShortened = sizeOf(shape) > MOST;
  const axes = shape.map((length) => placesOf(length, isShortened));
  const seen = [...placesIn(axes, shape)].map((at) => numbers[at]);
  const show = formatOf(seen);
  const texts = seen.map(show);
  const width = texts.reduce((most, { length }) => Math.max(most, length), 0);
  let next = 0;
  const rows = (axis: number): string => {
    if (axis === shape.length) return texts[next++].padStart(width);
    const parts = axes[axis].map((place) => (place === null ? "…" : rows(axis + 1)));
    const indent = " ".repeat(axis + 1);
    const isInnermost = axis === shape.length - 1;
    const gap = `,${"\n".repeat(shape.length - 1 - axis)}${indent}`;
    return `[${isInnermost ? wrapped(parts, indent) : parts.join(gap)}]`;
  };
  return rows(0).trimStart();
}

/** The places that are shown along an axis; null stands for those that are left out. */
function placesOf(length: number, isShortened: boolean): (number | null)[] {
  const all = Array.from({ length }, (_, i) => i);
  return isShortened && length > 2 * EDGE ? [...all.slice(0, EDGE), null, ...all.slice(-EDGE)] : all;
}

/** Where the shown numbers lie, row-major. */
function* placesIn(
  axes: readonly (readonly (number | null)[])[],
  shape: Shape,
  start = 0,
): Generator<number> {
  const [first, ...rest] = axes;
  if (!first) yield start;
  else
    for (const place of first)
      if (place !== null) yield* placesIn(rest, shape.slice(1), start + place * sizeOf(shape.slice(1)));
}

/** One way to write all of the numbers: as integers, with the decimals they need, or by powers of ten. */
function formatOf(seen: readonly number[]): (value: number) => string {
  const finite = seen.filter(Number.isFinite);
  const sizes = finite.filter((value) => value !== 0).map(Math.abs);
  const [least, most] = [sizes.reduce(smaller, Infinity), sizes.reduce(larger, 0)];
  const areIntegers = finite.every(Number.isInteger);
  if (most > 0 && (most >= 1e8 || (!areIntegers && (least < 1e-4 || most / least >= 1e5))))
    return (value) => (Number.isFinite(value) ? value.toExponential(DIGITS) : String(value));
  const decimals = finite.map((value) => (String(Number(value.toFixed(DIGITS))).split(".")[1] ?? "").length);
  const digits = decimals.reduce(larger, 0);
  return (value) => (Number.isFinite(value) ? value.toFixed(digits) : String(value));
}

const smaller = (a: number, b: number): number => Math.min(a, b);
const larger = (a: number, b: number): number => Math.max(a, b);

/** Texts in a row with commas between, in as many lines as they need. */
function wrapped(texts: readonly string[], indent: string): string {
  const lines = [""];
  texts.forEach((text, i) => {
    const last = lines.length - 1;
    const piece = i === texts.length - 1 ? text : `${text}, `;
    if (lines[last] !== "" && indent.length + lines[last].length + text.length > WIDTH) lines.push(piece);
    else lines[last] += piece;
  });
  return lines.map((line) => line.trimEnd()).join(`\n${indent}`);
}
