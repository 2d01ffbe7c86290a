/** Draws what each perturbation does to one start: `npx tsx vla/perturb/sheet.ts --help`. */
import { type CliSchema, parseCli, runMain, UsageError } from "../../cli/index.ts";
import { writeFileAtomic } from "../../core/index.ts";
import { Canvas, type Colour, PITCH } from "../draw/canvas.ts";
import { CLONE_OPTIONS, EMBEDDED, findRoots, readTasks } from "../eval/options.ts";
import { LiberoEnv } from "../libero/env.ts";
import { readInitStates } from "../libero/init-states.ts";
import { NINA } from "../libero/protocols.ts";
import { createRenderer } from "../libero/render/renderer.ts";
import { findTask, loadSuite, type Suite, type Task } from "../libero/suites.ts";
import type { Image } from "../observation.ts";
import { DIMENSIONS, type Dimension, LEVELS, type Level, type Levels } from "./dimensions.ts";
import { drawsOf } from "./draws.ts";
import { LANGUAGE_KINDS, perturbInstruction } from "./language.ts";
import { Look } from "./look.ts";
import { PerturbedStage } from "./stage.ts";
import { findStart } from "./start.ts";
import { perturbTask } from "./task.ts";

const schema = {
  usage: "npx tsx vla/perturb/sheet.ts --out FILE [options]",
  description:
    "Draws one start as the camera in front sees it: as it is, and with each perturbation at levels 1, 3 and 5; under it\n" +
    "what is said at each level.",
  options: {
    out: { type: "string", help: "the PNG to write" },
    suite: {
      type: "string",
      default: EMBEDDED.suite,
      help: "mini, which is embedded, or one of the LIBERO clone",
    },
    task: { type: "string", default: "0", help: "index or name" },
    init: { type: "integer", least: 0, default: 0, help: "which stored initial state" },
    seed: { type: "integer", least: 0, default: 0, help: "of fixtures and perturbations" },
    size: { type: "integer", least: 16, default: 112, help: "side of each picture, pixels" },
    ...CLONE_OPTIONS,
  },
} as const satisfies CliSchema;

const SHOWN: readonly Level[] = [1, 3, 5];
const INK: Colour = [40, 40, 40];
const LEFT = 76;
const TOP = 18;
const GAP = 4;
const LINE = 12;

interface Start {
  readonly suite: Suite;
  readonly task: Task;
  readonly roots: { readonly libero: string; readonly robosuite: string };
  readonly init: number;
  readonly seed: number;
  readonly size: number;
}

await runMain(async () => {
  const { out, ...given } = parseCli(schema, process.argv.slice(2));
  if (out === undefined) throw new UsageError("expected --out, the PNG to write");
  const roots = findRoots(given, process.env);
  const suite = loadSuite(roots.libero, given.suite);
  const start: Start = { ...given, suite, roots, task: findTask(suite, readTasks(given.task)[0]) };

  const asIs = await see(start, {});
  const rows: [Dimension, Image[]][] = [];
  for (const dimension of DIMENSIONS.filter((each) => each !== "language")) {
    const images = [asIs];
    for (const level of SHOWN) images.push(await see(start, { [dimension]: level }));
    rows.push([dimension, images]);
  }
  writeFileAtomic(out, draw(rows, sayings(start), start.size));
});

/** What the camera in front sees when the robot has waited for things to settle. */
async function see({ suite, task, roots, init, seed, size }: Start, levels: Levels): Promise<Image> {
  const perturbed = perturbTask({ ...roots, task }, suite, levels, seed);
  const states = readInitStates(task.initPath);
  if (init >= states.length)
    throw new UsageError(
      `--init: expected initial states 0 to ${states.length - 1} of ${task.name}, got ${init}`,
    );
  using env = await LiberoEnv.open(perturbed.scene, { renderer: createRenderer, imageSize: size });
  const name = { seed, suite: suite.name, task: task.name, init };
  const found = findStart(env, perturbed, states[init], name);
  const stage = new PerturbedStage(env, perturbed, new Look(env, perturbed.height), name, found);
  stage.start({ seed, state: states[init] });
  const { steps, action } = NINA.settle;
  for (let i = 1; i < steps; i++) stage.advance(action);
  return stage.step(action).observation.agentview_image;
}

/** What is said at each level. */
function sayings({ suite, task, roots, init, seed }: Start): string[] {
  const { others } = perturbTask({ ...roots, task }, suite, { language: 4 }, seed);
  return LEVELS.map((level) => {
    const draws = drawsOf("language", { seed, suite: suite.name, task: task.name, init });
    const { instruction } = perturbInstruction(task.instruction, others, level, draws);
    return `${level} ${LANGUAGE_KINDS[level - 1]}: ${instruction}`;
  });
}

function draw(
  rows: readonly (readonly [Dimension, readonly Image[]])[],
  words: readonly string[],
  size: number,
): Uint8Array {
  const pitch = size + GAP;
  const below = TOP + rows.length * pitch + GAP;
  const longest = Math.max(...words.map((line) => line.length));
  const width = LEFT + Math.max(4 * pitch, PITCH * longest + GAP);
  const canvas = new Canvas(width, below + words.length * LINE + GAP);
  ["as it is", ...SHOWN.map((level) => `level ${level}`)].forEach((title, column) => {
    canvas.text(title, LEFT + column * pitch + size / 2, 6, "centre", INK);
  });
  rows.forEach(([dimension, images], row) => {
    const top = TOP + row * pitch;
    canvas.text(dimension, LEFT - 6, top + size / 2 - 3, "right", INK);
    images.forEach((image, column) => {
      canvas.paste(image, LEFT + column * pitch, top, 1);
    });
  });
  canvas.text("language", LEFT - 6, below, "right", INK);
  words.forEach((line, i) => {
    canvas.text(line, LEFT, below + i * LINE, "left", INK);
  });
  return canvas.png();
}
