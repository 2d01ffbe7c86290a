import { renameSync, rmSync } from "node:fs";
import { dirname } from "node:path";
import { makeFolder } from "../../core/index.ts";
import { quaternionAxisAngle } from "../libero/rotation.ts";
import type { Image, Observation } from "../observation.ts";
import { type Library, loadLibrary } from "./hdf5.ts";

/** What a file says of all its episodes. */
export interface DemonstrationHeader {
  /** Class of the environment, such as `Libero_Tabletop_Manipulation`. */
  readonly environment: string;
  /** Problem class, such as `libero_tabletop_manipulation`. */
  readonly problem: string;
  readonly instruction: string;
  /** The task's file: its path below the library root, and its text. */
  readonly bddl: { readonly path: string; readonly text: string };
  /** Side of the square pictures, pixels. */
  readonly imageSize: number;
}

/** One episode as it is written; lists have one entry per action. */
export interface RecordedEpisode {
  /** The composed scene, MJCF. */
  readonly mjcf: string;
  /** Numbers of 7, what the demonstrator wanted. */
  readonly actions: readonly ArrayLike<number>[];
  /** (time, qpos, qvel) before each action. */
  readonly states: readonly Float64Array[];
  /** What was seen at the end of each action's step. */
  readonly observations: readonly Observation[];
}

/**
 * Writes a demonstration file as LIBERO publishes them (`create_dataset.py`): names, types and attributes alike, data
 * contiguous and uncompressed. Under a temporary name first, so that `path` never holds a part. Episodes are taken one
 * by one; returns how many there were.
 */
export async function writeLiberoDemonstrations(
  path: string,
  header: DemonstrationHeader,
  episodes: Iterable<RecordedEpisode>,
): Promise<number> {
  const library = await loadLibrary();
  makeFolder(dirname(path));
  const temporary = `${path}.${process.pid}.tmp`;
  try {
    const count = writeFile(library, temporary, header, episodes);
    renameSync(temporary, path);
    return count;
  } finally {
    rmSync(temporary, { force: true });
  }
}

function writeFile(
  library: Library,
  path: string,
  header: DemonstrationHeader,
  episodes: Iterable<RecordedEpisode>,
): number {
  const file = new library.File(path, "w");
  try {
    const data = file.create_group("data");
    let [count, total] = [0, 0];
    for (const episode of episodes) {
      writeEpisode(data.create_group(`demo_${count}`), episode);
      count++;
      total += episode.actions.length;
    }
    for (const [name, value] of Object.entries(attributesOf(header))) data.create_attribute(name, value);
    data.create_attribute("num_demos", count, [], "<q");
    data.create_attribute("total", total, [], "<q");
    return count;
  } finally {
    file.close();
  }
}

type Group = InstanceType<Library["Group"]>;

function writeEpisode(group: Group, { mjcf, actions, states, observations }: RecordedEpisode): void {
  const T = actions.length;
  group.create_attribute("num_samples", T, [], "<q");
  group.create_attribute("model_file", mjcf);
  group.create_attribute("init_state", states[0]);

  const rows = (to: Group, name: string, list: readonly ArrayLike<number>[]): void => {
    const width = list[0].length;
    const data = new Float64Array(T * width);
    list.forEach((row, t) => {
      data.set(row, t * width);
    });
    to.create_dataset({ name, data, shape: [T, width] });
  };
  const seen = <R>(read: (one: Observation) => R): R[] => observations.map(read);
  const orientation = seen((one) => quaternionAxisAngle(one.robot0_eef_quat));
  rows(group, "actions", actions);
  rows(group, "states", states);
  rows(
    group,
    "robot_states",
    seen((one) => [...one.robot0_gripper_qpos, ...one.robot0_eef_pos, ...one.robot0_eef_quat]),
  );
  // 0, and 1 at the last step: only episodes that end in success are demonstrations.
  const last = new Uint8Array(T);
  last[T - 1] = 1;
  for (const name of ["rewards", "dones"]) group.create_dataset({ name, data: last, shape: [T] });

  const obs = group.create_group("obs");
  pictures(
    obs,
    "agentview_rgb",
    seen((one) => one.agentview_image),
  );
  pictures(
    obs,
    "eye_in_hand_rgb",
    seen((one) => one.robot0_eye_in_hand_image),
  );
  rows(
    obs,
    "joint_states",
    seen((one) => one.robot0_joint_pos),
  );
  rows(
    obs,
    "gripper_states",
    seen((one) => one.robot0_gripper_qpos),
  );
  rows(
    obs,
    "ee_pos",
    seen((one) => one.robot0_eef_pos),
  );
  rows(obs, "ee_ori", orientation);
  rows(
    obs,
    "ee_states",
    seen((one) => one.robot0_eef_pos).map((p, t) => [...p, ...orientation[t]]),
  );
}

function pictures(group: Group, name: string, images: readonly Image[]): void {
  const [H, W, C] = images[0].shape;
  const data = new Uint8Array(images.length * H * W * C);
  images.forEach((image, t) => {
    data.set(image.data, t * H * W * C);
  });
  group.create_dataset({ name, data, shape: [images.length, H, W, C] });
}

/** The attributes of `data`, as text. `env_args` repeats how the reference would build the environment again. */
function attributesOf(header: DemonstrationHeader): Record<string, string> {
  const { environment, problem, instruction, bddl, imageSize } = header;
  const args = {
    type: 1,
    env_name: environment,
    problem_name: problem,
    bddl_file: bddl.path,
    env_kwargs: {
      robots: ["Panda"],
      controller_configs: OSC_POSE,
      bddl_file_name: bddl.path,
      has_renderer: false,
      has_offscreen_renderer: true,
      ignore_done: true,
      use_camera_obs: true,
      camera_depths: false,
      camera_names: ["robot0_eye_in_hand", "agentview"],
      reward_shaping: true,
      control_freq: 20,
      camera_heights: imageSize,
      camera_widths: imageSize,
      camera_segmentations: null,
    },
  };
  return {
    env_name: environment,
    problem_info: JSON.stringify({
      problem_name: problem,
      domain_name: "robosuite",
      language_instruction: instruction,
    }),
    macros_image_convention: "opengl", // row 0 is the bottom row
    bddl_file_name: bddl.path,
    bddl_file_content: bddl.text,
    env_args: JSON.stringify(args),
    tag: "libero-v1",
  };
}

/** robosuite's settings of the controller that vla/libero/controller.ts computes. */
const OSC_POSE = {
  type: "OSC_POSE",
  input_max: 1,
  input_min: -1,
  output_max: [0.05, 0.05, 0.05, 0.5, 0.5, 0.5],
  output_min: [-0.05, -0.05, -0.05, -0.5, -0.5, -0.5],
  kp: 150,
  damping_ratio: 1,
  impedance_mode: "fixed",
  kp_limits: [0, 300],
  damping_ratio_limits: [0, 10],
  position_limits: null,
  orientation_limits: null,
  uncouple_pos_ori: true,
  control_delta: true,
  interpolation: null,
  ramp_ratio: 0.2,
} as const;
