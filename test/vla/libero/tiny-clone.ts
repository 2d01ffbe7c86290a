import { mkdirSync, mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { encode } from "fast-png";
import type { Task } from "../../../vla/libero/suites.ts";

/**
 * Folders laid out like clones of LIBERO and robosuite, with next to nothing in them: for tests without the real ones.
 */
export interface TinyClone {
  readonly libero: string;
  readonly robosuite: string;
  readonly assets: string;
  task(bddl: string): Task;
}

const ARENA = `<mujoco>
  <asset>
    <texture name="texplane" type="2d" file="../textures/any-floor.png"/>
    <texture name="tex-wall" type="2d" file="../textures/any-wall.png"/>
    <material name="floorplane" texture="texplane"/>
  </asset>
  <worldbody>
    <!-- a comment to drop -->
    <geom name="floor" type="plane" size="3 3 .125" group="1" material="floorplane"/>
    <body name="table" pos="0 0 0.4">
      <geom name="table_collision" type="box" size="1 1 1" group="0" material="floorplane"/>
      <geom name="table_visual" type="box" size="1 1 1" group="1"/>
      <site name="table_top" pos="0 0 1"/>
      ${[1, 2, 3, 4].map((i) => `<geom name="table_leg${i}_visual" type="cylinder" size="1 1" group="1"/>`).join("")}
    </body>
    <camera name="agentview" pos="9 9 9" quat="1 0 0 0"/>
  </worldbody>
</mujoco>`;

const LINKS = [1, 2, 3, 4, 5, 6, 7];
const ROBOT = `<mujoco>
  <actuator>${LINKS.map((i) => `<motor joint="joint${i}" name="torq_j${i}"/>`).join("")}</actuator>
  <worldbody><body name="base">
    <geom type="box" size="1 1 1" group="1"/>
    <geom type="box" size="1 1 1" name="base_collision"/>
    ${LINKS.map((i) => `<body name="link${i}"><joint name="joint${i}" axis="0 0 1"/>`).join("")}
    <geom type="box" size="1 1 1" group="1"/>
    <body name="right_hand"><camera name="eye_in_hand" quat="0 1 1 0"/></body>
    ${LINKS.map(() => "</body>").join("")}
  </body></worldbody>
</mujoco>`;

const GRIPPER = `<mujoco>
  <actuator>
    <position joint="finger_joint1" name="gripper_finger_joint1"/>
    <position joint="finger_joint2" name="gripper_finger_joint2"/>
  </actuator>
  <worldbody><body name="right_gripper">
    <site name="ft_frame"/><site name="grip_site"/>
    <body name="finger1"><joint name="finger_joint1" type="slide" axis="0 1 0"/></body>
    <body name="finger2"><joint name="finger_joint2" type="slide" axis="0 1 0"/></body>
  </body></worldbody>
  <sensor><force name="force_ee" site="ft_frame"/></sensor>
</mujoco>`;

const MOUNT = `<mujoco><worldbody><body name="base" pos="0 0 -1"><geom name="col" type="box" size="1 1 1"/></body></worldbody></mujoco>`;

const extent = (radius: number, bottom: number, top: number): string => `
  <site name="bottom_site" pos="0 0 ${bottom}"/><site name="top_site" pos="0 0 ${top}"/>
  <site name="horizontal_radius_site" pos="${radius} ${radius} 0"/>`;

/** A box with one geom of each kind, a nested body, and a texture that is defined twice. */
const BOX = `<mujoco>
  <asset>
    <texture name="tex" type="2d" file="first.png"/><texture name="tex" type="2d" file="second.png"/>
    <material name="skin" texture="tex"/>
  </asset>
  <worldbody><body>
    <body name="object">
      <geom type="box" size="1 1 1" group="1" material="skin"/>
      <geom type="box" size="1 1 1" group="0" name="lid"/>
      <geom type="box" size="1 1 1" group="4"/>
      <body name="inner"><geom type="box" size="1 1 1" group="0"/></body>
      <geom type="box" size="1 1 1"/>
      <site name="contain_region" type="box" size="0.3 0.2 0.1" pos="0 0 0.05"/>
    </body>${extent(0.02, -0.03, 0.04)}
  </body></worldbody>
</mujoco>`;

/** A cabinet with a drawer, its geoms written with a default class. */
const CABINET = `<mujoco>
  <default><default class="wall"><geom type="box" size="1 2 3" group="0" mass="5"/></default></default>
  <worldbody><body>
    <body name="object">
      <geom class="wall" mass="7"/>
      <body name="drawer" pos="0 0 0.1" quat="0.7071067811865476 0 0 0.7071067811865476">
        <joint name="slide" type="slide" axis="1 0 0" range="-0.2 0"/>
        <geom class="wall"/>
        <site name="top_region" type="box" size="0.1 0.1 0.1" pos="0.5 0 0"/>
      </body>
      <site name="top_side" type="box" size="0.2 0.2 0.01" pos="0 0 0.2"/>
    </body>${extent(0.05, -0.1, 0.1)}
  </body></worldbody>
</mujoco>`;

const PIXEL = encode({ width: 1, height: 1, data: new Uint8Array(3), channels: 3, depth: 8 });

export function tinyClone(): TinyClone {
  const root = mkdtempSync(join(tmpdir(), "tiny-clone-"));
  const libero = join(root, "library");
  const robosuite = join(root, "robots");
  const assets = join(libero, "libero", "libero", "assets");
  const robots = join(robosuite, "robosuite", "models", "assets");
  const write = (path: string, text: string | Uint8Array): void => {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
  };
  write(join(assets, "scenes", "libero_tabletop_base_style.xml"), ARENA);
  write(join(assets, "textures", "light-gray-floor-tile.png"), PIXEL);
  write(join(assets, "textures", "light-gray-plaster.png"), PIXEL);
  write(join(assets, "crates", "box", "box.xml"), BOX);
  write(join(assets, "crates", "box", "first.png"), PIXEL);
  write(join(assets, "furniture", "wooden_cabinet.xml"), CABINET);
  write(join(robots, "robots", "panda", "robot.xml"), ROBOT);
  write(join(robots, "grippers", "panda_gripper.xml"), GRIPPER);
  write(join(robots, "mounts", "rethink_mount.xml"), MOUNT);

  let tasks = 0;
  const task = (bddl: string): Task => {
    const name = `task_${tasks++}`;
    const bddlPath = join(libero, "libero", "libero", "bddl_files", "mine", `${name}.bddl`);
    write(bddlPath, bddl);
    return { name, index: 0, instruction: name, bddlPath, initPath: "" };
  };
  return { libero, robosuite, assets, task };
}

/** Two boxes and a cabinet on a table; every part can be replaced. */
export function tinyBddl(
  parts: { objects?: string; regions?: string; init?: string; goal?: string; problem?: string } = {},
): string {
  return `(define (problem ${parts.problem ?? "LIBERO_Tabletop_Manipulation"}) (:domain robosuite) (:language put it there)
  (:regions
    (left (:target main_table) (:ranges ((-0.1 -0.3 0.1 -0.1))))
    (right (:target main_table) (:ranges ((-0.1 0.1 0.1 0.3))))
    (corner (:target main_table) (:ranges ((0.2 0.2 0.22 0.22))) (:yaw_rotation ((1 2))))
    (top_side (:target cabinet_1)) (top_region (:target cabinet_1)) (contain_region (:target box_1))
    (gone (:target bowl_drainer_1)) ${parts.regions ?? ""})
  (:fixtures main_table - table cabinet_1 - wooden_cabinet)
  (:objects ${parts.objects ?? "box_1 box_2 - box"})
  (:obj_of_interest box_1)
  (:init ${parts.init ?? "(On box_1 main_table_left) (On box_2 main_table_right) (On cabinet_1 main_table_corner)"})
  (:goal (And ${parts.goal ?? "(On box_1 cabinet_1_top_side)"})))`;
}
