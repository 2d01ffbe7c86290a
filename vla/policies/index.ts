import { UsageError } from "../../cli/index.ts";
import { openDevice, type WeightFormat } from "../../core/index.ts";
import type { SamplingConfig } from "../checkpoint.ts";
import type { PolicyModule } from "./module.ts";
import { replayPolicy } from "./replay.ts";
import type { PolicySource } from "./source.ts";
import { zeroPolicy } from "./zero.ts";

export type { PolicyModule } from "./module.ts";
export { type EpisodeKey, endPolicies, type PolicySource } from "./source.ts";

/**
 * What a policy is made from: `file` for a recording, `checkpoint` for weights, and what to change of their sampling.
 */
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
} satisfies Record<string, PolicyModule>;

export type PolicyKind = keyof typeof kinds;
export const policyKinds = Object.keys(kinds) as readonly PolicyKind[];
export const DEFAULT_POLICY: PolicyKind = "nina";

/** A kind by its name, the address of a server, or the path of a module. */
export type PolicyName = string;

const isKind = (policy: PolicyName): policy is PolicyKind => Object.hasOwn(kinds, policy);
const isAddress = (policy: PolicyName): boolean => /^wss?:/.test(policy);

/** Whether it is a module, which takes every argument of a policy. @throws UsageError for what names no policy. */
export function isModule(policy: PolicyName): boolean {
  if (isKind(policy) || isAddress(policy)) return false;
  if (/[/\\]|\.[cm]?[jt]s$/.test(policy)) return true;
  const expected = `${policyKinds.join(", ")}, ws://host:port, or a module such as ./mine.ts`;
  throw new UsageError(`--policy: expected ${expected}, got ${JSON.stringify(policy)}`);
}

/** Loads what all episodes of a run share: weights, a recording, a connection, a module. */
export async function loadPolicy(policy: PolicyName, files: PolicyFiles): Promise<PolicySource> {
  if (isModule(policy)) return (await import("./module.ts")).modulePolicy(policy, files);
  if (isKind(policy)) return kinds[policy](files);
  return (await import("./remote.ts")).remotePolicy(policy);
}
