import { refuse, sameShape, showShape, type Tensor } from "../core/index.ts";

/** What becomes of the losses of all entries: their mean, their sum, or nothing. */
export type Reduction = "mean" | "sum" | "none";

export interface LossOptions {
  /** "mean" unless given. */
  readonly reduction?: Reduction;
}

/** The losses reduced. */
export function reduced(losses: Tensor, reduction: Reduction | undefined, who: string): Tensor {
  switch (reduction ?? "mean") {
    case "mean":
      return losses.mean();
    case "sum":
      return losses.sum();
    case "none":
      return losses;
  }
  return refuse(who, 'reduction to be "mean", "sum" or "none"', reduction);
}

/** Throws unless a target has the shape and the type of what it is compared with: it would be stretched to fit. */
export function checkTarget(input: Tensor, target: Tensor, who: string): void {
  if (sameShape(input.shape, target.shape) && input.dtype === target.dtype) return;
  const [expected, got] = [input, target].map((x) => `${x.dtype} ${showShape(x.shape)}`);
  throw new Error(`${who}: expected a target like the input, ${expected}, got ${got}`);
}
