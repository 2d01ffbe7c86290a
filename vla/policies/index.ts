import { UsageError } from "../../cli/index.ts";
import { openDevice, type WeightFormat } from "../../core/index.ts";
import type { SamplingConfig } from "../checkpoint.ts";
import { replayPolicy } from "./replay.ts";
import type { PolicySource } from "./source.ts";
import { zeroPolicy } from "./zero.ts";

export type { EpisodeKey, PolicySource } from "./source.ts";

/** What a policy is made from: `file` for a recording, `checkpoint` for weights, and what to change of their sampling. */
export interface PolicyFiles {
  readonly file?: string;
  readonly checkpoint: string;
  readonly sampling: Partial<SamplingConfig>;
  /** The name of what computes, for a policy that does; cpu unless given. */
  readonly device?: string;
  /** What its encoder's weights are kept as, where it has one; float32 unless given. */
  readonly weights?: WeightFormat;
}

/** Every kind of policy a run can be asked for. Each loads its code when asked for: `zero` starts no tensor. */
const kinds = {
  nina: async ({ checkpoint, sampling, device = "cpu", weights }: PolicyFiles) =>
    (await import("./nina.ts")).ninaPolicy(checkpoint, sampling, await openDevice(device), weights),
  zero: () => zeroPolicy(),
  replay({ file }: PolicyFiles) {
    if (file === undefined)
      throw new UsageError("--policy replay: expected the file of recorded actions, got none");
    return replayPolicy(file);
  },
} satisfies Record<string, (files: PolicyFiles) => PolicySource | Promise<PolicySource>>;

export type PolicyKind = keyof typeof kinds;
export const policyKinds = Object.keys(kinds) as readonly PolicyKind[];
export const DEFAULT_POLICY: PolicyKind = "nina";

/** Loads the weights or the recording that all episodes of a run share. */
export async function loadPolicy(kind: PolicyKind, files: PolicyFiles): Promise<PolicySource> {
  return kinds[kind](files);
}
