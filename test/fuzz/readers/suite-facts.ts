import { LIBERO_WORKSPACES } from "../../../vla/libero/compose/libero-workspaces.ts";
import { composeScene } from "../../../vla/libero/compose/scene.ts";
import { BrokenLaw, type Reader } from "../reader.ts";
import { jsonValues } from "../structure.ts";
import { copyMini, miniFile } from "./mini.ts";

const ASSETS = "LIBERO/libero/libero/assets";
const workspace = LIBERO_WORKSPACES.libero_tabletop_manipulation;

/** What stands in JSON beside the objects and rooms of a suite of one's own. */
const reader: Reader = {
  seeds: [
    miniFile(`${ASSETS}/articulated_objects/small_cabinet.json`),
    miniFile(`${ASSETS}/mini_objects/red_block/red_block.json`),
    {
      file: `${ASSETS}/scenes/libero_tabletop_manipulation.json`,
      bytes: Buffer.from(JSON.stringify(workspace)),
    },
  ],
  mutations: [jsonValues],
  prepare(folder) {
    const { suite, ...roots } = copyMini(folder);
    return (path) => {
      const name = path.includes("cabinet")
        ? "DRAWER_SCENE3_push_the_drawer_shut"
        : "BLOCKS_SCENE1_put_the_red_block_on_the_plate";
      const task = suite.tasks.find((one) => one.name === name)!;
      const { objects, fixturePoses } = composeScene({ ...roots, task });
      for (const [name, { pos, quat }] of fixturePoses(0, 0))
        if (![...pos, ...quat].every(Number.isFinite)) throw new BrokenLaw(`${name} stands at ${pos}`);
      return `${objects.length} objects`;
    };
  },
};

export default reader;
