import type { Scene, SceneObject, SceneSite } from "../../../vla/libero/scene.ts";

const HOME = [0, -0.2, 0, -2, 0, 2, 0.8];

/** Seven links, each turning about an axis across the one before. */
function arm(link = 1): string {
  const axis = ["0 0 1", "0 1 0", "0 0 1", "0 -1 0", "0 0 1", "0 -1 0", "0 0 -1"][link - 1];
  const inner = link < 7 ? arm(link + 1) : HAND;
  return `<body name="robot0_link${link}" pos="0 0 ${link === 1 ? 0.3 : 0.15}">
    <joint name="robot0_joint${link}" axis="${axis}" damping="0.1" armature="${5 / link}" frictionloss="0.1"/>
    <geom type="capsule" fromto="0 0 0 0 0 .12" size=".03" mass="${3 / link}" contype="0" conaffinity="0"/>
    ${inner}
  </body>`;
}

const HAND = `<body name="robot0_right_hand" pos="0 0 .15" quat=".9238795 0 0 -.3826834">
  <camera name="robot0_eye_in_hand" pos=".05 0 0" quat="0 .707108 .707108 0" fovy="75"/>
  <geom type="box" size=".03 .06 .02" mass=".5" contype="0" conaffinity="0"/>
  <site name="gripper0_grip_site" pos="0 0 .1" rgba="1 0 0 .5"/>
  <body name="gripper0_finger1" pos="0 0 .06">
    <joint name="gripper0_finger_joint1" type="slide" axis="0 1 0" range="0 .04" damping="100" armature="1"/>
    <geom name="gripper0_finger1_g" type="box" size=".01 .01 .03" mass=".05"/>
  </body>
  <body name="gripper0_finger2" pos="0 0 .06">
    <joint name="gripper0_finger_joint2" type="slide" axis="0 1 0" range="-.04 0" damping="100" armature="1"/>
    <geom name="gripper0_finger2_g" type="box" size=".01 .01 .03" mass=".05"/>
  </body>
</body>`;

function block(name: string, halfSize: number): string {
  return `<body name="${name}_main" pos="0 0 3"><freejoint name="${name}_joint0"/>
    <geom name="${name}_g1" type="box" size="${halfSize} ${halfSize} ${halfSize}" mass=".1"
      solref="0.001 1" solimp=".998 .998 .001"/></body>`;
}

const MOTORS = [1, 2, 3, 4, 5, 6, 7]
  .map(
    (i) => `<motor name="robot0_torq_j${i}" joint="robot0_joint${i}" ctrlrange="-80 80" ctrllimited="true"/>`,
  )
  .join("");

/** A table, an arm with LIBERO's names, two blocks, a chest with a drawer and a stove; ours, and small. */
export const TINY_MJCF = `<mujoco>
  <compiler angle="radian"/>
  <option timestep="0.002" cone="elliptic" impratio="20"/>
  <size memory="4M"/>
  <worldbody>
    <camera name="agentview" pos="1 0 1.5" xyaxes="0 1 0 -1 0 1"/>
    <geom name="table" type="box" size="2 2 .5" pos="0 0 -.5"/>
    <site name="table_region" type="box" size=".1 .2 .007" pos=".4 .3 0" euler="0 0 .3" rgba="0 0 1 0"/>
    ${arm()}
    ${block("red_block", 0.03)}
    ${block("blue_block", 0.04)}
    <body name="chest_main">
      <geom name="chest_g1" type="box" size=".1 .1 .02" pos="0 0 .02"/>
      <site name="chest_top" type="box" size=".1 .1 .001" pos="0 0 .04" rgba="1 1 1 .4"/>
      <body name="chest_drawer"><joint name="chest_slide" type="slide" axis="1 0 0" range="-.16 .01" damping="10"/>
        <geom name="chest_g2" type="box" size=".05 .05 .01" pos="0 0 .1" mass=".2" contype="0" conaffinity="0"/>
        <site name="chest_drawer_region" type="box" size=".04 .05 .02" pos="0 0 .12"/></body>
    </body>
    <body name="stove_main">
      <geom name="stove_g1" type="box" size=".05 .05 .01" pos="0 0 .01"/>
      <site name="stove_burner" type="cylinder" size=".05 .001" pos="0 0 .02" rgba="1 0 0 1"/>
      <body name="stove_knob"><joint name="stove_button" axis="0 0 1" range="-.005 2.1" damping="1"/>
        <geom name="stove_g2" type="box" size=".01 .01 .01" mass=".05" contype="0" conaffinity="0"/></body>
    </body>
  </worldbody>
  <actuator>
    ${MOTORS}
    <position name="gripper0_gripper_finger_joint1" joint="gripper0_finger_joint1" kp="1000"
      ctrlrange="0 .04" ctrllimited="true"/>
    <position name="gripper0_gripper_finger_joint2" joint="gripper0_finger_joint2" kp="1000"
      ctrlrange="-.04 0" ctrllimited="true"/>
  </actuator>
</mujoco>`;

