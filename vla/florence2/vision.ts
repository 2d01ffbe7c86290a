import { concat, Tensor } from "../../core/index.ts";
import {
  Conv2d,
  DepthwiseConv2d,
  DropPath,
  LayerNorm,
  Linear,
  Mlp,
  Module,
  recomputed,
} from "../../nn/index.ts";
import type { FlorenceConfig } from "./config.ts";

/** Called with intermediate results under the names of the reference's goldens; for tests and study. */
export type Observer = (name: string, value: Tensor) => void;

/** The start of a stage: a strided convolution, normalised before or after. Maps (B, H, W, C) → (B, h, w, C'). */
class ConvEmbed extends Module {
  proj: Conv2d;
  norm: LayerNorm;
  readonly prenorm: boolean;

  constructor(config: FlorenceConfig, stage: number) {
    super();
    const inputs = stage === 0 ? 3 : config.dim_embed[stage - 1];
    const outputs = config.dim_embed[stage];
    this.prenorm = config.patch_prenorm[stage];
    this.proj = new Conv2d(inputs, outputs, {
      kernel: config.patch_size[stage],
      stride: config.patch_stride[stage],
      padding: config.patch_padding[stage],
    });
    this.norm = new LayerNorm(this.prenorm ? inputs : outputs);
  }

  forward(x: Tensor): Tensor {
    return this.prenorm ? this.proj.forward(this.norm.forward(x)) : this.norm.forward(this.proj.forward(x));
  }
}

/**
 * Self-attention inside windows of 12 × 12 tokens, row by row (DaViT, arXiv:2204.03645).
 *
 * The reference pads the map with zeros to whole windows and lets the pad tokens take part. All of them have the
 * same key and value, the biases of `qkv`, so here a window of n real tokens gets one extra key with the logit
 * raised by ln(144 − n): the same result without computing the padding.
 */
export class WindowAttention extends Module {
  qkv: Linear;
  proj: Linear;
  readonly heads: number;
  readonly window: number;

  constructor(features: number, heads: number, window: number) {
    super();
    this.qkv = new Linear(features, 3 * features);
    this.proj = new Linear(features, features);
    this.heads = heads;
    this.window = window;
  }

  forward(x: Tensor): Tensor {
    const { H, W } = x.dims("B H W C", "WindowAttention");
    const qkv = this.qkv.forward(x); // (B, H, W, 3 C)
    const bands = cut(H, this.window).map((rows) => {
      const band = part(qkv, 1, rows);
      const regions = cut(W, this.window).map((columns) =>
        this.#attendRegion(part(band, 2, columns), rows.window, columns.window),
      );
      return joined(regions, 2);
    });
    return this.proj.forward(joined(bands, 1));
  }

  /** A region that consists of whole windows of h × w real tokens: (B, H, W, 3 C) → (B, H, W, C). */
  #attendRegion(qkv: Tensor, h: number, w: number): Tensor {
    const { B, H, W, C3 } = qkv.dims("B H W C3", "WindowAttention");
    const [rows, columns, C, n] = [H / h, W / w, C3 / 3, h * w];
    const tokens = qkv
      .reshape([B, rows, h, columns, w, C3])
      .permute([0, 1, 3, 2, 4, 5])
      .reshape([B * rows * columns, n, C3]);
    const pads = this.window ** 2 - n;
    const attended = pads === 0 ? this.#attend(tokens) : this.#attendPadded(tokens, pads);
    return attended.reshape([B, rows, columns, h, w, C]).permute([0, 1, 3, 2, 4, 5]).reshape([B, H, W, C]);
  }

  /** (windows, n, 3 C) → (windows, n, C) */
  #attend(tokens: Tensor, bias?: Tensor): Tensor {
    const C = tokens.shape[2] / 3;
    return tokens.attention(tokens, tokens, {
      heads: this.heads,
      width: C,
      keysAt: C,
      valuesAt: 2 * C,
      bias,
    });
  }

  /** The same in windows to which `pads` tokens are missing: one stands for all, and what it attends to is dropped. */
  #attendPadded(tokens: Tensor, pads: number): Tensor {
    const [windows, n, C3] = tokens.shape;
    const pad = (this.qkv.bias as Tensor).reshape([1, 1, C3]).broadcastTo([windows, 1, C3]);
    const added = Array.from({ length: n + 1 }, (_, i) => (i < n ? 0 : Math.log(pads)));
    const bias = Tensor.from(added, [n + 1], tokens.dtype);
    return this.#attend(concat([tokens, pad], 1), bias).slice(1, 0, n);
  }
}

/** A stretch of an axis; x itself when it is all of it. */
const part = (x: Tensor, axis: number, { start, end }: { start: number; end: number }): Tensor =>
  end - start === x.shape[axis] ? x : x.slice(axis, start, end);

/** Parts side by side; the part itself when there is one. */
const joined = (parts: readonly Tensor[], axis: number): Tensor =>
  parts.length === 1 ? parts[0] : concat(parts, axis);

/** Cuts an axis into the part with whole windows and the rest, one smaller window. */
function cut(length: number, window: number): { start: number; end: number; window: number }[] {
  const whole = length - (length % window);
  const parts = [];
  if (whole > 0) parts.push({ start: 0, end: whole, window });
  if (whole < length) parts.push({ start: whole, end: length, window: length - whole });
  return parts;
}

/**
 * Attention between channels (DaViT): in each group, channels attend to channels over all N tokens, scaled by N^−½,
 * so the scale depends on the image size.
 */
class ChannelAttention extends Module {
  qkv: Linear;
  proj: Linear;
  readonly groups: number;

  constructor(features: number, groups: number) {
    super();
    this.qkv = new Linear(features, 3 * features);
    this.proj = new Linear(features, features);
    this.groups = groups;
  }

