/** Franka Panda with its parallel gripper, on a pedestal or on the ground, as robosuite 1.4.0 puts it together. */

import { FormatError } from "../../../core/index.ts";
import { join } from "../../platform/node.ts";
import {
  ARM_JOINTS,
  ARM_MOTORS,
  FINGER_JOINTS,
  FINGER_SERVOS,
  GRIP_SITE,
  HAND_BODY,
  WRIST_CAMERA,
} from "../robot.ts";
import {
  type AssetRoots,
  isCollision,
  mergeAssets,
  type Piece,
  prefixNames,
  readPiece,
  recolourCollision,
} from "./merge.ts";
import type { Workspace } from "./workspaces.ts";
import { childOrFail, type Element, element, walk } from "./xml.ts";

const GREEN = "0 0.5 0 1";
const BLUE = "0 0 0.5 1";
const OLIVE = "0.5 0.5 0 1";

/** Per joint, from base to hand. */
const DAMPING = [0.1, 0.1, 0.1, 0.1, 0.1, 0.01, 0.01];

/** Posture at reset: arm, radians (7), fingers, metres (2). */
export const HOME = {
  arm: [0, -1.61037389e-1, 0, -2.44459747, 0, 2.2267522, Math.PI / 4],
  fingers: [0.020833, -0.020833],
} as const;

export function buildRobot(workspace: Workspace, roots: AssetRoots): Piece {
  const path = join(roots.robosuite, "robots", "panda", "robot.xml");
  const robot = part(path, "robot0_", GREEN, roots);
  const base = childOrFail(robot.worldbody, "body", "robot0_base", path);
  base.attributes.set("pos", workspace.robotBase);

  const joints = [...walk(base)].filter((e) => e.tag === "joint");
  if (joints.length !== DAMPING.length) throw new FormatError(path, "7 joints", `${joints.length}`);
  joints.forEach((joint, i) => {
    joint.attributes.set("damping", String(DAMPING[i]));
    joint.attributes.set("frictionloss", "0.1");
    joint.attributes.set("armature", String(5 / (i + 1)));
  });

  // Assets in the order mount, gripper; bodies the other way round: the gripper hangs inside the arm.
  if (workspace.pedestal) {
    const mountPath = join(roots.robosuite, "mounts", "rethink_mount.xml");
    const mount = part(mountPath, "mount0_", OLIVE, roots);
    childOrFail(mount.worldbody, "body", undefined, mountPath).attributes.set("pos", "0 0 0.01");
    mergeAssets(robot.asset, mount.asset);
    base.children.push(...mount.worldbody.children);
  } else {
    base.children.push(element("body", { name: "mount0_base", pos: "0 0 0" }));
  }
  const gripperPath = join(roots.robosuite, "grippers", "panda_gripper.xml");
  const gripper = part(gripperPath, "gripper0_", BLUE, roots);
  mergeAssets(robot.asset, gripper.asset);
  const hand = find(base, "body", HAND_BODY, path);
  hand.children.push(...gripper.worldbody.children);
  robot.actuator.children.push(...gripper.actuator.children);
  robot.sensor.children.push(...gripper.sensor.children);

  // What the environment drives and looks through.
  for (const name of ARM_JOINTS) find(base, "joint", name, path);
  for (const name of ARM_MOTORS) find(robot.actuator, "motor", name, path);
  find(base, "camera", WRIST_CAMERA, path);
  for (const name of FINGER_JOINTS) find(hand, "joint", name, gripperPath);
  for (const name of FINGER_SERVOS) find(robot.actuator, "position", name, gripperPath);
  find(hand, "site", GRIP_SITE, gripperPath);
  return robot;
}

/** The element below `root` with this tag and, once prefixed, this name. @throws FormatError if there is none */
function find(root: Element, tag: string, name: string, who: string): Element {
  for (const e of walk(root)) if (e.tag === tag && e.attributes.get("name") === name) return e;
  throw new FormatError(who, `<${tag}> that becomes "${name}"`, "none");
}

function part(path: string, prefix: string, collisionColour: string, roots: AssetRoots): Piece {
  const piece = readPiece(path, roots);
  nameVisuals(piece.worldbody);
  for (const section of Object.values(piece)) prefixNames(section, prefix);
  recolourCollision(piece.worldbody, collisionColour);
  return piece;
}

/** Unnamed visual geoms become g0_vis, g1_vis, ... */
function nameVisuals(root: Element): void {
  const visuals = [...walk(root)].filter((e) => e.tag === "geom" && !isCollision(e));
  visuals.forEach((geom, i) => {
    if (!geom.attributes.has("name")) geom.attributes.set("name", `g${i}_vis`);
  });
}
