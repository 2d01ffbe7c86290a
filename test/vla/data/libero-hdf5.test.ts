import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fc, test } from "@fast-check/vitest";
import h5wasm from "h5wasm/node";
import ndarray from "ndarray";
import { afterAll, describe, expect } from "vitest";
import { FormatError } from "../../../core/index.ts";
import { Hdf5File } from "../../../vla/data/hdf5.ts";
import { LiberoDemonstrations } from "../../../vla/data/libero-hdf5.ts";
import { type RecordedEpisode, writeLiberoDemonstrations } from "../../../vla/data/libero-hdf5-writer.ts";
import type { Observation } from "../../../vla/observation.ts";
import { demonstrationFile } from "../../parity/libero-hdf5.ts";

const folder = mkdtempSync(join(tmpdir(), "nina-ts-demonstrations-"));
afterAll(() => rmSync(folder, { recursive: true }));
const path = join(folder, "task_demo.hdf5");

const header = {
  environment: "Libero_Tabletop_Manipulation",
  problem: "libero_tabletop_manipulation",
  instruction: "put the äpfel on the plate",
  bddl: { path: "libero/libero/bddl_files/mini/task.bddl", text: "(define …)" },
  imageSize: 4,
};

const numbers = (count: number): fc.Arbitrary<Float64Array> =>
  fc.float64Array({ minLength: count, maxLength: count, noNaN: true, min: -10, max: 10 });

/** A rotation of less than half a turn: the quaternion of the file's rotation vector. */
const quaternion = fc
  .tuple(numbers(3), fc.double({ min: 0.01, max: 3, noNaN: true }))
  .map(([axis, angle]) => {
    const length = Math.hypot(...axis);
    const part = length === 0 ? 0 : Math.sin(angle / 2) / length;
    return Float64Array.of(...axis.map((v) => v * part), length === 0 ? 1 : Math.cos(angle / 2));
  });

const picture = fc.uint8Array({ minLength: 48, maxLength: 48 }).map((bytes) => ndarray(bytes, [4, 4, 3]));

const observation: fc.Arbitrary<Observation> = fc.record({
  agentview_image: picture,
  robot0_eye_in_hand_image: picture,
  robot0_joint_pos: numbers(7),
  robot0_eef_pos: numbers(3),
  robot0_eef_quat: quaternion,
  robot0_gripper_qpos: numbers(2),
});

const episode: fc.Arbitrary<RecordedEpisode> = fc
  .array(fc.record({ action: numbers(7), state: numbers(5), seen: observation }), {
    minLength: 1,
    maxLength: 5,
  })
  .map((steps) => ({
    mjcf: "<mujoco/>",
    actions: steps.map(({ action }) => action),
    states: steps.map(({ state }) => state),
    observations: steps.map(({ seen }) => seen),
  }));

const writes = { numRuns: 25 };

describe("LIBERO's demonstration files", () => {
  test.prop([fc.array(episode, { minLength: 1, maxLength: 12 })], writes)(
    "what is written is read back, and agrees with itself as the reference's files do",
    async (episodes) => {
      expect(await writeLiberoDemonstrations(path, header, episodes)).toBe(episodes.length);
      expect(readdirSync(folder)).toEqual(["task_demo.hdf5"]);
      using read = await LiberoDemonstrations.open(path);
      expect(read.problem).toBe(header.problem);
      expect(read.episodes.map(({ name }) => name)).toEqual(episodes.map((_, i) => `demo_${i}`));
      read.episodes.forEach((found, i) => {
        const written = episodes[i];
        expect(found.instruction).toBe(header.instruction);
        expect(found.length).toBe(written.actions.length);
        expect([...found.actions(0, found.length)]).toEqual(
          written.actions.flatMap((row) => Array.from(row)),
        );
        expect([...found.states(0, found.length)]).toEqual(written.states.flatMap((row) => Array.from(row)));
        written.observations.forEach((seen, t) => {
          const again = found.observation(t);
          expect(again.agentview_image.data).toEqual(seen.agentview_image.data);
          expect(again.robot0_eye_in_hand_image.data).toEqual(seen.robot0_eye_in_hand_image.data);
          expect(again.agentview_image.shape).toEqual([4, 4, 3]);
          expect(again.robot0_eef_quat).toEqual(seen.robot0_eef_quat);
          expect(again.robot0_joint_pos).toEqual(seen.robot0_joint_pos);
        });
      });
      const { pass, error } = await demonstrationFile(path);
      expect(pass, `error ${error}`).toBe(true);
    },
  );

  test.prop([episode, fc.double({ min: 0, max: 0.999, noNaN: true })], writes)(
    "a file cut short is refused, and so is any other",
    async (recorded, share) => {
      await writeLiberoDemonstrations(path, header, [recorded]);
      const whole = readFileSync(path);
      writeFileSync(path, whole.subarray(0, Math.floor(share * whole.length)));
      await expect(LiberoDemonstrations.open(path)).rejects.toThrow(FormatError);
      writeFileSync(path, "(define (problem x))");
      await expect(LiberoDemonstrations.open(path)).rejects.toThrow(`${path}: expected an HDF5 file`);
    },
  );

  test("what is written when an episode cannot be made leaves nothing behind", async () => {
    function* failing(): Iterable<RecordedEpisode> {
      yield* fc.sample(episode, 1);
      throw new Error("no more");
    }
    const other = join(folder, "other.hdf5");
    await expect(writeLiberoDemonstrations(other, header, failing())).rejects.toThrow("no more");
    expect(readdirSync(folder)).toEqual(["task_demo.hdf5"]);
  });
});

