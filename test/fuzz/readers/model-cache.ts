import { readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { Cache } from "../../../core/index.ts";
import { compileModel } from "../../../vla/libero/model-cache.ts";
import { loadMuJoCo } from "../../../vla/libero/mujoco.ts";
import { BrokenLaw, type Input, type Reader } from "../reader.ts";
import { inScratch } from "./scratch.ts";

const SOURCE = {
  mjcf: `<mujoco><worldbody>
    <geom type="plane" size="1 1 1"/>
    <body pos="0 0 1"><freejoint/><geom type="box" size=".1 .2 .3"/></body>
  </worldbody></mujoco>`,
  assets: new Map<string, string>(),
};

const mj = await loadMuJoCo();

/** The file that compiling leaves in the cache. */
const compiled: Input = inScratch((folder) => {
  compileModel(mj, SOURCE, new Cache(folder))[Symbol.dispose]();
  const [file] = readdirSync(folder);
  return { file, bytes: readFileSync(join(folder, file)) };
});

/** A compiled model out of the cache, compiled anew where the file is damaged: both give the same model. */
const reader: Reader = {
  seeds: [compiled],
  mutations: [],
  prepare: () => (path) => {
    using compiled = compileModel(mj, SOURCE, new Cache(dirname(path)));
    const { model } = compiled;
    const size = Array.from(model.geom_size as Float64Array);
    if (model.nq !== 7 || size[3] !== 0.1 || size[5] !== 0.3) throw new BrokenLaw("another model");
    return "a model";
  },
};

export default reader;
