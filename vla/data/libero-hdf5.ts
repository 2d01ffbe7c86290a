import { basename } from "node:path";
import ndarray, { type NdArray } from "ndarray";
import { FormatError } from "../../core/index.ts";
import type { Observation } from "../observation.ts";
import type { Camera, Demonstrations, Episode } from "./demonstrations.ts";
import { type Hdf5Dataset, Hdf5File } from "./hdf5.ts";

/**
 * Demonstrations as LIBERO publishes them, one file per task: `data/demo_0`, `demo_1`, …, in the order of their
 * numbers. Pictures have any size; their row 0 is the bottom row, as in observations.
 *
 * LIBERO's writer stores with action t what was seen at the end of its step, not before it, and those who train on
 * these files, NinA's reference among them, learn from the pairs as they are.
 */
export class LiberoDemonstrations implements Demonstrations {
  readonly name: string;
  /** Problem class, such as `libero_tabletop_manipulation`. */
  readonly problem: string;
  readonly episodes: readonly Episode[];
  readonly #file: Hdf5File;

  private constructor(file: Hdf5File) {
    this.#file = file;
    this.name = file.path;
    const info = problemInfo(file);
    this.problem = info.problem_name;
    const demos = file.keys("data").filter((key) => /^demo_\d+$/.test(key));
    if (demos.length === 0) throw new FormatError(file.path, "groups data/demo_0, data/demo_1, …", "none");
    const task = basename(file.text("data", "bddl_file_name"), ".bddl");
    this.episodes = demos.map((demo) => openEpisode(file, demo, info.language_instruction, task));
  }

  /** @throws FormatError for a file of another layout, with the place that differs. */
  static async open(path: string): Promise<LiberoDemonstrations> {
    const file = await Hdf5File.open(path);
    try {
      return new LiberoDemonstrations(file);
    } catch (error) {
      file[Symbol.dispose]();
      throw error;
    }
  }

  [Symbol.dispose](): void {
    this.#file[Symbol.dispose]();
  }
}

function problemInfo(file: Hdf5File): { problem_name: string; language_instruction: string } {
  const text = file.text("data", "problem_info");
  const fail = (): never => {
    throw new FormatError(
      `${file.path}, data, problem_info`,
      "JSON with problem_name and language_instruction",
      text,
    );
  };
  let info: unknown;
  try {
    info = JSON.parse(text);
  } catch {
    return fail();
  }
  const { problem_name, language_instruction } = Object(info) as Record<string, unknown>;
  if (typeof problem_name !== "string") return fail();
  // Published files have one sentence; some regenerated ones a list with one.
  const sentence = Array.isArray(language_instruction) ? language_instruction[0] : language_instruction;
  return typeof sentence === "string" ? { problem_name, language_instruction: sentence } : fail();
}

function openEpisode(file: Hdf5File, name: string, instruction: string, task: string): Episode {
  const at = (path: string): Hdf5Dataset => file.dataset(`data/${name}/${path}`);
  const actions = at("actions").expect(null, 7);
  const [length] = actions.shape;
  if (length === 0) throw new FormatError(`${file.path}, data/${name}`, "steps", "none");
  const states = at("states").expect(length, null);
  const robot = at("robot_states").expect(length, 9);
  const joints = at("obs/joint_states").expect(length, 7);
  const camera = (key: string): Hdf5Dataset => at(`obs/${key}`).expect(length, null, null, 3);
  const cameras = { agentview: camera("agentview_rgb"), wrist: camera("eye_in_hand_rgb") };
  const pictures = (of: Camera, start: number, end: number): NdArray<Uint8Array> => {
    const rows = cameras[of].rows(start, end);
    if (!(rows instanceof Uint8Array))
      throw new FormatError(`${file.path}, data/${name}`, "pictures of bytes", cameras[of].type);
    return ndarray(rows, [end - start, ...cameras[of].shape.slice(1)]);
  };
  return {
    name,
    instruction,
    task,
    get model(): string {
      return file.text(`data/${name}`, "model_file");
    },
    length,
    actions: (start, end) => actions.floats(start, end),
    states: (start, end) => states.floats(start, end),
    pictures,
    pictureSize: (of) => [cameras[of].shape[1], cameras[of].shape[2]],
    observation(step): Observation {
      const now = robot.floats(step, step + 1); // fingers 2, position 3, quaternion xyzw 4
      return {
        agentview_image: pictures("agentview", step, step + 1).pick(0),
        robot0_eye_in_hand_image: pictures("wrist", step, step + 1).pick(0),
        robot0_joint_pos: joints.floats(step, step + 1),
        robot0_gripper_qpos: now.slice(0, 2),
        robot0_eef_pos: now.slice(2, 5),
        robot0_eef_quat: now.slice(5, 9),
      };
    },
  };
}
