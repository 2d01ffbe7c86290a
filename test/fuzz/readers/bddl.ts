import { composeScene } from "../../../vla/libero/compose/scene.ts";
import { BrokenLaw, type Reader } from "../reader.ts";
import { tokens } from "../structure.ts";
import { copyMini, miniFile } from "./mini.ts";

const TASKS = "LIBERO/libero/libero/bddl_files/mini";

/** Reads a task's file and composes its scene: what a wrong name or number leads to shows only there. */
const reader: Reader = {
  seeds: [
    "DRAWER_SCENE3_push_the_drawer_shut",
    "BLOCKS_SCENE1_put_the_green_block_into_the_tray",
    "BLOCKS_SCENE1_put_the_red_block_on_the_plate",
  ].map((task) => miniFile(`${TASKS}/${task}.bddl`)),
  mutations: [
    tokens(/[()]\s*|[^\s()]+\s*/g, [
      "(",
      ")",
      "()",
      "-",
      "and",
      "on",
      "in",
      "close",
      "open",
      "turnon",
      ":ranges",
      ":target",
      ":yaw_rotation",
      ":rgba",
      ":init",
      ":goal",
      ";",
    ]),
  ],
  prepare(folder) {
    const { suite, ...roots } = copyMini(folder);
    return (path) => {
      const task = suite.tasks.find(({ bddlPath }) => bddlPath === path)!;
      const { goal, objects, sites, fixturePoses } = composeScene({ ...roots, task });
      if (goal.length === 0) throw new BrokenLaw("a goal without terms");
      for (const [name, { pos, quat }] of fixturePoses(0, 0))
        if (![...pos, ...quat].every(Number.isFinite)) throw new BrokenLaw(`${name} stands at ${pos}`);
      return `${objects.length} objects, ${sites.length} sites, goal ${goal.map(([predicate]) => predicate)}`;
    };
  },
};

export default reader;