describe("HDF5 files", () => {
  /** A file with one compressed dataset of numbers 0, 1, 2, …, (4, 3). */
  async function compressed(): Promise<void> {
    await h5wasm.ready;
    const file = new h5wasm.File(path, "w", { libver: ["earliest", "v108"] }); // without checksums of its own
    const data = Float32Array.from({ length: 12 }, (_, i) => i);
    file.create_dataset({
      name: "x",
      data,
      shape: [4, 3],
      chunks: [2, 3],
      compression: "gzip",
      compression_opts: 7,
    });
    file.create_dataset({ name: "words", data: ["a", "b"] });
    file.create_dataset({ name: "whole", data: Int32Array.of(1, 2) });
    file.create_dataset({ name: "one", data: 1.5, shape: [], dtype: "<d" });
    file.create_group("group").create_attribute("count", -1, [], "<q");
    file.close();
  }

  test("deflate is undone", async () => {
    await compressed();
    using file = await Hdf5File.open(path);
    const x = file.dataset("x");
    expect([...x.rows(1, 3)]).toEqual([3, 4, 5, 6, 7, 8]);
    expect(x.rows(2, 2)).toHaveLength(0);
    expect(() => x.rows(3, 5)).toThrow("expected rows between 0 and 4, got 3 to 5");
    expect(() => x.expect(null, 4)).toThrow(`${path}, x: expected shape (any, 4), found (4, 3)`);
  });

  test("data under another filter is refused, not returned as garbage", async () => {
    await compressed();
    // The filter's entry: its number 1 (deflate), the length of its name, flags, one value, the name. 4 is szip.
    const bytes = readFileSync(path);
    const at = bytes.indexOf(Buffer.from("deflate")) - 8;
    expect(bytes.readUInt16LE(at)).toBe(1);
    bytes.writeUInt16LE(4, at);
    writeFileSync(path, bytes);
    using file = await Hdf5File.open(path);
    expect(() => file.dataset("x")).toThrow(`${path}, x: expected deflate, shuffle or no filter`);
  });

  test("each mistake is told with its place", async () => {
    await compressed();
    using file = await Hdf5File.open(path);
    expect(() => file.dataset("none")).toThrow(`${path}, none: expected a dataset, found none`);
    expect(() => file.dataset("group")).toThrow("expected a dataset, found no dataset");
    expect(() => file.dataset("words")).toThrow("expected elements u1, f4 or f8");
    expect(() => file.dataset("whole")).toThrow("expected elements u1, f4 or f8");
    expect(() => file.dataset("one")).toThrow("expected a list of rows, found a single value");
    expect(() => file.keys("x")).toThrow("expected a group, found no group");
    expect(() => file.text("group", "count")).toThrow("expected a text attribute count");
    expect(() => file.count("group", "count")).toThrow("expected a whole number in attribute count");
    expect(() => file.count("group", "none")).toThrow("expected an attribute none, found none");
  });

  test("a closed file is read no more", async () => {
    await compressed();
    const file = await Hdf5File.open(path);
    file[Symbol.dispose]();
    file[Symbol.dispose]();
    expect(() => file.keys("group")).toThrow(`${path}: read after it was closed`);
  });
});

describe.skipIf(!process.env.NINA_GOLDENS)("recorded by Python LIBERO (needs NINA_GOLDENS)", () => {
  test("a demonstration file is read whole, and agrees with itself", async () => {
    const sample = join(process.env.NINA_GOLDENS ?? "", "libero", "sample_demo.hdf5");
    const { pass, error } = await demonstrationFile(sample);
    expect(pass, `error ${error}`).toBe(true);
  });
});