  forward(x: Tensor): Tensor {
    const { B, H, W, C } = x.dims("B H W C", "ChannelAttention");
    const tokens = this.qkv.forward(x.reshape([B, H * W, C]));
    const out = tokens.channelAttention(this.groups);
    return this.proj.forward(out.reshape([B, H, W, C]));
  }
}

/** x + dropPath(fn(norm(x))) */
class Residual<Inner extends Module & { forward(x: Tensor): Tensor }> extends Module {
  norm: LayerNorm;
  fn: Inner;
  readonly drop: DropPath;

  constructor(features: number, fn: Inner, dropRate: number) {
    super();
    this.norm = new LayerNorm(features);
    this.fn = fn;
    this.drop = new DropPath(dropRate);
  }

  branch(x: Tensor): Tensor {
    return this.fn.forward(this.norm.forward(x));
  }
}

/** The feed-forward network, under the reference's name `net`. */
class FeedForward extends Module {
  net: Mlp;

  constructor(features: number) {
    super();
    this.net = new Mlp(features, 4 * features);
  }

  forward(x: Tensor): Tensor {
    return this.net.forward(x);
  }
}

/** Depthwise convolution, attention, depthwise convolution, feed-forward, each added to its input. */
abstract class Block extends Module {
  conv1: { fn: { dw: DepthwiseConv2d } };
  conv2: { fn: { dw: DepthwiseConv2d } };
  ffn: Residual<FeedForward>;

  constructor(features: number, dropRate: number) {
    super();
    this.conv1 = { fn: { dw: new DepthwiseConv2d(features) } };
    this.conv2 = { fn: { dw: new DepthwiseConv2d(features) } };
    this.ffn = new Residual(features, new FeedForward(features), dropRate);
  }

  protected run(
    x: Tensor,
    attention: Residual<WindowAttention | ChannelAttention>,
    observe: Observe,
  ): Tensor {
    let y = x.add(this.conv1.fn.dw.forward(x));
    const attended = attention.branch(y);
    observe("attn", attended);
    y = y.add(attention.drop.forward(attended));
    y = y.add(this.conv2.fn.dw.forward(y));
    const fed = this.ffn.branch(y);
    observe("ffn", fed);
    return y.add(this.ffn.drop.forward(fed));
  }
}

type Observe = (branch: "attn" | "ffn", value: Tensor) => void;

class SpatialBlock extends Block {
  window_attn: Residual<WindowAttention>;

  constructor(features: number, heads: number, window: number, dropRate: number) {
    super(features, dropRate);
    this.window_attn = new Residual(features, new WindowAttention(features, heads, window), dropRate);
  }

  forward(x: Tensor, observe: Observe): Tensor {
    return this.run(x, this.window_attn, observe);
  }
}

class ChannelBlock extends Block {
  channel_attn: Residual<ChannelAttention>;

  constructor(features: number, groups: number, dropRate: number) {
    super(features, dropRate);
    this.channel_attn = new Residual(features, new ChannelAttention(features, groups), dropRate);
  }

  forward(x: Tensor, observe: Observe): Tensor {
    return this.run(x, this.channel_attn, observe);
  }
}

/** The DaViT vision tower (arXiv:2204.03645): pixels (B, H, W, 3) → map (B, h, w, D). */
export class VisionTower extends Module {
  convs: ConvEmbed[];
  blocks: { spatial_block: SpatialBlock; channel_block: ChannelBlock }[][];
  /** See `Florence2.checkpoint`. */
  checkpointed = false;

  constructor(config: FlorenceConfig) {
    super();
    this.convs = config.dim_embed.map((_, stage) => new ConvEmbed(config, stage));
    // Drop rates rise evenly from 0 to drop_path_rate over all blocks, spatial and channel alternating.
    const count = 2 * config.depths.reduce((a, b) => a + b, 0);
    let next = 0;
    const rate = (): number => (config.drop_path_rate * next++) / Math.max(1, count - 1);
    this.blocks = config.depths.map((depth, stage) =>
      Array.from({ length: depth }, () => {
        const features = config.dim_embed[stage];
        return {
          spatial_block: new SpatialBlock(features, config.num_heads[stage], config.window_size, rate()),
          channel_block: new ChannelBlock(features, config.num_groups[stage], rate()),
        };
      }),
    );
  }

  forward(pixels: Tensor, observe: Observer = () => {}): Tensor {
    pixels.dims("B H W 3", "VisionTower");
    let x = pixels;
    const through = (
      part: Module & { forward(x: Tensor, observe: Observe): Tensor },
      inside: Observe,
    ): Tensor =>
      this.checkpointed ? recomputed(part, (y) => part.forward(y, () => {}), x) : part.forward(x, inside);
    this.convs.forEach((conv, stage) => {
      x = through(conv, () => {});
      observe(`convs.${stage}`, tokens(x));
      this.blocks[stage].forEach(({ spatial_block, channel_block }, depth) => {
        const name = `blocks.${stage}.${depth}`;
        x = through(spatial_block, (branch, value) =>
          observe(`${name}.${branch === "attn" ? "window_attn" : "spatial_ffn"}`, tokens(value)),
        );
        observe(`${name}.spatial_block`, tokens(x));
        x = through(channel_block, (branch, value) => {
          if (branch === "attn") observe(`${name}.channel_attn`, tokens(value));
        });
        observe(`${name}.channel_block`, tokens(x));
      });
    });
    return x;
  }
}

/** (B, h, w, C) → (B, h · w, C) */
export function tokens(map: Tensor): Tensor {
  const { B, H, W, C } = map.dims("B H W C", "tokens");
  return map.reshape([B, H * W, C]);
}
