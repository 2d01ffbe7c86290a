/** The embedded suite as a clone to be damaged: tasks, scene, robot and objects, all of them ours. */
import { cpSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { loadSuite, type Suite } from "../../../vla/libero/suites.ts";
import { MINI, miniRoots } from "../../../vla/suites/mini/roots.ts";
import type { Input } from "../reader.ts";

/** A file of the suite by its path from `LIBERO/libero/libero` or from `robosuite`. */
export function miniFile(file: string): Input {
  const [root, ...path] = file.split("/");
  const folder = root === "LIBERO" ? miniRoots.libero : miniRoots.robosuite;
  return { file, bytes: readFileSync(join(folder, ...path)) };
}

/** Copies the suite into an empty folder. */
export function copyMini(folder: string): { libero: string; robosuite: string; suite: Suite } {
  const roots = { libero: join(folder, "LIBERO"), robosuite: join(folder, "robosuite") };
  cpSync(miniRoots.libero, roots.libero, { recursive: true });
  cpSync(miniRoots.robosuite, roots.robosuite, { recursive: true });
  return { ...roots, suite: loadSuite(roots.libero, MINI) };
}
