import { fc, test } from "@fast-check/vitest";
import { afterAll, beforeAll, describe, expect } from "vitest";
import { composeScene } from "../../../vla/libero/compose/scene.ts";
import { LiberoEnv } from "../../../vla/libero/env.ts";
import { readInitStates } from "../../../vla/libero/init-states.ts";
import { Premises } from "../../../vla/libero/premises.ts";
import { NINA } from "../../../vla/libero/protocols.ts";
import type { Term } from "../../../vla/libero/scene.ts";
import { loadSuite } from "../../../vla/libero/suites.ts";
import { NQ, TINY_SCENE, tinyRow } from "./tiny-scene.ts";

/** qpos of the red block: its height is the third number; its velocity follows qpos, arm and fingers. */
const RED = 1 + 9;
const RED_VELOCITY = 1 + NQ + 9;

describe("premises of the tiny scene", () => {
  const scene = {
    ...TINY_SCENE,
    init: [
      ["on", "red_block", "table_region"],
      ["on", "blue_block", "table_region"],
      ["close", "chest_drawer_region"],
      ["on", "chest", "table_region"],
    ],
  };
  let env: LiberoEnv;
  beforeAll(async () => {
    env = await LiberoEnv.open(scene, { cacheFolder: null });
  });
  afterAll(() => env[Symbol.dispose]());

  /** What is lost after half a second. */
  function lost(row: readonly number[]): readonly Term[] {
    const premises = new Premises(scene, env.sim, env.predicates);
    env.start({ seed: 0, state: row });
    premises.note();
    for (let step = 0; step < 10; step++) env.advance(NINA.settle.action);
    return premises.lost();
  }

  /** The red block at a place over the table, with a velocity. */
  const redAt = (place: readonly number[], velocity: readonly number[] = [0, 0, 0]): number[] => {
    const row = tinyRow();
    row.splice(RED, 3, ...place);
    row.splice(RED_VELOCITY, 3, ...velocity);
    return row;
  };

  test.prop([fc.double({ min: 0.031, max: 0.1, noNaN: true })], { numRuns: 10 })(
    "a block that falls onto its region keeps its own",
    (height) => {
      expect(lost(redAt([0.4, 0.3, height]))).toEqual([]);
    },
  );

  test("a block that slides away loses it, and so does one that is thrown up and is still over its region", () => {
    expect(lost(redAt([0.4, 0.3, 0.031], [4, 0, 0]))).toEqual([["on", "red_block", "table_region"]]);
    expect(lost(redAt([0.4, 0.3, 0.031], [0, 0, 4]))).toEqual([["on", "red_block", "table_region"]]);
  });

  test("a block that starts elsewhere has none to lose, wherever it goes", () => {
    expect(lost(redAt([0.8, 0.3, 0.031], [4, 0, 0]))).toEqual([]);
  });

  test("a drawer that does not stay shut loses its own", () => {
    const row = tinyRow();
    row[1 + 23] = 0.003; // shut is more than 0
    row[1 + NQ + 9 + 12] = -1; // its velocity, behind those of arm, fingers and both blocks
    expect(lost(row)).toEqual([["close", "chest_drawer_region"]]);
  });
});

const { LIBERO_ROOT, ROBOSUITE_ROOT } = process.env;

describe.skipIf(!LIBERO_ROOT || !ROBOSUITE_ROOT)(
  "premises of LIBERO (needs LIBERO_ROOT and ROBOSUITE_ROOT)",
  () => {
    const roots = { libero: LIBERO_ROOT ?? "", robosuite: ROBOSUITE_ROOT ?? "" };

    test.each([
      ["libero_spatial", 5, "on akita_black_bowl_1 glazed_rim_porcelain_ramekin_1"],
      ["libero_10", 7, "on ketchup_1 living_room_table_ketchup_init_region"],
    ])(
      "%s %i: today's contacts throw things about, those of its authors do not",
      async (suite, index, term) => {
        const task = loadSuite(roots.libero, suite).tasks[index];
        const scene = composeScene({ ...roots, task });
        const [state] = readInitStates(task.initPath, scene.layout);
        const lostWith = async (contacts: "native" | "mujoco-2.3"): Promise<string[]> => {
          using env = await LiberoEnv.open(scene, { contacts });
          const premises = new Premises(scene, env.sim, env.predicates);
          env.start({ seed: 0, state });
          premises.note();
          for (let step = 0; step < 10; step++) env.advance(NINA.settle.action);
          return premises.lost().map((words) => words.join(" "));
        };
        expect(await lostWith("native")).toContain(term);
        expect(await lostWith("mujoco-2.3")).toEqual([]);
      },
    );
  },
);
