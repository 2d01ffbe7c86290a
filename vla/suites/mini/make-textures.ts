/**
 * Paints the three textures of the embedded suite: floor tiles, plaster and pale wood.
 *
 *   npx tsx vla/suites/mini/make-textures.ts
 *
 * The files under LIBERO/libero/libero/assets/textures are the output of this script and nothing else.
 * Floor and wall carry the file names that the tabletop problem class gives to its texture styles.
 */
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { encode } from "fast-png";
import { type CliSchema, parseCli, runMain } from "../../../cli/index.ts";
import { makeFolder, writeFileAtomic } from "../../../core/index.ts";

/** Colour at (x, y) of an n × n picture, RGB in [0, 255]. */
type Paint = (x: number, y: number, n: number) => readonly [number, number, number];

/** The textures by file name, as paint and edge length in pixels. */
export const textures: Readonly<Record<string, { readonly size: number; readonly paint: Paint }>> = {
  "light-gray-floor-tile.png": {
    size: 128,
    paint(x, y, n) {
      const joint = x % (n / 2) < 2 || y % (n / 2) < 2;
      return gray(joint ? 150 : 198 + 6 * grain(x, y));
    },
  },
  "light-gray-plaster.png": { size: 64, paint: (x, y) => gray(214 + 5 * grain(x, y)) },
  "pale-wood.png": {
    size: 128,
    paint(x, y, n) {
      // Rings seen along the trunk: stripes in y that wander a little with x, in whole periods so that edges meet.
      const wander = Math.sin((2 * Math.PI * x) / n) + 0.5 * Math.sin((4 * Math.PI * x) / n + 1);
      const ring = Math.sin((2 * Math.PI * 9 * y) / n + 1.5 * wander);
      const light = 1 + 0.035 * ring + 0.02 * grain(x >> 3, y);
      return [205 * light, 180 * light, 146 * light];
    },
  },
};

/** The PNG file of one texture. */
export function renderTexture(name: string): Uint8Array {
  const { size, paint } = textures[name];
  const data = new Uint8Array(3 * size * size);
  for (let y = 0; y < size; y++)
    for (let x = 0; x < size; x++) data.set(paint(x, y, size).map(Math.round), 3 * (y * size + x));
  return encode({ width: size, height: size, data, channels: 3, depth: 8 });
}

function gray(level: number): readonly [number, number, number] {
  return [level, level, level];
}

/** Noise in [-1, 1) that depends on the pixel alone (an integer hash, Wellons' "lowbias32"). */
function grain(x: number, y: number): number {
  let h = Math.imul(x, 0x9e3779b1) ^ Math.imul(y, 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 16), 0x7feb352d);
  h = Math.imul(h ^ (h >>> 15), 0x846ca68b);
  return ((h ^ (h >>> 16)) >>> 0) / 2 ** 31 - 1;
}

const cli = {
  usage: "npx tsx vla/suites/mini/make-textures.ts",
  description: "Paints the textures of the embedded suite anew.",
  options: {},
} as const satisfies CliSchema;

async function main(): Promise<void> {
  parseCli(cli, process.argv.slice(2));
  const folder = fileURLToPath(new URL("LIBERO/libero/libero/assets/textures/", import.meta.url));
  makeFolder(folder);
  for (const name of Object.keys(textures)) {
    writeFileAtomic(join(folder, name), renderTexture(name));
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await runMain(main);