const OBJECT = { category: "block", articulation: null, stateSites: {} } as const;
const objects: SceneObject[] = [
  ...["red_block", "blue_block"].map((name) => ({
    ...OBJECT,
    name,
    kind: "object" as const,
    rootBody: `${name}_main`,
    joints: [`${name}_joint0`],
    contactGeoms: [`${name}_g1`],
  })),
  {
    name: "chest",
    kind: "fixture",
    category: "chest",
    rootBody: "chest_main",
    joints: ["chest_slide"],
    contactGeoms: ["chest_g1", "chest_g2"],
    articulation: { open: [-0.16, -0.14], close: [0, 0.005] },
    stateSites: {},
  },
  {
    name: "stove",
    kind: "fixture",
    category: "stove",
    rootBody: "stove_main",
    joints: ["stove_button"],
    contactGeoms: ["stove_g1", "stove_g2"],
    articulation: { turnon: [0.5, 2.1], turnoff: [-0.005, 0] },
    stateSites: { burner: "stove_burner" },
  },
];

const sites: SceneSite[] = [
  { name: "table_region", parent: null, size: [0.1, 0.2, 0.007], joints: null },
  { name: "chest_top", parent: "chest", size: [0.1, 0.1, 0.001], joints: [] },
  { name: "chest_drawer_region", parent: "chest", size: [0.04, 0.05, 0.02], joints: ["chest_slide"] },
];

/** The scene around that model; its chest moves by 1 cm with the seed and by 1 mm with the number of resets. */
export const TINY_SCENE: Scene = {
  mjcf: TINY_MJCF,
  places: TINY_MJCF.split("\n").map((_, i) => `tiny.xml:${i + 1}`),
  assets: new Map(),
  layout: { nq: 25, nv: 23, quaternions: [12, 19] },
  objects,
  sites,
  init: [],
  goal: [["turnon", "stove"]],
  home: { arm: HOME, fingers: [0.02, -0.02] },
  fixturePoses: (seed, resets) =>
    new Map([
      [
        "chest",
        { pos: [-0.5, 0.5 + 0.01 * seed + 0.001 * resets, 0], quat: [Math.SQRT1_2, 0, 0, Math.SQRT1_2] },
      ],
      ["stove", { pos: [-0.5, -0.5, 0], quat: [1, 0, 0, 0] }],
    ]),
};

/** qpos: arm 7, fingers 2, red block 7, blue block 7, drawer, knob. */
export const NQ = 25;
export const NV = 23;

/** An initial state: arm at home, blocks apart on the table, drawer shut, knob at `knob`. */
export function tinyRow(knob = 0): number[] {
  const red = [0.4, 0.3, 0.031, 1, 0, 0, 0];
  const blue = [0.4, -0.3, 0.041, 1, 0, 0, 0];
  return [0, ...HOME, 0.02, -0.02, ...red, ...blue, 0, knob, ...new Array(NV).fill(0)];
}
