import { fc, test } from "@fast-check/vitest";
import ndarray from "ndarray";
import { describe, expect } from "vitest";
import type { Image, Observation } from "../../../vla/observation.ts";
import { actionsArray, observationMap, readChunk, readRequest } from "../../../vla/openpi/adapter.ts";
import { decode, encode, WireArray } from "../../../vla/openpi/msgpack.ts";
import { levelsOf, resizeWithPadding } from "../../../vla/openpi/resize.ts";

const picture = (side: number): fc.Arbitrary<Image> =>
  fc
    .uint8Array({ minLength: side * side * 3, maxLength: side * side * 3 })
    .map((levels) => ndarray(levels, [side, side, 3]));
const numbers = (length: number) =>
  fc
    .array(fc.double({ min: -2, max: 2, noNaN: true }), { minLength: length, maxLength: length })
    .map((values) => Float64Array.from(values));
const quaternion = numbers(4)
  .filter((q) => Math.hypot(...q.subarray(0, 3)) > 0.01) // a turn by 0, or by 2π, has no axis
  .map((q) => q.map((value) => value / Math.hypot(...q)));

const seen: fc.Arbitrary<Observation> = fc.nat({ max: 4 }).chain((extra) =>
  fc.record({
    agentview_image: picture(1 + extra),
    robot0_eye_in_hand_image: picture(1 + extra),
    robot0_joint_pos: numbers(7),
    robot0_eef_pos: numbers(3),
    robot0_eef_quat: quaternion,
    robot0_gripper_qpos: numbers(2),
  }),
);

describe("laws", () => {
  test.prop([seen, fc.string()])("a server sees what its client saw, but for joints", (sent, prompt) => {
    const size = sent.agentview_image.shape[0];
    const message = encode(observationMap(sent, prompt, { turn: "none", size }));
    const { seen: got, instruction, seed } = readRequest(decode(message, "message"), "client");
    expect([instruction, seed]).toEqual([prompt, null]);
    for (const key of ["agentview_image", "robot0_eye_in_hand_image"] as const)
      expect(levelsOf(got[key])).toEqual(levelsOf(sent[key]));
    expect(got.robot0_eef_pos).toEqual(sent.robot0_eef_pos);
    expect(got.robot0_gripper_qpos).toEqual(sent.robot0_gripper_qpos);
    // Near w = ±1 an error of 1e-16 in w is one of 1e-14 in the angle.
    for (const [i, value] of sent.robot0_eef_quat.entries())
      expect(got.robot0_eef_quat[i]).toBeCloseTo(value, 10);
  });

  test.prop([seen])("pictures that a protocol has turned already are sent as they are", (sent) => {
    const size = sent.agentview_image.shape[0];
    const turned = { ...sent, agentview_image: sent.agentview_image.step(-1, -1, 1) };
    const image = (observation: Observation, turn: "none" | "rotate180") =>
      observationMap(observation, "", { turn, size }).get("observation/image");
    expect(image(turned, "rotate180")).toEqual(image(sent, "none"));
  });

  test.prop([fc.array(numbers(7), { minLength: 1, maxLength: 9 })])(
    "a client gets the chunk of its server",
    (actions) => {
      const message = encode(new Map([["actions", actionsArray({ actions })]]));
      expect(readChunk(decode(message, "message"), "server")).toEqual({ actions });
    },
  );
});

test("chunks of float32 are taken, others than rows of 7 floats are not", () => {
  const chunk = (actions: WireArray) => readChunk(new Map([["actions", actions]]), "server");
  expect(chunk(new WireArray("<f4", [1, 7], Float32Array.of(1, 2, 3, 4, 5, 6, -1))).actions).toEqual([
    Float64Array.of(1, 2, 3, 4, 5, 6, -1),
  ]);
  expect(() => chunk(new WireArray("<f4", [7], new Float32Array(7)))).toThrow("found <f4 (7)");
  expect(() => chunk(new WireArray("<f4", [2, 8], new Float32Array(16)))).toThrow("found <f4 (2, 8)");
  expect(() => chunk(new WireArray("<i4", [1, 7], new Int32Array(7)))).toThrow("found <i4 (1, 7)");
  expect(() => readChunk(new Map(), "server")).toThrow(
    "server: actions: expected numbers, <f4 or <f8 (steps, 7), found nothing",
  );
});

/** Each grey level three times. */
const grey = (rows: readonly (readonly number[])[]) =>
  Uint8Array.from(rows.flat().flatMap((level) => [level, level, level]));

test("resizes as openpi does, recorded from its code with Pillow 12.3", () => {
  const rows = [
    [87, 194, 55, 22],
    [214, 98, 253, 232],
    [37, 66, 224, 223],
  ];
  expect(resizeWithPadding(grey(rows), [3, 4], 6)).toEqual(
    grey([
      [0, 0, 0, 0, 0, 0],
      [87, 141, 171, 78, 39, 22],
      [166, 150, 142, 171, 167, 153],
      [148, 117, 112, 216, 236, 229],
      [37, 52, 92, 198, 224, 223],
      [0, 0, 0, 0, 0, 0],
    ]),
  );
  expect(resizeWithPadding(grey(rows), [3, 4], 2)).toEqual(
    grey([
      [131, 170],
      [0, 0],
    ]),
  );
});
