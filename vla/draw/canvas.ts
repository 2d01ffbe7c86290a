import { encode } from "fast-png";
import type { Image } from "../observation.ts";
import { glyph } from "./glyphs.ts";

export type Colour = readonly [red: number, green: number, blue: number];

/** From the start of one letter to that of the next, pixels. */
export const PITCH = 6;

/** RGB pixels, white at first; row 0 at the top. */
export class Canvas {
  readonly #width: number;
  readonly #height: number;
  readonly #data: Uint8Array;

  constructor(width: number, height: number) {
    this.#width = width;
    this.#height = height;
    this.#data = new Uint8Array(3 * width * height).fill(255);
  }

  png(): Uint8Array {
    return encode({ width: this.#width, height: this.#height, data: this.#data, channels: 3, depth: 8 });
  }

  /** A picture of the environment upright (its row 0 is the bottom), each pixel as a square of `scale`. */
  paste(image: Image, left: number, top: number, scale: number): void {
    const [height, width] = image.shape;
    for (let y = 0; y < scale * height; y++)
      for (let x = 0; x < scale * width; x++) {
        const [row, column] = [height - 1 - Math.floor(y / scale), Math.floor(x / scale)];
        const at = 3 * ((top + y) * this.#width + left + x);
        for (let c = 0; c < 3; c++) this.#data[at + c] = image.get(row, column, c);
      }
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
