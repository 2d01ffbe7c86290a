/** LIBERO's stored starts: one `.pruned_init` file per task, 50 states each. */

import { FormatError, readNumpy } from "../../core/index.ts";
import { openFile } from "../platform/node.ts";
import { type StateLayout, stateFault } from "./state-layout.ts";

/**
 * Rows (time, qpos, qvel) of a `.pruned_init` file, each of length 1 + nq + nv of the task's scene.
 *
 * The states are not settled: objects may hang above their support or overlap it, and the poses of fixtures are
 * not part of them (see `Scene.fixturePoses`).
 *
 * @param layout that of the task's scene: every row is checked against it
 * @throws FormatError when the file holds anything else than one float64 array of states, or of one, or when a row
 *   cannot be a state of the scene
 */
export function readInitStates(path: string, layout?: StateLayout): Float64Array[] {
  const { shape, data } = readNumpy(openFile(path));
  // LIBERO-plus has files of one state, without rows.
  const [rows, width] = shape.length === 1 ? [1, shape[0]] : shape;
  if (shape.length > 2 || !(rows > 0) || !(width > 0)) {
    throw new FormatError(path, "an array of states (rows, 1 + nq + nv)", `shape (${shape.join(", ")})`);
  }
  const states = Array.from({ length: rows }, (_, i) => data.subarray(i * width, (i + 1) * width));
  if (layout) {
    for (const [i, state] of states.entries()) {
      const fault = stateFault(state, layout);
      if (fault) throw new FormatError(`${path}: state ${i}`, fault.expected, fault.found);
    }
  }
  return states;
}
