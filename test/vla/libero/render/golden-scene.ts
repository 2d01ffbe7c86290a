import { existsSync, readdirSync, readFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import type { MainModule, MjData, MjModel } from "@mujoco/mujoco";
import { decode } from "fast-png";
import type { Image } from "../../../../vla/observation.ts";

/** One picture MuJoCo 3.14 drew: `<camera>_<step>_<size>.png`, upright. */
export interface GoldenPicture {
  readonly file: string;
  readonly camera: string;
  /** Entry of the roll-out whose state is shown. */
  readonly step: number;
  readonly size: number;
}

/** A recorded task: its composed scene, compiled, with fixtures and sites as they were after the reset. */
export interface GoldenScene extends Disposable {
  readonly mj: MainModule;
  readonly model: MjModel;
  readonly data: MjData;
  /** Puts the state of a picture into `data`. */
  pose(picture: GoldenPicture): void;
}

/** The pictures of a task's folder, in order of their names. */
export function goldenPictures(folder: string): GoldenPicture[] {
  return readdirSync(folder)
    .sort()
    .flatMap((file) => {
      const match = /^(?!obs_)(.+)_(\d{3})_(\d+)\.png$/.exec(file);
      return match ? [{ file, camera: match[1], step: Number(match[2]), size: Number(match[3]) }] : [];
    });
}

/** Compiles the scene of a task's folder, its asset files taken from clones of LIBERO and robosuite. */
export function openGoldenScene(mj: MainModule, folder: string): GoldenScene {
  const home = `/golden-${basename(folder)}`;
  // The recorded size reserves a gigabyte of contacts.
  const mjcf = readFileSync(join(folder, "scene.xml"), "utf8").replace(
    /<size [^>]*>/,
    '<size memory="64M"/>',
  );
  const files = new Set(Array.from(mjcf.matchAll(/ file="([^"]+)"/g), (match) => match[1]));
  for (const file of files) writeFile(mj, `${home}/${file}`, readFileSync(assetPath(file)));
  writeFile(mj, `${home}/scene.xml`, mjcf);
  const model = mj.MjModel.from_xml_path(`${home}/scene.xml`) as MjModel;
  for (const file of files) mj.FS.unlink(`${home}/${file}`);
  const data = new mj.MjData(model);
  const task = JSON.parse(readFileSync(join(folder, "task.json"), "utf8"));
  const { qpos } = JSON.parse(readFileSync(join(folder, "rollout.json"), "utf8"));
  for (const [body, pose] of Object.entries<{ pos: number[]; quat_wxyz: number[] }>(task.fixture_poses)) {
    const id = mj.mj_name2id(model, mj.mjtObj.mjOBJ_BODY.value, body);
    model.body_pos.set(pose.pos, 3 * id);
    model.body_quat.set(pose.quat_wxyz, 4 * id);
  }
  model.site_rgba.set(task.sites_rgba_after_reset.flat());
  return {
    mj,
    model,
    data,
    pose({ step }) {
      data.qpos.set(qpos[step]);
      mj.mj_forward(model, data);
    },
    [Symbol.dispose]() {
      data.delete();
      model.delete();
    },
  };
}

/** File names in a recorded scene begin with the clone they come from. */
function assetPath(file: string): string {
  const [clone, ...rest] = file.split("/");
  const { LIBERO_ROOT, ROBOSUITE_ROOT } = process.env;
  if (!LIBERO_ROOT || !ROBOSUITE_ROOT) {
    throw new Error(
      "golden scenes: expected LIBERO_ROOT and ROBOSUITE_ROOT to name clones, found them unset",
    );
  }
  const root =
    clone === "libero"
      ? join(LIBERO_ROOT, "libero/libero/assets")
      : join(ROBOSUITE_ROOT, "robosuite/models/assets");
  return join(root, ...rest);
}

function writeFile(mj: MainModule, path: string, content: Uint8Array | string): void {
  const folders = dirname(path).split("/").slice(1);
  folders.reduce((parent, folder) => {
    const made = `${parent}/${folder}`;
    if (!mj.FS.analyzePath(made, false).exists) mj.FS.mkdir(made);
    return made;
  }, "");
  mj.FS.writeFile(path, content);
}

/** How far a picture is from its golden file. */
export interface Difference {
  /** Mean absolute difference of channels, of 255. */
  readonly mean: number;
  /** Peak signal-to-noise ratio, decibels; infinite for equal pictures. */
  readonly psnr: number;
}

/** Compares a picture (row 0 at the bottom) with an upright PNG. */
export function compareWithPng(image: Image, file: string): Difference {
  if (!existsSync(file)) throw new Error(`compareWithPng: expected a picture at ${file}, found none`);
  const png = decode(readFileSync(file));
  const [height, width] = image.shape;
  if (png.width !== width || png.height !== height) {
    throw new Error(
      `compareWithPng: expected ${width}×${height}, found ${png.width}×${png.height} in ${file}`,
    );
  }
  let sum = 0;
  let squares = 0;
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      for (let c = 0; c < 3; c++) {
        const golden = png.data[(width * (height - 1 - y) + x) * png.channels + c];
        const difference = image.get(y, x, c) - golden;
        sum += Math.abs(difference);
        squares += difference * difference;
      }
    }
  }
  const values = 3 * width * height;
  return { mean: sum / values, psnr: 10 * Math.log10((255 * 255 * values) / squares) };
}
