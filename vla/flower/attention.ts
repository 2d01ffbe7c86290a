import type { Tensor } from "../../core/index.ts";
import { buffer, Dropout, Linear, Module, type RMSNorm, rotaryTables, rotate } from "../../nn/index.ts";
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
      throw new Error(`CausalSelfAttention: expected a divisor of ${width} features, got ${heads} heads`);
    const head = width / heads;
    if (rotary) {
      if (head % 2 !== 0)
        throw new Error(
          `CausalSelfAttention: expected heads of even width for rotary positions, got ${head}`,
        );
      const tables = rotaryTables(rotary.length, head, rotary.theta);
      this.cos = buffer([rotary.length, head / 2], (cos) => cos.write(tables.cos));
      this.sin = buffer([rotary.length, head / 2], (sin) => sin.write(tables.sin));
    }
    this.qkv = new Linear(width, 3 * width, { bias: false });
    this.proj = new Linear(width, width, { bias: false });
    this.q_norm = makeNorm(norm, head);
    this.k_norm = makeNorm(norm, head);
    this.heads = heads;
    this.dropout = new Dropout(dropout);
  }

  /** (B, T, D) → (B, T, D) */
  forward(x: Tensor): Tensor {
    const { B, T, D } = x.dims("B T D", "CausalSelfAttention");
    const packed = this.qkv.forward(x); // (B, T, 3 D)
    const [q, k] = [this.q_norm, this.k_norm].map((norm, i) => {
      const heads = packed.slice(2, i * D, (i + 1) * D).reshape([B, T, this.heads, D / this.heads]);
      return this.#turn(norm.forward(heads)).reshape([B, T, D]);
    });
    const options = { heads: this.heads, valuesAt: 2 * D, causal: true };
    const out = q.attention(k, packed, { ...options, dropout: this.dropout.active ?? undefined });
    return this.dropout.forward(this.proj.forward(out));
  }

  /** x (B, T, heads, d) → same */
  #turn(x: Tensor): Tensor {
    const { cos, sin } = this;
    if (!cos || !sin) return x;
    const [, T, , d] = x.shape;
    const [c, s] = [cos, sin].map((table) => table.slice(0, 0, T).reshape([T, 1, d / 2]));
    return rotate(x, c, s);
  }
}

/** Keys and values of the context, (B, S, D): they do not change while actions are being refined. */
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
    const keys = this.#normal(this.k_norm, this.k_proj.forward(context));
    return { keys, values: this.v_proj.forward(context) };
  }

  /** x (B, T, D) attends to the remembered context → (B, T, D) */
  forward(x: Tensor, { keys, values }: Memory): Tensor {
    const q = this.#normal(this.q_norm, this.q_proj.forward(x));
    const dropout = this.dropout.active ?? undefined;
    const out = q.attention(keys, values, { heads: this.heads, dropout });
    return this.dropout.forward(this.proj.forward(out));
  }

  /** Normalises each head of the rows: (B, T, D) → same. */
  #normal(norm: RMSNorm, x: Tensor): Tensor {
    const { B, T, D } = x.dims("B T D", "CrossAttention");
    return norm.forward(x.reshape([B, T, this.heads, D / this.heads])).reshape([B, T, D]);
  }
}
