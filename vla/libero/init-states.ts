/** LIBERO's stored starts: one `.pruned_init` file per task, 50 states each. */

import { FormatError, readNumpy } from "../../core/index.ts";

/**
 * Rows (time, qpos, qvel) of a `.pruned_init` file, each of length 1 + nq + nv of the task's scene.
 *
 * The states are not settled: objects may hang above their support or overlap it, and the poses of fixtures are
 * not part of them (see `Scene.fixturePoses`).
 *
 * @throws FormatError when the file holds anything else than one two-dimensional float64 array
 */
export function readInitStates(path: string): Float64Array[] {
  const { shape, data } = readNumpy(path);
  const [rows, width] = shape;
  if (shape.length !== 2 || rows === 0 || width === 0) {
    throw new FormatError(path, "an array of states (rows, 1 + nq + nv)", `shape (${shape.join(", ")})`);
  }
  return Array.from({ length: rows }, (_, i) => data.subarray(i * width, (i + 1) * width));
}
