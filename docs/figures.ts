/** Makes the figures of the pages that no other command makes: `npx tsx docs/figures.ts` */
import { writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import ndarray from "ndarray";
import { grad, noGrad, Random, type Tensor, tidy } from "nina-ts";
import { AffineCoupling, Flow, InvertiblePLU, MlpConditioner, StandardNormal } from "nina-ts/flows";
import { AdamW } from "nina-ts/nn";
import { twoMoons } from "../examples/moons.ts";
import { Canvas, type Colour } from "../vla/draw/canvas.ts";
import { composeScene } from "../vla/libero/compose/scene.ts";
import { LiberoEnv } from "../vla/libero/env.ts";
import { readInitStates } from "../vla/libero/init-states.ts";
import { createRenderer } from "../vla/libero/render/renderer.ts";
import { findTask, loadSuite } from "../vla/libero/suites.ts";
import { MINI, miniRoots } from "../vla/suites/mini/roots.ts";

const write = (name: string, png: Uint8Array): void =>
  writeFileSync(fileURLToPath(new URL(name, import.meta.url)), png);

const INK: Colour = [60, 60, 60];
const [BLUE, ORANGE]: Colour[] = [
  [0, 114, 178],
  [230, 120, 0],
];

/**
 * docs/flow-layers.png: noise becoming two moons, layer by layer, each point in the colour of the moon that it ends in.
 */
function flowLayers(): void {
  const random = new Random(0);
  const net = () => new MlpConditioner({ kept: 1, condition: 0, width: 32, outputs: 1 });
  const layers = Array.from({ length: 4 }, () => [new AffineCoupling(net(), net()), new InvertiblePLU(2)]);
  const flow = new Flow(layers.flat(), new StandardNormal([2])).init(random);
  const optimiser = new AdamW(flow.namedParameters(), { weightDecay: 0 });
  const steps = 1500;
  for (let step = 0; step < steps; step++)
    tidy(() => {
      const loss = flow.logProb(twoMoons(256, random).points).mean().neg();
      optimiser.step(grad(loss, optimiser.parameters), 0.005 * (1 - step / steps));
    });

  // Sampling undoes the layers, last first: a block is a matrix and a coupling.
  let x: Tensor = random.normals([1500, 2]);
  const stages = [x];
  for (const [coupling, plu] of layers.toReversed()) {
    x = noGrad(() => coupling.inverse(plu.inverse(x).out).out);
    stages.push(x);
  }
  const ends = x.toArray();
  const side = 170;
  const canvas = new Canvas(side * stages.length, side + 16);
  stages.forEach((stage, n) => {
    const points = stage.toArray();
    const reaches = points.map(Math.abs).sort((a, b) => a - b);
    const scale = (0.42 * side) / reaches[Math.floor(0.985 * reaches.length)]; // a few lie outside
    for (let i = 0; i < points.length; i += 2) {
      const [column, row] = [side / 2 + scale * points[i], 16 + side / 2 - scale * points[i + 1]];
      if (Math.abs(column - side / 2) > side / 2) continue;
      const place = [side * n + column, row] as const;
      canvas.line(place, place, isUpper(ends[i], ends[i + 1]) ? BLUE : ORANGE, 1.3);
    }
    canvas.text(n === 0 ? "noise" : `block ${n}`, side * (n + 0.5), 4, "centre", INK);
  });
  write("flow-layers.png", canvas.png());
}

/** Whether a point is of the upper moon: nearer to its half circle than to the lower one's. */
function isUpper(x: number, y: number): boolean {
  const upper = Math.abs(Math.hypot(x + 0.5, y + 0.25) - 1) + Number(y < -0.25);
  const lower = Math.abs(Math.hypot(x - 0.5, y - 0.25) - 1) + Number(y > 0.25);
  return upper < lower;
}

/** docs/picture-parts.png: what the camera in front sees, how far away it is, and which shape each pixel shows. */
async function pictureParts(): Promise<void> {
  const task = findTask(loadSuite(miniRoots.libero, MINI), 1);
  const [size, gap] = [200, 4];
  using env = await LiberoEnv.open(composeScene({ ...miniRoots, task }), {
    renderer: createRenderer,
    imageSize: size,
  });
  env.start({ seed: 0, state: readInitStates(task.initPath)[0] });
  const { mj, model, data } = env.sim;
  const renderer = createRenderer(mj, model, data, { width: size, height: size });
  const colours = renderer.render("agentview");
  const [metres, ids] = [renderer.depth("agentview"), renderer.geoms("agentview")];
  const shaded = (colour: (row: number, column: number) => Colour) => {
    const image = ndarray(new Uint8Array(3 * size * size), [size, size, 3]);
    for (let row = 0; row < size; row++)
      for (let column = 0; column < size; column++)
        for (const [c, value] of colour(row, column).entries()) image.set(row, column, c, value);
    return image;
  };
  const near = Math.min(...metres.data);
  const depth = shaded((row, column) => {
    const level = 255 * (near / metres.get(row, column)) ** 1.5;
    return [level, level, level];
  });
  const shapes = shaded((row, column) => {
    const id = ids.get(row, column) + 1;
    return [(id * 67) % 256, (id * 151) % 256, (id * 211) % 256];
  });
  const canvas = new Canvas(3 * size + 2 * gap, size);
  for (const [i, image] of [colours, depth, shapes].entries()) canvas.paste(image, i * (size + gap), 0, 1);
  write("picture-parts.png", canvas.png());
}

flowLayers();
await pictureParts();
