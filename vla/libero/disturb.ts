/**
 * The same scene seen otherwise: what is drawn changes, and no object moves differently. For measuring what a policy
 * makes of pictures that it was not trained on.
 */

import { child, type Element, formatXml, numbers, parseXml, walk } from "./compose/xml.ts";
import { EnvError } from "./env-error.ts";
import type { Scene } from "./scene.ts";

/** How a camera is moved, in its own frame. */
export interface CameraMove {
  /** To its right, metres. */
  readonly right: number;
  /** To its left about its own upward axis, degrees. */
  readonly turn: number;
}

/** The scene with a camera that hangs elsewhere. @throws EnvError where no camera of the world has the name. */
export function moveCamera(scene: Scene, name: string, { right, turn }: CameraMove): Scene {
  return edit(scene, (root) => {
    const world = worldOf(root);
    const camera = child(world, "camera", name);
    if (camera === undefined) throw new EnvError("moveCamera", `a camera "${name}" of the world`, "none");
    const other = ["axisangle", "euler", "xyaxes", "zaxis", "mode"].find((a) => camera.attributes.has(a));
    if (other) throw new EnvError("moveCamera", `camera "${name}" placed by pos and quat`, `with ${other}`);
    const position = numbers(camera, "pos", 3) ?? [0, 0, 0];
    const [w, x, y, z] = numbers(camera, "quat", 4) ?? [1, 0, 0, 0];
    const squared = w * w + x * x + y * y + z * z;
    // The first column of the rotation matrix: the camera's right.
    const axis = [w * w + x * x - y * y - z * z, 2 * (x * y + w * z), 2 * (x * z - w * y)];
    const half = (turn * Math.PI) / 360;
    const [cos, sin] = [Math.cos(half), Math.sin(half)];
    // Turned by (cos, 0, sin, 0) in its own frame: the factor on the right.
    const turned = [w * cos - y * sin, x * cos - z * sin, y * cos + w * sin, z * cos + x * sin];
    const moved = position.map((p, k) => p + (right * axis[k]) / squared);
    camera.attributes.set("pos", moved.join(" ")).set("quat", turned.join(" "));
  });
}

/** The scene with an object in another colour, RGB in [0, 1]. @throws EnvError where there is no such object. */
export function recolour(scene: Scene, object: string, rgb: readonly [number, number, number]): Scene {
  const found = scene.objects.find(({ name }) => name === object);
  if (!found) throw new EnvError("recolour", `one of ${scene.objects.map((o) => o.name).join(", ")}`, object);
  return edit(scene, (root) => {
    const body = [...walk(root)].find((e) => e.tag === "body" && e.attributes.get("name") === found.rootBody);
    if (!body) throw new EnvError("recolour", `a body "${found.rootBody}"`, "none");
    for (const e of walk(body)) {
      // Group 0 holds the shapes that touch, which are not drawn.
      if (e.tag === "geom" && (e.attributes.get("group") ?? "0") !== "0")
        e.attributes.set("rgba", [...rgb, 1].join(" "));
    }
  });
}

/** Changes attributes of the MJCF; lines stay where they are. */
function edit(scene: Scene, change: (root: Element) => void): Scene {
  const root = parseXml(scene.mjcf, "scene");
  change(root);
  return { ...scene, mjcf: formatXml(root) };
}

const worldOf = (root: Element): Element => {
  const world = child(root, "worldbody");
  if (world === undefined) throw new EnvError("moveCamera", "a <worldbody>", "none");
  return world;
};
