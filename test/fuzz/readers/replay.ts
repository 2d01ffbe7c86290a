import { replayPolicy } from "../../../vla/policies/replay.ts";
import { BrokenLaw, type Reader } from "../reader.ts";
import { jsonValues } from "../structure.ts";

const FILE = "episodes.jsonl";
const action = [0.1, 0, -0.5, 0, 0, 1, -1];
const recording = {
  suite: "mini",
  task: "push",
  instruction: "push it",
  init: 0,
  seed: 0,
  protocol: "nina",
  actions: [action, action],
};
const EPISODE = {
  suite: "mini",
  task: "push",
  told: "push",
  instruction: "push it",
  init: 0,
  seed: 0,
  protocol: { name: "nina", actionsPerQuery: 10 },
  contacts: "mujoco-2.3",
  mujoco: "3.14.0",
} as const;

const seed = (text: string) => ({ file: FILE, bytes: Buffer.from(text) });

/** Recorded actions, and the episode that plays them. */
const reader: Reader = {
  seeds: [
    seed(JSON.stringify(recording)),
    seed(
      JSON.stringify([
        recording,
        { ...recording, task: undefined, name_: "pull", protocol: undefined, swapped: { told: "push" } },
      ]),
    ),
    seed(`${JSON.stringify(recording)}\n${JSON.stringify({ ...recording, init: 1 })}\n`),
  ],
  mutations: [jsonValues],
  prepare: () => async (path) => {
    const source = replayPolicy(path);
    const policy = source.forEpisode(EPISODE);
    policy.reset(0);
    const { actions } = await policy.act({} as Parameters<typeof policy.act>[0], "push");
    for (const one of actions)
      if (one.length !== 7 || !Array.from(one).every(Number.isFinite))
        throw new BrokenLaw(`an action [${one}]`);
    return `${actions.length} actions`;
  },
};

export default reader;
