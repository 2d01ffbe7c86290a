/**
 * A demonstration file as Python LIBERO writes it: all of it is read, and what it says twice must agree.
 */

import { Hdf5File } from "../../vla/data/hdf5.ts";
import { LiberoDemonstrations } from "../../vla/data/libero-hdf5.ts";
import { quaternionAxisAngle } from "../../vla/libero/rotation.ts";
import type { ParityResult } from "./case.ts";

/** Largest difference between numbers that the file holds in two places; counts that differ are ∞. */
export async function demonstrationFile(path: string): Promise<ParityResult> {
  using demonstrations = await LiberoDemonstrations.open(path);
  using file = await Hdf5File.open(path);
  let error = 0;
  const same = (found: ArrayLike<number>, expected: ArrayLike<number>): void => {
    if (found.length !== expected.length) error = Number.POSITIVE_INFINITY;
    for (let i = 0; i < expected.length; i++) error = Math.max(error, Math.abs(found[i] - expected[i]));
  };
  const { episodes } = demonstrations;
  let steps = 0;
  for (const episode of episodes) {
    const at = `data/${episode.name}`;
    const T = episode.length;
    const all = (name: string): Float64Array => file.dataset(`${at}/${name}`).floats(0, T);
    same([T], [file.count(at, "num_samples")]);
    for (const name of ["rewards", "dones"]) same(all(name), [...new Array(T - 1).fill(0), 1]);
    for (let t = 0; t < T; t++) {
      const seen = episode.observation(t);
      const row = (name: string): Float64Array => file.dataset(`${at}/obs/${name}`).floats(t, t + 1);
      const orientation = quaternionAxisAngle(seen.robot0_eef_quat);
      same(seen.robot0_eef_pos, row("ee_pos"));
      same(orientation, row("ee_ori"));
      same([...seen.robot0_eef_pos, ...orientation], row("ee_states"));
      same(seen.robot0_gripper_qpos, row("gripper_states"));
      same(
        [episode.actions(t, t + 1).length, episode.states(t, t + 1).length],
        [7, episode.states(0, 1).length],
      );
    }
    steps += T;
  }
  same([episodes.length, steps], [file.count("data", "num_demos"), file.count("data", "total")]);
  const tolerance = 1e-12; // copies, and one acos near 1
  return { error, tolerance, pass: error <= tolerance, note: `${episodes.length} episodes, ${steps} steps` };
}
