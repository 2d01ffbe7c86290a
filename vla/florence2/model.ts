import { concat, type Tensor } from "../../core/index.ts";
import { buffer, Embedding, gaussian, LayerNorm, Module, storedAs, weightParameter } from "../../nn/index.ts";
import type { FlorenceConfig } from "./config.ts";
import { TextEncoder } from "./text-encoder.ts";
import { type Observer, tokens, VisionTower } from "./vision.ts";

/** The id of `<pad>`: looked up like any token, never trained. */
const PAD = 1;

/**
 * The encoder half of Florence-2 (arXiv:2311.06242) as FLOWER and NinA use it: camera images and a tokenised prompt in,
 * one sequence of features out. Fields are spelled as in the `microsoft/Florence-2-*` checkpoints; the language
 * decoder and its head are left out.
 */
export class Florence2 extends Module {
  image_projection: Tensor; // (D, d), input-major, no bias; (d, D) when it is sealed
  /** The embedding of the task token `<Flow>`, (1, 1, d). Reference checkpoints lack it: see weights.ts. */
  prompt_embeds: Tensor;
  vision_tower: VisionTower;
  image_proj_norm: LayerNorm;
  image_pos_embed: { row_embeddings: Embedding; column_embeddings: Embedding };
  visual_temporal_embed: { pos_idx_to_embed: Tensor }; // (T, D)
  language_model: { model: { shared: Embedding; encoder: TextEncoder } };
  readonly config: FlorenceConfig;

  constructor(config: FlorenceConfig) {
    super();
    const D = config.dim_embed.at(-1) as number;
    const { d_model, max_pos_embeddings } = config;
    this.config = config;
    this.image_projection = weightParameter([D, d_model], gaussian(D ** -0.5), [1, 0]);
    this.prompt_embeds = buffer([1, 1, d_model], gaussian(0.02));
    this.vision_tower = new VisionTower(config);
    this.image_proj_norm = new LayerNorm(d_model);
    this.image_pos_embed = {
      row_embeddings: new Embedding(max_pos_embeddings, Math.floor(D / 2)),
      column_embeddings: new Embedding(max_pos_embeddings, D - Math.floor(D / 2)),
    };
    this.visual_temporal_embed = {
      pos_idx_to_embed: buffer([config.max_temporal_embeddings, D], cosineTable),
    };
    this.language_model = {
      model: {
        shared: new Embedding(config.vocab_size, d_model, { padding: PAD, large: true }),
        encoder: new TextEncoder(config),
      },
    };
  }

  /**
   * Trains in less memory from now on, or as before: what a convolution, a block or a layer computes on the way is not
   * kept but computed once more on the way back. The gradients are the same, bit for bit; a step takes a third longer.
   * Observers are told nothing from inside blocks.
   */
  checkpoint(on = true): this {
    this.vision_tower.checkpointed = on;
    this.language_model.model.encoder.checkpointed = on;
    return this;
  }

  /**
   * Pixels (B, 3, H, W), normalised, → image tokens (B, 1 + N, d): the mean over the map first, then its N tokens
   * row by row.
   */
  encodeImage(pixels: Tensor, observe?: Observer): Tensor {
    pixels.dims("B 3 H W", "Florence2.encodeImage");
    return this.projectMap(this.vision_tower.forward(pixels.permute([0, 2, 3, 1]), observe));
  }

  /** The vision tower's map (B, h, w, D) → image tokens (B, 1 + h · w, d). */
  projectMap(map: Tensor): Tensor {
    const { B, h, w, D } = map.dims("B h w D", "Florence2.projectMap");
    const limit = this.config.max_pos_embeddings;
    if (h > limit || w > limit) {
      throw new Error(
        `Florence2.projectMap: expected a map of at most ${limit} by ${limit} tokens, got ${h} by ${w}`,
      );
    }
    const columns = this.image_pos_embed.column_embeddings.weight.slice(0, 0, w); // (w, D/2)
    const rows = this.image_pos_embed.row_embeddings.weight.slice(0, 0, h).reshape([h, 1, Math.floor(D / 2)]);
    const place = concat(
      [columns.broadcastTo([h, w, columns.shape[1]]), rows.broadcastTo([h, w, rows.shape[2]])],
      2,
    );
    const time = this.visual_temporal_embed.pos_idx_to_embed.slice(0, 0, 1); // one frame: time 0
    const x = tokens(map.add(place).add(time)); // (B, N, D)
    const pooled = concat([x.mean([1], true), x], 1); // (B, 1 + N, D)
    const transposeB = storedAs(this.image_projection) !== undefined;
    const flat = pooled.reshape([B * pooled.shape[1], D]);
    return this.image_proj_norm
      .forward(flat.matmul(this.image_projection, { transposeB }))
      .reshape([B, pooled.shape[1], this.config.d_model]);
  }

  /** Token ids int32 (B, S) → embeddings (B, S, d). */
  embedTokens(ids: Tensor): Tensor {
    return this.language_model.model.shared.forward(ids);
  }

  /**
   * Features (B, S, d) of the cameras' images, (B, 3, H, W) each, and a prompt (B, L), S = 2 (1 + N) + 1 + L for two:
   * the tokens of the first image, of the second, the task token, the text. Padding in the prompt takes part like any
   * token, as in the reference.
   */
  forward(images: readonly Tensor[], ids: Tensor, observe?: Observer): Tensor {
    return this.encode(this.encodeImages(images, observe), ids, observe);
  }

  /**
   * Tokens (B, 1 + N, d) of each camera's images (B, 3, H, W). All go through the vision tower as one batch: each
   * weight is read once for all of them.
   */
  encodeImages(images: readonly Tensor[], observe?: Observer): Tensor[] {
    const B = images[0].shape[0];
    /** What belongs to each image of a batch of all. */
    const perImage = (x: Tensor): Tensor[] => images.map((_, i) => x.slice(0, i * B, (i + 1) * B));
    const encoded = this.encodeImage(
      concat(images, 0),
      observe &&
        ((name, value) => {
          for (const [i, own] of perImage(value).entries()) observe(`img${i + 1}.${name}`, own);
        }),
    );
    const features = perImage(encoded);
    for (const [i, own] of features.entries()) observe?.(`image_features.${i + 1}`, own);
    return features;
  }

  /** Features (B, S, d) of the cameras' tokens, as `encodeImages` gives them, and a prompt (B, L). */
  encode(features: readonly Tensor[], ids: Tensor, observe?: Observer): Tensor {
    const { B } = ids.dims("B L", "Florence2");
    const prompt = this.prompt_embeds.broadcastTo([B, 1, this.config.d_model]);
    const merged = concat([...features, prompt, this.embedTokens(ids)], 1);
    observe?.("merged_embeds", merged);
    const out = this.language_model.model.encoder.forward(merged, observe);
    observe?.("encoder_output", out);
    return out;
  }
}

/** Row t of the temporal table: sin(t / 10000^(2i/D)) on even channels 2i, cos of the same on odd ones. */
export function cosineTable(table: Tensor): void {
  const [, D] = table.shape;
  const value = (t: number, c: number): number => {
    const angle = t * 10_000 ** (-(c - (c % 2)) / D);
    return c % 2 === 0 ? Math.sin(angle) : Math.cos(angle);
  };
  table.write(Float64Array.from({ length: table.size }, (_, i) => value(Math.floor(i / D), i % D)));
}
