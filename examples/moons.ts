/** What the examples with flows share: points of two half moons, and pictures of densities over the plane. */
import { writeFileSync } from "node:fs";
import { encode } from "fast-png";
import { noGrad, type Random, Tensor, tidy } from "nina-ts";

/** Points of two moons (count, 2) and which of the two each is of (count, 1): 0 is the upper one, 1 the lower. */
export function twoMoons(count: number, random: Random): { points: Tensor; moons: Tensor } {
  const noise = random.normals([count, 2]).toArray();
  const numbers = Array.from({ length: count }, (_, i) => {
    const moon = i % 2;
    const angle = Math.PI * random.uniform();
    const [x, y] =
      moon === 0 ? [Math.cos(angle), Math.sin(angle)] : [1 - Math.cos(angle), 0.5 - Math.sin(angle)];
    return [x - 0.5 + 0.08 * noise[2 * i], y - 0.25 + 0.08 * noise[2 * i + 1]];
  });
  return { points: Tensor.from(numbers), moons: Tensor.from(numbers.map((_, i) => [i % 2])) };
}

/** The part of the plane that pictures show. */
const [LEFT, RIGHT, BOTTOM, TOP] = [-2, 2, -1.5, 1.5];

/**
 * Densities side by side, darker where they are larger: log p of points (n, 2) is (n). `side` is the height in pixels.
 */
export function drawDensities(
  file: string,
  side: number,
  logProbs: readonly ((x: Tensor) => Tensor)[],
): void {
  const width = Math.round((side * (RIGHT - LEFT)) / (TOP - BOTTOM));
  const grid = Array.from({ length: side * width }, (_, i) => [
    LEFT + ((RIGHT - LEFT) * ((i % width) + 0.5)) / width,
    TOP - ((TOP - BOTTOM) * (Math.floor(i / width) + 0.5)) / side,
  ]);
  const all = width * logProbs.length;
  const data = new Uint8Array(3 * side * all);
  logProbs.forEach((logProb, n) => {
    const density = tidy(() => noGrad(() => logProb(Tensor.from(grid)).exp().toArray()));
    density.forEach((p, i) => {
      const ink = 1 - Math.exp(-2.5 * p); // most of the range for what is rare
      const at = 3 * (Math.floor(i / width) * all + n * width + (i % width));
      data.set([255 - 245 * ink, 255 - 190 * ink, 255 - 110 * ink], at);
    });
  });
  writeFileSync(file, encode({ width: all, height: side, data, channels: 3, depth: 8 }));
}
