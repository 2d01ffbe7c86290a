import type { Tensor } from "../../core/index.ts";
import {
  attend,
  buffer,
  Dropout,
  joinHeads,
  Linear,
  Module,
  type RMSNorm,
  rotaryTables,
  rotate,
  splitHeads,
} from "../../nn/index.ts";
import { makeNorm, type NormForm } from "./norm.ts";

/** Positions as rotations of queries and keys. */
export interface Rotary {
  /** Base of the geometric fall of the frequencies. */
  readonly theta: number;
  /** Rows of the stored tables: the longest sequence that can be turned. */
  readonly length: number;
}

export interface AttentionConfig {
  /** Width of the tokens, D. */
  readonly width: number;
  readonly heads: number;
  readonly norm: NormForm;
  /** Training only: on attention weights and on outputs. */
  readonly dropout: number;
}

/** Attention of the action tokens to themselves and what came before them; queries and keys are normalised per head. */
export class CausalSelfAttention extends Module {
  cos: Tensor | null = null; // (length, D / heads / 2)
  sin: Tensor | null = null;
  qkv: Linear;
  proj: Linear;
  q_norm: RMSNorm;
  k_norm: RMSNorm;
  readonly heads: number;
  readonly dropout: Dropout;

  constructor({ width, heads, norm, dropout }: AttentionConfig, rotary: Rotary | null) {
    super();
    if (width % heads !== 0)
      throw new Error(`CausalSelfAttention: ${heads} heads do not divide ${width} features`);
    const head = width / heads;
    if (rotary) {
      if (head % 2 !== 0)
        throw new Error(`CausalSelfAttention: rotary positions need heads of even width, got ${head}`);
      const tables = rotaryTables(rotary.length, head, rotary.theta);
      this.cos = buffer([rotary.length, head / 2], (cos) => cos.data.set(tables.cos));
      this.sin = buffer([rotary.length, head / 2], (sin) => sin.data.set(tables.sin));
    }
    this.qkv = new Linear(width, 3 * width, { bias: false });
    this.proj = new Linear(width, width, { bias: false });
    this.q_norm = makeNorm(norm, head);
    this.k_norm = makeNorm(norm, head);
    this.heads = heads;
    this.dropout = new Dropout(dropout);
  }

  /** x (B, T, D), mask (T, T) added to the attention logits → (B, T, D) */
  forward(x: Tensor, mask: Tensor): Tensor {
    const [q, k, v] = this.qkv
      .forward(x)
      .chunk(3, -1)
      .map((part) => splitHeads(part, this.heads)); // (B, heads, T, d)
    const [turnedQ, turnedK] = [this.q_norm.forward(q), this.k_norm.forward(k)].map((part) =>
      this.#turn(part),
    );
    const scale = 1 / Math.sqrt(q.shape[3]);
    const out = attend(turnedQ, turnedK, v, scale, { bias: mask, dropout: this.dropout });
    return this.dropout.forward(this.proj.forward(joinHeads(out)));
  }

  #turn(x: Tensor): Tensor {
    const { cos, sin } = this;
    if (!cos || !sin) return x;
    const T = x.shape[2];
    return rotate(x, cos.slice(0, 0, T), sin.slice(0, 0, T));
  }
}

/** Keys and values of the context, (B, heads, S, d): they do not change while actions are being refined. */
export interface Memory {
  readonly keys: Tensor;
  readonly values: Tensor;
}

/** Attention of the action tokens to the context, without positions or mask. */
export class CrossAttention extends Module {
  q_proj: Linear;
  k_proj: Linear;
  v_proj: Linear;
  proj: Linear;
  q_norm: RMSNorm;
  k_norm: RMSNorm;
  readonly heads: number;
  readonly dropout: Dropout;

  constructor({ width, heads, norm, dropout }: AttentionConfig) {
    super();
    const square = (): Linear => new Linear(width, width, { bias: false });
    this.q_proj = square();
    this.k_proj = square();
    this.v_proj = square();
    this.proj = square();
    this.q_norm = makeNorm(norm, width / heads);
    this.k_norm = makeNorm(norm, width / heads);
    this.heads = heads;
    this.dropout = new Dropout(dropout);
  }

  /** Context (B, S, D) → its keys and values. */
  remember(context: Tensor): Memory {
    const keys = splitHeads(this.k_proj.forward(context), this.heads);
    const values = splitHeads(this.v_proj.forward(context), this.heads);
    return { keys: this.k_norm.forward(keys), values };
  }

  /** x (B, T, D) attends to the remembered context → (B, T, D) */
  forward(x: Tensor, { keys, values }: Memory): Tensor {
    const q = this.q_norm.forward(splitHeads(this.q_proj.forward(x), this.heads)); // (B, heads, T, d)
    const out = attend(q, keys, values, 1 / Math.sqrt(q.shape[3]), { dropout: this.dropout });
    return this.dropout.forward(this.proj.forward(joinHeads(out)));
  }
}
