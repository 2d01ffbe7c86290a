import ndarray from "ndarray";
import type { Camera } from "../../../vla/data/demonstrations.ts";
import { writeLiberoDemonstrations } from "../../../vla/data/libero-hdf5-writer.ts";

/** Level of a channel of a pixel: all that it depends on shows in it. */
export const level = (
  episode: number,
  step: number,
  camera: Camera,
  [y, x, c]: readonly [number, number, number],
): number => (41 * episode + 29 * step + (camera === "wrist" ? 101 : 0) + 17 * y + 5 * x + 83 * c) % 256;

/** Entry `i` of an action, in [−1, 1]; float32 holds it exactly. */
export const action = (episode: number, step: number, i: number): number =>
  ((64 * episode + 8 * step + i) % 256) / 128 - 1;

/** Writes a demonstration file whose episodes have the given lengths; they are numbered from `first`. */
export async function writeSmallFile(
  path: string,
  { lengths, size = 6, instruction = "do it", first = 0 }: SmallFile,
): Promise<void> {
  const picture = (episode: number, step: number, camera: Camera) => {
    const image = ndarray(new Uint8Array(3 * size * size), [size, size, 3]);
    for (let y = 0; y < size; y++)
      for (let x = 0; x < size; x++)
        for (let c = 0; c < 3; c++) image.set(y, x, c, level(episode, step, camera, [y, x, c]));
    return image;
  };
  const episodes = lengths.map((length, e) => {
    const steps = Array.from({ length }, (_, step) => step);
    return {
      mjcf: "<mujoco/>",
      actions: steps.map((step) => Array.from({ length: 7 }, (_, i) => action(first + e, step, i))),
      states: steps.map((step) => Float64Array.of(first + e, step)),
      observations: steps.map((step) => ({
        agentview_image: picture(first + e, step, "agentview"),
        robot0_eye_in_hand_image: picture(first + e, step, "wrist"),
        robot0_joint_pos: new Float64Array(7),
        robot0_eef_pos: new Float64Array(3),
        robot0_eef_quat: Float64Array.of(0, 0, 0, 1),
        robot0_gripper_qpos: new Float64Array(2),
      })),
    };
  });
  const header = {
    environment: "Libero_Tabletop_Manipulation",
    problem: "libero_tabletop_manipulation",
    instruction,
    bddl: { path: "task.bddl", text: "" },
    imageSize: size,
  };
  await writeLiberoDemonstrations(path, header, episodes);
}

export interface SmallFile {
  /** Steps of each episode. */
  readonly lengths: readonly number[];
  /** Side of the pictures. */
  readonly size?: number;
  readonly instruction?: string;
  /** Number of the first episode. */
  readonly first?: number;
}
