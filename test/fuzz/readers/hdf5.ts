import { readFileSync } from "node:fs";
import { join } from "node:path";
import { LiberoDemonstrations } from "../../../vla/data/libero-hdf5.ts";
import { writeSmallFile } from "../../vla/data/small-files.ts";
import { BrokenLaw, type Input, type Reader } from "../reader.ts";
import { inScratch } from "./scratch.ts";

const FILE = "task_demo.hdf5";

const demonstrations = (lengths: readonly number[]): Promise<Input> =>
  inScratch(async (folder) => {
    const path = join(folder, FILE);
    await writeSmallFile(path, { lengths, size: 2 });
    return { file: FILE, bytes: readFileSync(path) };
  });

/** Demonstrations as LIBERO publishes them, every number of them read. */
const reader: Reader = {
  seeds: [await demonstrations([3, 2]), await demonstrations([1])],
  mutations: [],
  prepare: () => async (path) => {
    using file = await LiberoDemonstrations.open(path);
    for (const { name, length, model, actions, states, pictures, observation } of file.episodes) {
      if (actions(0, length).length !== 7 * length) throw new BrokenLaw(`${name}: actions`);
      if (states(0, length).length % length !== 0) throw new BrokenLaw(`${name}: states`);
      for (const camera of ["agentview", "wrist"] as const)
        if (pictures(camera, 0, length).shape[0] !== length) throw new BrokenLaw(`${name}: pictures`);
      const { robot0_eef_quat } = observation(length - 1);
      if (robot0_eef_quat.length !== 4 || model.length === 0) throw new BrokenLaw(`${name}: observation`);
    }
    return `${file.episodes.length} episodes`;
  },
};

export default reader;
