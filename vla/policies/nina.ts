import { basename } from "node:path";
import { loadCheckpoint } from "../nina/checkpoint.ts";
import { NinaPolicy } from "../nina/policy.ts";
import type { PolicySource } from "./source.ts";

/** A NinA checkpoint folder; its weights serve every episode. */
export function ninaPolicy(dir: string): PolicySource {
  const checkpoint = loadCheckpoint(dir);
  const policy = new NinaPolicy(`nina ${basename(dir)}`, checkpoint);
  return { name: policy.name, untrained: checkpoint.config.untrained, forEpisode: () => policy };
}
