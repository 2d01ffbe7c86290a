import type { Tensor } from "../../core/index.ts";
import { Lambda, Linear, Module, type RMSNorm, Sequential, SwiGlu } from "../../nn/index.ts";
import {
  type AttentionConfig,
  CausalSelfAttention,
  CrossAttention,
  type Memory,
  type Rotary,
} from "./attention.ts";
import { makeNorm } from "./norm.ts";

export interface BlockConfig extends AttentionConfig {
  /** null: positions are added to the tokens instead, once, before the first block. */
  readonly rotary: Rotary | null;
  /** Without it the actions are generated unconditionally. */
  readonly crossAttention: boolean;
}

/** Width of the bottleneck in each block's own modulation. */
const BOTTLENECK = 256;

/**
 * One layer of FLOWER's diffusion transformer (arXiv:2509.04996). Self-attention and feed-forward are shifted, scaled
 * and gated by the time step; the cross-attention between them is not:
 *   x ← x + gate₁ ⊙ SA((1 + scale₁) ⊙ norm₁(x) + shift₁)
 *   x ← x + CA(norm₂(x), context)
 *   x ← x + gate₂ ⊙ MLP((1 + scale₂) ⊙ norm₃(x) + shift₂)
 * Without cross-attention the second line is absent and the third uses norm₂.
 */
export class DitBlock extends Module {
  norm1: RMSNorm;
  norm2: RMSNorm;
  norm3: RMSNorm | null;
  self_attn: CausalSelfAttention;
  cross_attn: CrossAttention | null;
  mlp: SwiGlu;
  adaLN_modulation: Sequential;

  constructor(config: BlockConfig) {
    super();
    const { width, norm, crossAttention, rotary, dropout } = config;
    this.norm1 = makeNorm(norm, width);
    this.norm2 = makeNorm(norm, width);
    this.norm3 = crossAttention ? makeNorm(norm, width) : null;
    this.self_attn = new CausalSelfAttention(config, rotary);
    this.cross_attn = crossAttention ? new CrossAttention(config) : null;
    this.mlp = new SwiGlu(width, hiddenWidth(width), { dropout });
    this.adaLN_modulation = new Sequential(
      new Lambda((g) => g.silu()),
      new Linear(width, BOTTLENECK),
      new Linear(BOTTLENECK, 6 * width),
    );
  }

  /**
   * x (B, T, D); g (B or 1, D) embeds the time; shared (B or 1, 6 D) is the modulation common to all blocks; memory
   * where the block has cross-attention → (B, T, D)
   */
  forward(x: Tensor, { g, shared, memory }: BlockContext): Tensor {
    const { B, D } = g.dims("B D", "DitBlock: time embedding");
    const modulation = this.adaLN_modulation
      .forward(g)
      .add(shared)
      .reshape([B, 1, 6 * D]);
    const [shift1, scale1, gate1, shift2, scale2, gate2] = modulation.chunk(6, -1); // (B or 1, 1, D)
    const modulate = (y: Tensor, shift: Tensor, scale: Tensor): Tensor => y.mul(scale.shift(1)).add(shift);

    const attended = this.self_attn.forward(modulate(this.norm1.forward(x), shift1, scale1));
    let y = x.add(attended.mul(gate1));
    if (this.cross_attn && memory) y = y.add(this.cross_attn.forward(this.norm2.forward(y), memory));
    const last = this.norm3 ?? this.norm2;
    return y.add(this.mlp.forward(modulate(last.forward(y), shift2, scale2)).mul(gate2));
  }
}

/** What a block sees besides the tokens. */
export interface BlockContext {
  readonly g: Tensor;
  readonly shared: Tensor;
  readonly memory?: Memory;
}

/** ⌊8 D / 3⌋ rounded up to a multiple of 256. */
const hiddenWidth = (width: number): number => 256 * Math.ceil(Math.floor((8 * width) / 3) / 256);
