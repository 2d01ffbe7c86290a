import { CELLS, type Place, REACH } from "./model.ts";

/** A colour, 0 to 255. */
export type Colour = readonly [red: number, green: number, blue: number];

/** Tells what any way to write a colour means: its fill style reads back as six hexadecimal digits. */
const reader = new OffscreenCanvas(1, 1).getContext("2d")!;

/** Colours of the page, as its style has them in light or in dark. */
export function colourOf(name: string): Colour {
  reader.fillStyle = getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const digits = String(reader.fillStyle).slice(1).match(/../g) ?? [];
  return digits.map((pair) => Number.parseInt(pair, 16)) as unknown as Colour;
}

const mix = (a: Colour, b: Colour, share: number): Colour =>
  [0, 1, 2].map((i) => a[i] + share * (b[i] - a[i])) as unknown as Colour;

/** Through several colours, from 0 to 1. */
export function ramp(stops: readonly Colour[], share: number): Colour {
  const at = Math.min(1, Math.max(0, share)) * (stops.length - 1);
  const before = Math.min(stops.length - 2, Math.floor(at));
  return mix(stops[before], stops[before + 1], at - before);
}

/** A picture of the plane, y upwards. */
export class Plane {
  readonly canvas: HTMLCanvasElement;
  readonly #context: CanvasRenderingContext2D;

  constructor(canvas: HTMLCanvasElement) {
    this.canvas = canvas;
    this.#context = canvas.getContext("2d")!;
  }

  /** Fits the canvas to its size on the screen, and empties it. */
  clear(background: Colour): void {
    const side = Math.max(64, Math.round(this.canvas.clientWidth * devicePixelRatio));
    if (this.canvas.width !== side) this.canvas.width = this.canvas.height = side;
    this.#context.fillStyle = css(background);
    this.#context.fillRect(0, 0, side, side);
  }

  /** A map of CELLS by CELLS numbers, its first row at the bottom. */
  heat(values: Float64Array, colour: (value: number) => Colour): void {
    const image = new ImageData(CELLS, CELLS);
    for (let row = 0, to = 0; row < CELLS; row++)
      for (let column = 0; column < CELLS; column++, to += 4) {
        image.data.set(colour(values[(CELLS - 1 - row) * CELLS + column]), to);
        image.data[to + 3] = 255;
      }
    const small = new OffscreenCanvas(CELLS, CELLS);
    small.getContext("2d")!.putImageData(image, 0, 0);
    this.#context.drawImage(small, 0, 0, this.canvas.width, this.canvas.height);
  }

  dots(points: Float64Array, colour: Colour, opacity: number): void {
    this.#context.fillStyle = css(colour, opacity);
    const radius = 1.4 * devicePixelRatio;
    for (let i = 0; i < points.length; i += 2) {
      const [x, y] = this.#pixel([points[i], points[i + 1]]);
      this.#context.fillRect(x - radius, y - radius, 2 * radius, 2 * radius);
    }
  }

  line(points: ArrayLike<number>, colour: Colour, width: number, opacity = 1): void {
    this.#context.beginPath();
    for (let i = 0; i < points.length; i += 2)
      this.#context.lineTo(...this.#pixel([points[i], points[i + 1]]));
    this.#context.strokeStyle = css(colour, opacity);
    this.#context.lineWidth = width * devicePixelRatio;
    this.#context.stroke();
  }

  /** The point that is looked at. */
  mark(point: Place, colour: Colour, ring: Colour): void {
    const [x, y] = this.#pixel(point);
    this.#context.beginPath();
    this.#context.arc(x, y, 6 * devicePixelRatio, 0, 2 * Math.PI);
    this.#context.fillStyle = css(colour);
    this.#context.fill();
    this.#context.strokeStyle = css(ring);
    this.#context.lineWidth = 2 * devicePixelRatio;
    this.#context.stroke();
  }

  /** Where a mouse is in the plane, kept inside it. */
  placeOf({ clientX, clientY }: PointerEvent): Place {
    const { left, top, width, height } = this.canvas.getBoundingClientRect();
    return inside([
      REACH * ((2 * (clientX - left)) / width - 1),
      REACH * (1 - (2 * (clientY - top)) / height),
    ]);
  }

  #pixel([x, y]: Place): [number, number] {
    const half = this.canvas.width / 2;
    return [half * (1 + x / REACH), half * (1 - y / REACH)];
  }
}

export const inside = ([x, y]: Place): Place => {
  const kept = (value: number): number => Math.min(REACH, Math.max(-REACH, value));
  return [kept(x), kept(y)];
};

const css = ([red, green, blue]: Colour, opacity = 1): string => `rgb(${red} ${green} ${blue} / ${opacity})`;
