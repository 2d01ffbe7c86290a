import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { createRenderer, type Renderer } from "../../vla/libero/render/renderer.ts";
import {
  compareWithPng,
  type GoldenPicture,
  type GoldenScene,
  goldenPictures,
  openGoldenScene,
} from "../vla/libero/render/golden-scene.ts";
import { mujoco } from "../vla/libero/render/inline-model.ts";
import type { ParityCase, ParityResult } from "./case.ts";

/**
 * Mean absolute error that a picture may have, of 255. Measured over nine scenes: 0.15 to 0.69; texture filters and
 * silhouettes are where OpenGL leaves drivers free. Rendering by another rule costs several times as much.
 */
const TOLERANCE = 1;

/**
 * One case per picture `<task>/<camera>_<step>_<size>.png` below `dir`, drawn from the recorded state by the rules of
 * MuJoCo 3.14, which made them. The scenes' assets are read from clones: set LIBERO_ROOT and ROBOSUITE_ROOT.
 */
export function renderCases(dir: string): ParityCase[] {
  const tasks = readdirSync(dir)
    .sort()
    .filter((task) => existsSync(join(dir, task, "scene.xml")));
  return tasks.flatMap((task) =>
    goldenPictures(join(dir, task)).map((picture) => ({
      name: `${task}/${picture.file}`,
      kind: "render",
      run: () => compare(join(dir, task), picture),
    })),
  );
}

/** Scenes take seconds to compile and hundreds of megabytes: the last one is kept, with its renderer. */
let open: { folder: string; scene: GoldenScene; renderer: Renderer; size: number } | undefined;

async function compare(folder: string, picture: GoldenPicture): Promise<ParityResult> {
  if (open?.folder !== folder) {
    open?.scene[Symbol.dispose]();
    const scene = openGoldenScene(await mujoco(), folder);
    open = { folder, scene, renderer: rendererOf(scene, picture.size), size: picture.size };
  }
  if (open.size !== picture.size) {
    open.renderer = rendererOf(open.scene, picture.size);
    open.size = picture.size;
  }
  open.scene.pose(picture);
  const { mean, psnr } = compareWithPng(open.renderer.render(picture.camera), join(folder, picture.file));
  return { error: mean, tolerance: TOLERANCE, pass: mean <= TOLERANCE, note: `${psnr.toFixed(1)} dB` };
}

function rendererOf({ mj, model, data }: GoldenScene, size: number): Renderer {
  return createRenderer(mj, model, data, { width: size, height: size, compat: "mujoco-3.14" });
}
