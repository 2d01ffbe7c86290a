import { createHash } from "node:crypto";
import { fileDigest } from "../file-digest.ts";
import type { Scene } from "../libero/scene.ts";
import type { Task } from "../libero/suites.ts";

/** Tasks of a suite share most of their assets. */
const assets = new Map<string, string>();

/** SHA-256 of everything that a task is read from: its own two files, the scene composed from them, the scene's assets. */
export function taskDigest(task: Task, scene: Scene): string {
  const hash = createHash("sha256");
  for (const path of [task.bddlPath, task.initPath]) hash.update(`${fileDigest(path)}\n`);
  hash.update(scene.mjcf);
  for (const [name, path] of [...scene.assets].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const digest = assets.get(path) ?? fileDigest(path);
    assets.set(path, digest);
    hash.update(`\n${name} ${digest}`);
  }
  return hash.digest("hex");
}
