import { Cache } from "../../../core/index.ts";
import { composeScene } from "../../../vla/libero/compose/scene.ts";
import { compileModel } from "../../../vla/libero/model-cache.ts";
import { loadMuJoCo } from "../../../vla/libero/mujoco.ts";
import { BrokenLaw, type Reader } from "../reader.ts";
import { tokens } from "../structure.ts";
import { copyMini, miniFile } from "./mini.ts";

const ASSETS = "LIBERO/libero/libero/assets";
const ROBOT = "robosuite/robosuite/models/assets";

/** Composes a scene of XML files, one of them changed, and compiles it. */
const reader: Reader = {
  seeds: [
    `${ASSETS}/articulated_objects/small_cabinet.xml`,
    `${ASSETS}/mini_objects/white_plate/white_plate.xml`,
    `${ASSETS}/mini_objects/red_block/red_block.xml`,
    `${ASSETS}/scenes/libero_tabletop_base_style.xml`,
    `${ROBOT}/robots/panda/robot.xml`,
    `${ROBOT}/grippers/panda_gripper.xml`,
  ].map(miniFile),
  mutations: [
    tokens(/<!--|-->|<\/?[\w-]+|[\w-]+=|"[^"]*"|\/?>|[^<>"]/gs, [
      "<geom ",
      "<body>",
      "</body>",
      "<joint ",
      "<site ",
      "/>",
      'class="x" ',
      'name="object" ',
      'file="x.png" ',
      'type="mesh" ',
      'pos="0 0 0" ',
      'group="0" ',
      '"nan 0 0"',
      '"1 2"',
      "&lt;",
      "&x;",
      "<![CDATA[",
      "<!DOCTYPE a [",
      "<?xml?>",
      "\ufeff",
    ]),
  ],
  async prepare(folder) {
    const mj = await loadMuJoCo();
    const { suite, ...roots } = copyMini(folder);
    return async (path) => {
      const name = path.includes("cabinet")
        ? "DRAWER_SCENE3_push_the_drawer_shut"
        : "BLOCKS_SCENE1_put_the_red_block_on_the_plate";
      const task = suite.tasks.find((one) => one.name === name)!;
      using compiled = compileModel(mj, composeScene({ ...roots, task }), new Cache(null));
      const { model } = compiled;
      if (model.nbody < 2) throw new BrokenLaw(`a model of ${model.nbody} bodies`);
      return `${model.nq} ${model.ngeom} numbers`;
    };
  },
};

export default reader;
