import type { Mt19937 } from "../libero/mt19937.ts";
import type { Level } from "./dimensions.ts";

type Colour = readonly [red: number, green: number, blue: number];

/**
 * Per level: how much of a surface's picture, and of a thing's colour, is another one. Level 5 has nothing left of the
 * picture.
 */
const SURFACE = 0.2;
const THING = 0.06;

/** Pictures for surfaces: a plain colour, stripes, checks. LIBERO-plus has photographs of materials. */
const PATTERNS = ["plain", "stripes", "checks"] as const;

/** What a surface is mixed with. */
export interface Pattern {
  readonly kind: (typeof PATTERNS)[number];
  /** Bytes. */
  readonly colours: readonly [Colour, Colour];
  /** Stripes or checks along the picture. */
  readonly count: number;
}

export function drawPattern(draws: Mt19937): Pattern {
  const colour = (): Colour => [0, 1, 2].map(() => draws.uniform(30, 225)) as unknown as Colour;
  return {
    kind: PATTERNS[draws.integer(PATTERNS.length)],
    colours: [colour(), colour()],
    count: 2 + draws.integer(7),
  };
}

/**
 * A picture mixed with a pattern, 20 % per level.
 *
 * @param texels bytes, (height, width, channels); from the fourth channel on they stay.
 */
export function repaint(
  texels: Uint8Array,
  { width, height, channels }: { readonly width: number; readonly height: number; readonly channels: number },
  { kind, colours, count }: Pattern,
  level: Level,
): Uint8Array {
  const out = texels.slice();
  const share = SURFACE * level;
  for (let y = 0, at = 0; y < height; y++) {
    const row = Math.floor((2 * count * y) / height);
    for (let x = 0; x < width; x++, at += channels) {
      const column = Math.floor((2 * count * x) / width);
      const colour = colours[kind === "plain" ? 0 : kind === "stripes" ? column % 2 : (row + column) % 2];
      for (let c = 0; c < 3; c++) out[at + c] = Math.round((1 - share) * texels[at + c] + share * colour[c]);
    }
  }
  return out;
}

/** A bright colour, RGB in [0, 1]. */
export function drawTint(draws: Mt19937): Colour {
  return [0, 1, 2].map(() => draws.random()) as unknown as Colour;
}

/** A colour, RGB in [0, 1], mixed with a tint, 6 % per level: a red block stays one that is called red. */
export function tinted(colour: readonly number[], tint: Colour, level: Level): Colour {
  const share = THING * level;
  return tint.map((t, k) => (1 - share) * colour[k] + share * t) as unknown as Colour;
}
