import ndarray from "ndarray";
import { FormatError } from "../../core/index.ts";
import { quaternionAxisAngle } from "../libero/rotation.ts";
import type { Image, Observation } from "../observation.ts";
import type { ActionChunk } from "../policies/policy.ts";
import { describe, WireArray, type WireMap, type WireValue } from "./msgpack.ts";
import { levelsOf, resizeWithPadding } from "./resize.ts";

/**
 * What an openpi policy for LIBERO sees and returns, and how that becomes an observation and a chunk of ours.
 *
 * | key                       | type   | shape     |                                                                 |
 * |---------------------------|--------|-----------|-----------------------------------------------------------------|
 * | `observation/image`       | `\|u1` | (N, N, 3) | camera in front, turned by 180° from LIBERO's own, row 0 on top |
 * | `observation/wrist_image` | `\|u1` | (N, N, 3) | camera on the wrist, turned likewise                            |
 * | `observation/state`       | float  | (8)       | end effector and fingers                                        |
 * | `prompt`                  | text   |           | what to do                                                      |
 *
 * The state is the end effector's position (3), metres, its orientation as axis times angle (3), radians, and the
 * positions of the fingers (2), metres. openpi's client makes N 224. Turned by 180°, a picture is upright and mirrored
 * left to right: so are those that openpi's checkpoints were trained on.
 */
const KEYS = {
  image: "observation/image",
  wrist: "observation/wrist_image",
  state: "observation/state",
  prompt: "prompt",
  /**
   * Our own, and optional: a whole number with the first request of an episode, from which all noise of that episode
   * comes. Sent to servers alone whose metadata name it as `seed_key`.
   */
  seed: "nina/seed",
} as const;

export const SEED_KEY = KEYS.seed;

/** Side of the pictures that openpi's client sends. */
export const OPENPI_SIZE = 224;

/** Characters of a prompt; LIBERO's longest has 107. */
const MOST_PROMPT = 2000;

export interface Shown {
  /** Whether the pictures to be sent are LIBERO's own, or already turned as openpi has them. */
  readonly turn: "none" | "rotate180";
  /** Side of the pictures that are sent, pixels. */
  readonly size: number;
}

/** An observation as openpi's policies see it. */
export function observationMap(
  seen: Observation,
  prompt: string,
  { turn, size }: Shown,
): Map<string, WireValue> {
  const picture = (image: Image): WireArray => {
    const turned = turn === "rotate180" ? image : rotated(image);
    return new WireArray("|u1", [size, size, 3], resizeWithPadding(levelsOf(turned), turned.shape, size));
  };
  const state = Float64Array.of(
    ...seen.robot0_eef_pos,
    ...quaternionAxisAngle(seen.robot0_eef_quat),
    ...seen.robot0_gripper_qpos,
  );
  return new Map<string, WireValue>([
    [KEYS.image, picture(seen.agentview_image)],
    [KEYS.wrist, picture(seen.robot0_eye_in_hand_image)],
    [KEYS.state, new WireArray("<f8", [state.length], state)],
    [KEYS.prompt, prompt],
  ]);
}

/** What a client asks. */
export interface Request {
  /** Pictures are turned back to LIBERO's own. */
  readonly seen: Observation;
  readonly instruction: string;
  /** Where an episode begins that is to be repeatable. */
  readonly seed: number | null;
}

/**
 * An observation of ours from what an openpi client sends. Joint angles are not part of that: they are NaN, so that a
 * policy which reads them shows that it has none.
 *
 * @throws FormatError for a missing key, another type or shape, or a number that is not finite.
 */
export function readRequest(message: WireValue, who: string): Request {
  const map = asMap(message, `${who}: observation`);
  const refuse = (key: string, expected: string): never => {
    throw new FormatError(`${who}: ${key}`, expected, describe(map.get(key)));
  };
  const picture = (key: string): Image => {
    const value = map.get(key);
    if (!(value instanceof WireArray) || value.dtype !== "|u1" || !isSquare(value.shape))
      return refuse(key, "a square picture, |u1 (N, N, 3)");
    return rotated(ndarray(value.data as Uint8Array, [...value.shape]));
  };
  const state = map.get(KEYS.state);
  if (!(state instanceof WireArray) || !isFloat(state) || state.shape.join() !== "8")
    return refuse(KEYS.state, "8 numbers, <f4 or <f8");
  const numbers = Float64Array.from(state.data);
  const bad = numbers.findIndex((value) => !Number.isFinite(value));
  if (bad !== -1)
    throw new FormatError(`${who}: ${KEYS.state}`, "finite numbers", `${numbers[bad]} at ${bad}`);
  const instruction = map.get(KEYS.prompt);
  if (typeof instruction !== "string" || instruction.length > MOST_PROMPT)
    return refuse(KEYS.prompt, `text of at most ${MOST_PROMPT} characters`);
  const seed = map.get(KEYS.seed) ?? null;
  if (seed !== null && !(Number.isInteger(seed) && (seed as number) >= 0 && (seed as number) < 2 ** 32))
    return refuse(KEYS.seed, `a whole number from 0 to ${2 ** 32 - 1}`);
  const seen: Observation = {
    agentview_image: picture(KEYS.image),
    robot0_eye_in_hand_image: picture(KEYS.wrist),
    robot0_joint_pos: new Float64Array(7).fill(Number.NaN),
    robot0_eef_pos: numbers.slice(0, 3),
    robot0_eef_quat: axisAngleQuaternion(numbers.subarray(3, 6)),
    robot0_gripper_qpos: numbers.slice(6),
  };
  return { seen, instruction, seed: seed as number | null };
}

/** The actions of a chunk, (steps, 7). */
export function actionsArray({ actions }: ActionChunk): WireArray {
  const rows = actions.map((action) => Array.from(action));
  return new WireArray("<f8", [rows.length, 7], Float64Array.from(rows.flat()));
}

/** A chunk from what an openpi server answers. @throws FormatError for one without `actions` of 7 numbers each. */
export function readChunk(message: WireValue, who: string): ActionChunk {
  const actions = asMap(message, `${who}: answer`).get("actions");
  const isChunk = actions instanceof WireArray && isFloat(actions) && actions.shape.length === 2;
  if (!isChunk || actions.shape[1] !== 7)
    throw new FormatError(`${who}: actions`, "numbers, <f4 or <f8 (steps, 7)", describe(actions));
  const numbers = Float64Array.from(actions.data);
  return { actions: Array.from({ length: actions.shape[0] }, (_, i) => numbers.subarray(7 * i, 7 * i + 7)) };
}

export function asMap(value: WireValue, who: string): WireMap {
  if (value instanceof Map) return value;
  throw new FormatError(who, "a map", describe(value));
}

/** The picture turned by 180°: a view, no copy. */
const rotated = (image: Image): Image => image.step(-1, -1, 1);

const isSquare = ([height, width, channels, ...more]: readonly number[]): boolean =>
  height > 0 && height === width && channels === 3 && more.length === 0;

const isFloat = (array: WireArray): array is WireArray<"<f4" | "<f8"> =>
  array.dtype === "<f4" || array.dtype === "<f8";

/** The unit quaternion xyzw of a rotation vector, radians: what `quaternionAxisAngle` takes back. */
function axisAngleQuaternion([x, y, z]: ArrayLike<number> & Iterable<number>): Float64Array {
  const angle = Math.hypot(x, y, z);
  const scale = angle === 0 ? 0 : Math.sin(angle / 2) / angle;
  return Float64Array.of(x * scale, y * scale, z * scale, Math.cos(angle / 2));
}
