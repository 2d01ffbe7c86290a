import { cpu, type Device, type WeightFormat } from "../../core/index.ts";
import { checkpointDigest, loadCheckpoint, type SamplingConfig } from "../checkpoint.ts";
import { deviceInfo } from "../device-info.ts";
import { basename } from "../platform/node.ts";
import { NinaModel } from "./nina-model.ts";
import type { PolicySource } from "./source.ts";

/**
 * A checkpoint folder, whatever its decoder; its weights serve every episode.
 *
 * @param overrides what is not to be sampled as the checkpoint says
 * @param device what computes
 * @param weights what the encoder's weights are kept as
 */
export function ninaPolicy(
  dir: string,
  overrides: Partial<SamplingConfig> = {},
  device: Device = cpu,
  weights: WeightFormat = "float32",
): PolicySource {
  const checkpoint = loadCheckpoint(dir, weights);
  checkpoint.florence.to(device);
  checkpoint.decoder.to(device);
  const { decoder, perception, untrained } = checkpoint.config;
  const sampling = { ...checkpoint.config.sampling, ...overrides };
  if (sampling.actionsPerQuery > decoder.steps) {
    throw new Error(
      `checkpoint ${dir}: expected at most ${decoder.steps} actions per query, as many as it plans, ` +
        `got ${sampling.actionsPerQuery}`,
    );
  }
  const model = new NinaModel(`nina ${basename(dir)}`, checkpoint, sampling);
  return {
    name: model.name,
    digest: checkpointDigest(dir),
    untrained,
    cameraSize: perception.cameraSize,
    sampling,
    device: deviceInfo(device),
    hasDensity: checkpoint.decoder.logProbTerms !== undefined,
    forEpisode({ instruction }) {
      model.prepare(instruction);
      return model.policy();
    },
    [Symbol.dispose]: () => model[Symbol.dispose](),
  };
}
