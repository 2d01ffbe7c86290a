import type { ActionChunk, Policy } from "./policy.ts";
import type { PolicySource } from "./source.ts";

const CHUNK = 10;
const STILL = new Float64Array(7);

/** Ten steps of the all-zero action: the arm keeps its place and the gripper its command. */
export const stillChunk: ActionChunk = { actions: Array.from({ length: CHUNK }, () => STILL) };

/** Does nothing, ever: the floor under every success rate, and a timing of everything that is not the policy. */
export function zeroPolicy(): PolicySource {
  const policy: Policy = { name: "zero", reset() {}, act: () => stillChunk };
  return {
    name: policy.name,
    untrained: false,
    cameraSize: null,
    hasDensity: false,
    forEpisode: () => policy,
  };
}
