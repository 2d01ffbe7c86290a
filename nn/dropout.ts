import {
  checkFunction,
  checkShare,
  checkTensor,
  Random,
  type RandomState,
  refuse,
  type Tensor,
} from "../core/index.ts";
import { Module } from "./module.ts";

/** Whose numbers become masks; null outside `withMasks`. */
let masks: Random | null = null;

/**
 * Runs `body`, a forward pass in training mode, with dropout masks drawn from `random`: the next numbers of the stream
 * for each mask. Restore the stream and the same masks come again. null: a layer that wants a mask throws.
 */
export function withMasks<T>(random: Random | null, body: () => T): T {
  if (random !== null && !(random instanceof Random)) refuse("withMasks", "a Random or null", random);
  checkFunction(body, "withMasks", "body");
  const before = masks;
  masks = random;
  try {
    return body();
  } finally {
    masks = before;
  }
}

/** f, whose later calls draw the masks of its first call again, from the same stream of random numbers. */
export function withSameMasks<X extends unknown[], Y>(f: (...xs: X) => Y): (...xs: X) => Y {
  let first: { readonly stream: Random | null; readonly state: RandomState | null } | null = null;
  return (...xs) => {
    if (!first) {
      first = { stream: masks, state: masks?.state ?? null };
      return f(...xs);
    }
    const { stream, state } = first;
    if (!stream || !state) return f(...xs);
    const now = stream.state;
    stream.restore({ ...state, round: now.round });
    try {
      return withMasks(stream, () => f(...xs));
    } finally {
      stream.restore(now);
    }
  };
}

/**
 * Zeroes numbers with probability p (rounded to a multiple of 2⁻¹⁶) and scales the rest by 1/(1 − p) while training;
 * does nothing otherwise. The masks come from the stream that `withMasks` names.
 */
export class Dropout extends Module {
  readonly p: number;

  constructor(p: number) {
    super();
    checkShare(p, "Dropout", "a probability");
    this.p = p;
  }

  /** What is dropped, and with which random numbers; null while nothing is. */
  get active(): { readonly p: number; readonly random: Random } | null {
    if (!this.training || this.p === 0) return null;
    if (masks) return { p: this.p, random: masks };
    throw new Error(
      "Dropout: expected a stream of masks while training, got none: call the model inside " +
        "withMasks(random, () => …), or give `masks` to TrainingStep",
    );
  }

  forward(x: Tensor): Tensor {
    checkTensor(x, "Dropout");
    const { active } = this;
    return active ? x.dropout(active.p, active.random) : x;
  }
}
