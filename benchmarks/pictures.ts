/**
 * How long does it take to make two camera pictures ready for the encoder: resized, scaled, normalised?
 *
 *     npx tsx benchmarks/pictures.ts            a table
 *     npx tsx benchmarks/pictures.ts --json     one object per line: {bench, case, who, threads, dtype, min_ms, …}
 */
import ndarray from "ndarray";
import { parseCli, runMain } from "../cli/index.ts";
import { Random } from "../core/index.ts";
import { processImage } from "../vla/florence2/image-processor.ts";
import type { Image } from "../vla/observation.ts";
import { interleaved, machine } from "./measure.ts";

/** Sides of the camera's picture and of the encoder's. */
const SIZES = [
  [224, 112],
  [128, 112],
  [256, 224],
  [64, 64],
] as const;

await runMain(async () => {
  const { json, rounds } = parseCli(
    {
      usage: "npx tsx benchmarks/pictures.ts [options]",
      description: "Times what is done to the pictures of both cameras before the encoder sees them.",
      options: {
        rounds: { type: "integer", least: 1, default: 15, help: "how often each size has its turn" },
        json: { type: "boolean", help: "one JSON object per line" },
      },
    },
    process.argv.slice(2),
  );
  const contenders = SIZES.map(([from, to]) => {
    const pictures = [1, 2].map((seed) => noise(from, seed));
    const who = `${from} px → ${to} px`;
    return {
      who,
      threads: 1,
      dtype: "float32",
      run: () => void pictures.forEach((picture) => void processImage(picture, to)),
    };
  });
  const results = await interleaved("pictures", "two pictures", contenders, { rounds });
  if (json) {
    for (const result of results) console.log(JSON.stringify(result));
    return;
  }
  console.log(`${machine()}\n\ntwo pictures         ms, least   median`);
  for (const { who, min_ms, median_ms } of results)
    console.log(`${who.padEnd(16)}${min_ms.toFixed(2).padStart(14)}${median_ms.toFixed(2).padStart(9)}`);
});

function noise(side: number, seed: number): Image {
  const levels = new Random(seed).uniforms([side, side, 3], 0, 256).data;
  return ndarray(Uint8Array.from(levels), [side, side, 3]);
}
