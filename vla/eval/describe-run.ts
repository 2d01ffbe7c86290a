import { engineInfo } from "../../core/index.ts";
import { MUJOCO_VERSION } from "../libero/mujoco.ts";
import type { PolicySource } from "../policies/index.ts";
import type { Options } from "./options.ts";
import type { RunInfo } from "./results.ts";

/** Everything about a run but its tasks: its options, the policy and the engine. */
export function describeRun(options: Options, policies: PolicySource): RunInfo {
  const { protocol } = options;
  return {
    suite: options.suite,
    policy: policies.name,
    untrained: policies.untrained,
    seed: options.seed,
    protocol: protocol.name,
    overlap: protocol.overlap,
    swapWords: options.swapWords,
    ...(options.perturb !== undefined && { perturb: options.perturb }),
    ...(options.robustness !== undefined && { robustness: options.robustness }),
    cameraSize: policies.cameraSize ?? protocol.cameraSize,
    ...(policies.sampling && { sampling: policies.sampling }),
    ...(policies.device && { device: policies.device, weights: options.weights }),
    engine: {
      node: process.versions.node,
      mujoco: MUJOCO_VERSION,
      contacts: options.contacts,
      fma: engineInfo().fma,
    },
  };
}
