import type { Tensor } from "../../../core/index.ts";
import type { Flow } from "../../../flows/index.ts";
import type { Decoder } from "../../../vla/decoder.ts";
import { MlpDecoder, mlpFlow } from "../../../vla/nina/mlp.ts";
import { MseDecoder, MseNet } from "../../../vla/nina/mse.ts";
import { TransformerDecoder, transformerFlow } from "../../../vla/nina/transformer.ts";

/** A flow's configuration in the reference's spelling; what is absent has the reference's default. */
export interface FlowConfig {
  readonly backbone: string;
  readonly act_window_size: number;
  readonly action_dim: number;
  readonly cond_dim: number;
  readonly num_layers: number;
  readonly affine_dim: number;
  readonly use_plu?: boolean;
  readonly n_heads?: number;
  readonly block_depth?: number;
}

/** An agent's: the flow behind a projection of encoder features. */
export interface AgentConfig extends FlowConfig {
  readonly feature_dim: number;
  readonly action_noise_mult: number;
}

/** How to build the flow of a configuration; undefined for a backbone that the product does not have. */
export function flowOf(config: FlowConfig): (() => Flow) | undefined {
  switch (config.backbone) {
    case "mlp":
      return () => mlpFlow(mlpConfig(config));
    case "trans":
      return () => transformerFlow(transformerConfig(config));
  }
}

/** The same, with the ablation that has no density. */
export const netOf = (config: FlowConfig): (() => Flow | MseNet) | undefined =>
  config.backbone === "mse" ? () => new MseNet(mseConfig(config)) : flowOf(config);

/** What noise becomes, before clamping. */
export const fromNoise = (net: Flow | MseNet, z: Tensor, condition: Tensor): Tensor =>
  net instanceof MseNet ? net.forward(z, condition) : net.inverse(z, condition).out;

/** How to build the decoder of a configuration; undefined for a backbone that the product does not have. */
export function decoderOf(config: AgentConfig): (() => Decoder) | undefined {
  const chunk = { tokenDropout: 0, features: config.feature_dim, actionNoise: config.action_noise_mult };
  switch (config.backbone) {
    case "mlp":
      return () => new MlpDecoder({ ...mlpConfig(config), ...chunk });
    case "trans":
      return () => new TransformerDecoder({ ...transformerConfig(config), ...chunk });
    case "mse":
      return () => new MseDecoder({ ...mseConfig(config), ...chunk });
  }
}

const mlpConfig = (config: FlowConfig) => ({
  steps: config.act_window_size,
  actionWidth: config.action_dim,
  condition: config.cond_dim,
  blocks: config.num_layers,
  width: config.affine_dim,
  plu: config.use_plu ?? true,
});

const transformerConfig = (config: FlowConfig) => ({
  ...mlpConfig(config),
  heads: config.n_heads ?? 8,
  depth: config.block_depth ?? 1,
  dropout: 0.1,
});

/** The ablation has the Transformer flow's sizes. */
export const mseConfig = transformerConfig;
