import { concat, type Tensor } from "../../core/index.ts";
import { Dropout, Embedding, LayerNorm, Linear, Module, recomputed, storedAs } from "../../nn/index.ts";
import type { FlorenceConfig } from "./config.ts";
import type { Observer } from "./vision.ts";

/** Positions start at this row of the table; the rows before it are never used (a habit of BART). */
const FIRST_POSITION = 2;

/**
 * Multi-head self-attention with four separate projections, as BART stores them: (B, S, d) → same. Three of them run as
 * one product where their weights can be joined, which sealed ones cannot.
 */
class SelfAttention extends Module {
  k_proj: Linear;
  v_proj: Linear;
  q_proj: Linear;
  out_proj: Linear;
  readonly heads: number;
  readonly dropout: Dropout;

  constructor(features: number, heads: number, dropout: number) {
    super();
    this.k_proj = new Linear(features, features);
    this.v_proj = new Linear(features, features);
    this.q_proj = new Linear(features, features);
    this.out_proj = new Linear(features, features);
    this.heads = heads;
    this.dropout = new Dropout(dropout);
  }

  forward(x: Tensor): Tensor {
    const projections = [this.q_proj, this.k_proj, this.v_proj];
    const dropout = this.dropout.active ?? undefined;
    if (storedAs(this.q_proj.weight)) {
      const [q, k, v] = projections.map((part) => part.forward(x));
      return this.out_proj.forward(q.attention(k, v, { heads: this.heads, width: x.shape[2], dropout }));
    }
    const weight = concat(
      projections.map((part) => part.weight),
      0,
    );
    const bias = concat(
      projections.map((part) => part.bias as Tensor),
      0,
    );
    const packed = x.linear(weight, bias); // (B, S, 3 d)
    const d = x.shape[2];
    const options = { heads: this.heads, width: d, keysAt: d, valuesAt: 2 * d };
    return this.out_proj.forward(packed.attention(packed, packed, { ...options, dropout }));
  }
}

/** One post-norm layer: x = LN(x + attention(x)), x = LN(x + ffn(x)). */
class EncoderLayer extends Module {
  self_attn: SelfAttention;
  self_attn_layer_norm: LayerNorm;
  fc1: Linear;
  fc2: Linear;
  final_layer_norm: LayerNorm;
  readonly dropout: Dropout;

  constructor(config: FlorenceConfig) {
    super();
    const { d_model, encoder_ffn_dim, encoder_attention_heads, dropout } = config;
    this.self_attn = new SelfAttention(d_model, encoder_attention_heads, dropout);
    this.self_attn_layer_norm = new LayerNorm(d_model);
    this.fc1 = new Linear(d_model, encoder_ffn_dim);
    this.fc2 = new Linear(encoder_ffn_dim, d_model);
    this.final_layer_norm = new LayerNorm(d_model);
    this.dropout = new Dropout(dropout);
  }

  forward(x: Tensor): Tensor {
    const drop = (y: Tensor): Tensor => this.dropout.forward(y);
    const attended = this.self_attn_layer_norm.forward(x.add(drop(this.self_attn.forward(x))));
    const fed = this.fc2.forward(drop(this.fc1.forward(attended).gelu()));
    return this.final_layer_norm.forward(attended.add(drop(fed)));
  }
}

/**
 * The encoder of BART (arXiv:1910.13461) on given input embeddings: (B, S, d) → (B, S, d), every token sees every
 * token.
 */
export class TextEncoder extends Module {
  embed_positions: Embedding;
  layernorm_embedding: LayerNorm;
  layers: EncoderLayer[];
  readonly dropout: Dropout;
  /** See `Florence2.checkpoint`. */
  checkpointed = false;

  constructor(config: FlorenceConfig) {
    super();
    this.embed_positions = new Embedding(config.max_position_embeddings + FIRST_POSITION, config.d_model);
    this.layernorm_embedding = new LayerNorm(config.d_model);
    this.layers = Array.from({ length: config.encoder_layers }, () => new EncoderLayer(config));
    this.dropout = new Dropout(config.dropout);
  }

  /** Throws when the sequence is longer than there are positions. */
  forward(embeds: Tensor, observe: Observer = () => {}): Tensor {
    const { S } = embeds.dims("B S d", "TextEncoder");
    const limit = this.embed_positions.weight.shape[0] - FIRST_POSITION;
    if (S > limit) throw new Error(`TextEncoder: expected at most ${limit} tokens, got ${S}`);
    const positions = this.embed_positions.weight.slice(0, FIRST_POSITION, FIRST_POSITION + S); // (S, d)
    let x = this.layernorm_embedding.forward(embeds.add(positions));
    observe("text.layernorm_embedding", x);
    x = this.dropout.forward(x);
    this.layers.forEach((layer, i) => {
      x = this.checkpointed ? recomputed(layer, (y) => layer.forward(y), x) : layer.forward(x);
      observe(`text.layers.${i}`, x);
    });
    return x;
  }
}
