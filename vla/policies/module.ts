import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { importUserModule } from "../../cli/index.ts";
import { checkFunction, printable, refuse } from "../../core/index.ts";
import { fileDigest } from "../file-digest.ts";
import type { PolicyFiles } from "./index.ts";
import type { Policy } from "./policy.ts";
import { type EpisodeKey, endPolicies, type PolicySource } from "./source.ts";

/** What a module for `--policy ./mine.ts` exports as its default. It is called once for a run. */
export type PolicyModule = (files: PolicyFiles) => PolicySource | Promise<PolicySource>;

/** The policy of a module. @throws Error in one line that names the module, when it does not keep to `PolicyModule`. */
export async function modulePolicy(module: string, files: PolicyFiles): Promise<PolicySource> {
  const source = await called(module, files);
  const who = `--policy ${module}`;
  if (typeof source !== "object" || source === null) refuse(who, "a policy source", source);
  const own = source as PolicySource;
  const { name, untrained, cameraSize, hasDensity, sampling, device, digest } = own;
  if (typeof name !== "string" || name === "") refuse(who, "a source whose name is text", name);
  if (typeof untrained !== "boolean") refuse(who, "a source whose untrained is true or false", untrained);
  if (typeof hasDensity !== "boolean") refuse(who, "a source whose hasDensity is true or false", hasDensity);
  if (cameraSize !== null && !(Number.isInteger(cameraSize) && cameraSize > 0 && cameraSize <= 4096))
    refuse(who, "a source whose cameraSize is null or 1 to 4096 pixels", cameraSize);
  checkFunction(own.forEpisode, who, "forEpisode");
  return {
    name,
    untrained,
    cameraSize,
    hasDensity,
    sampling,
    device,
    digest: digest ?? fileDigest(resolve(module)),
    // Its methods stay its own: a source may be an object of a class.
    forEpisode: (key) => policyOf(who, own, key),
    [Symbol.asyncDispose]: () => endPolicies(own),
  };
}

function policyOf(who: string, source: PolicySource, key: EpisodeKey): Policy {
  const policy: unknown = source.forEpisode(key);
  const { reset, act } = (policy ?? {}) as Partial<Policy>;
  if (typeof reset !== "function" || typeof act !== "function")
    refuse(who, "forEpisode to give a policy with reset and act", policy);
  return policy as Policy;
}

/** What the module's function gives. */
async function called(module: string, files: PolicyFiles): Promise<unknown> {
  const file = resolve(module);
  if (!existsSync(file)) throw new Error(`--policy ${module}: expected a module, found no file`);
  try {
    const { default: make } = await importUserModule(file);
    if (typeof make === "function") return await (make as PolicyModule)(files);
    return refuse("default export", "a function that gives a policy source", make);
  } catch (cause) {
    const { message } = cause instanceof Error ? cause : { message: String(cause) };
    throw new Error(`--policy ${module}: ${printable(message.replaceAll(/\s+/g, " "), 600)}`, { cause });
  }
}
