import type { ParityCase } from "./case.ts";
import { agentCase } from "./nina/agent.ts";
import { checkpointCase } from "./nina/checkpoint.ts";
import { type FlowCase, flowCase } from "./nina/flow.ts";
import { flowerCase, flowerHashCase } from "./nina/flower.ts";
import { type GoldenCase, readManifest } from "./nina/golden.ts";
import { hashWeightsCase } from "./nina/hash-weights.ts";
import { imageCase } from "./nina/image.ts";
import { mseCase } from "./nina/mse.ts";
import { opsCase } from "./nina/ops.ts";
import { permutationCase } from "./nina/permutation.ts";
import { pluCase } from "./nina/plu.ts";
import { schedulesCase } from "./nina/schedules.ts";

/** How a case of each kind is run; undefined where the product does not compute it. */
const kinds: Readonly<Record<string, (dir: string, one: never) => ParityCase["run"]>> = {
  flow: (dir, one: FlowCase) => (one.config.backbone === "mse" ? mseCase : flowCase)(dir, one),
  flow_hash_weights: hashWeightsCase,
  nina_agent: agentCase,
  flower_dit: flowerCase,
  flower_hash_weights: flowerHashCase,
  plu: pluCase,
  permutation: permutationCase,
  ops: opsCase,
  image: imageCase,
  schedules: schedulesCase,
  checkpoint_layout: checkpointCase,
};

/** Every case that `manifest.json` in `dir` describes. */
export async function cases(dir: string): Promise<ParityCase[]> {
  return readManifest(dir).map((one: GoldenCase) => ({
    name: one.name,
    kind: one.kind,
    run: runnerOf(dir, one),
  }));
}

/** A description that cannot be understood fails its own case, not the others. */
function runnerOf(dir: string, one: GoldenCase): ParityCase["run"] {
  if (!Object.hasOwn(kinds, one.kind)) return undefined;
  try {
    return kinds[one.kind](dir, one as never);
  } catch (error) {
    return () => {
      throw error;
    };
  }
}
