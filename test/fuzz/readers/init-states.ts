import { readInitStates } from "../../../vla/libero/init-states.ts";
import { encodeInitStates } from "../../../vla/libero/init-states-writer.ts";
import { numpyFile } from "../../core/formats/build.ts";
import { BrokenLaw, type Reader } from "../reader.ts";
import { pickleOpcodes, zipEntries } from "../structure.ts";

const FILE = "task.pruned_init";

const reader: Reader = {
  seeds: [
    encodeInitStates([
      [0, 1.5, -2],
      [0, 0.25, 1e-9],
    ]),
    numpyFile([2, 3], Float64Array.of(0, 1, 2, 0, 4, 5), { fortran: true }),
  ].map((bytes) => ({ file: FILE, bytes })),
  mutations: [zipEntries(pickleOpcodes)],
  prepare: () => (path) => {
    const states = readInitStates(path);
    if (states.length === 0) throw new BrokenLaw("no states");
    for (const state of states) {
      if (state.length !== states[0].length) throw new BrokenLaw("states of different lengths");
      if (!state.every(Number.isFinite))
        throw new BrokenLaw(`a state with ${state.find((x) => !Number.isFinite(x))}`);
    }
    return `${states.length} states`;
  },
};

export default reader;
