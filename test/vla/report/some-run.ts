import type { Manifest } from "../../../vla/eval/manifest.ts";
import type { EpisodeLine } from "../../../vla/eval/results.ts";
import { NINA } from "../../../vla/libero/protocols.ts";

/** A manifest in which every text that a file may hold is `text`; its tasks are told apart by what stands behind it. */
export function someManifest(text: string, tasks: number, episodes: number): Manifest {
  return {
    format: 1,
    version: text,
    policyDigest: text,
    protocol: NINA,
    maxSteps: 300,
    logProb: true,
    first: 0,
    run: {
      suite: text,
      policy: text,
      untrained: true,
      seed: 0,
      protocol: text,
      overlap: 0,
      swapWords: false,
      cameraSize: 64,
      engine: { node: text, mujoco: text, contacts: text, fma: true },
    },
    episodes,
    tasks: Array.from({ length: tasks }, (_, i) => ({
      task: `${text}${i}`,
      instruction: text,
      digest: text,
    })),
  };
}

/** One of its episodes, which ended as such. */
export function someLine(
  text: string,
  task: number,
  init: number,
  outcome: EpisodeLine["outcome"],
): EpisodeLine {
  return {
    ...someManifest(text, 0, 0).run,
    task: `${text}${task}`,
    instruction: text,
    init,
    policySeed: 1,
    outcome,
    steps: 3,
    policyCalls: 2,
    ...(outcome === "error" && { error: text }),
    trajectoryHash: "",
    logProbs: [1, -2.5],
    lostPremises: [text],
    actions: [[0, 0, 0, 0, 0, 0, 0]],
    trace: { gripper: [0.01, 0.08, 0.04], goal: [{ term: text, held: [[2, 3]] }] },
  };
}
