import load, { type MainModule, type MjData, type MjModel } from "@mujoco/mujoco";
import type { Image } from "../../../../vla/observation.ts";

let module: Promise<MainModule> | undefined;

/** One MuJoCo module for all tests of a file. */
export function mujoco(): Promise<MainModule> {
  return (module ??= load());
}

/** A compiled model with its state at rest; free it with `using`. */
export interface Loaded extends Disposable {
  readonly mj: MainModule;
  readonly model: MjModel;
  readonly data: MjData;
}

/** Compiles an MJCF text whose parts are given: assets, visual options and the world. */
export async function compile(world: string, assets = "", visual = ""): Promise<Loaded> {
  const mj = await mujoco();
  // A fixed extent keeps the near and far planes where they are, whatever the scene holds.
  const model = mj.MjModel.from_xml_string(
    `<mujoco><default><geom group="1"/></default><statistic extent="1"/><visual><map znear="0.01" zfar="50"/>${visual}</visual>` +
      `<asset>${assets}</asset><worldbody>${world}</worldbody></mujoco>`,
  ) as MjModel;
  const data = new mj.MjData(model);
  mj.mj_forward(model, data);
  return {
    mj,
    model,
    data,
    [Symbol.dispose]() {
      data.delete();
      model.delete();
    },
  };
}

/** Colour of a pixel, y counted from the bottom row. */
export function pixel(image: Image, x: number, y: number): [number, number, number] {
  return [image.get(y, x, 0), image.get(y, x, 1), image.get(y, x, 2)];
}

/** How many pixels are not black. */
export function litPixels(image: Image): number {
  let lit = 0;
  for (let i = 0; i < image.data.length; i += 3) {
    if (image.data[i] + image.data[i + 1] + image.data[i + 2] > 0) lit++;
  }
  return lit;
}
