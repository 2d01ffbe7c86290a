import {
  checkInteger,
  checkOptions,
  checkShare,
  checkTensor,
  refuse,
  sameShape,
  showShape,
  type Tensor,
} from "../core/index.ts";
import { checkTarget, type LossOptions, reduced } from "./reduction.ts";

/** log softmax(x) over the last axis, without overflow: x − log Σ eˣ. */
export function logSoftmax(x: Tensor): Tensor {
  checkTensor(x, "logSoftmax");
  return x.sub(x.logSumExp([-1], true));
}

export interface NllOptions extends LossOptions {
  /** A class that stands for none: entries of it have loss 0 and are left out of the mean. None unless given. */
  readonly ignoreIndex?: number;
}

/**
 * The negative log-likelihood of classes: −log p at the place that each class says. log p (…, C), int32 classes (…) →
 * (…), reduced. (PyTorch has the classes along axis 1, here they are along the last, as channels are.)
 */
export function nllLoss(logP: Tensor, classes: Tensor, options: NllOptions = {}): Tensor {
  checkOptions(options, ["reduction", "ignoreIndex"], "nllLoss");
  return ofClasses(logP, classes, options, 0, "nllLoss");
}

export interface CrossEntropyOptions extends NllOptions {
  /**
   * ε in [0, 1): of the target so much is spread evenly over all classes (arXiv:1512.00567, section 7). 0 unless given.
   */
  readonly labelSmoothing?: number;
}

/**
 * The cross-entropy −Σ q log softmax(x) over the last axis of logits x (…, C). The target is int32 classes (…), or
 * probabilities q (…, C) of the logits' dtype. → (…), reduced.
 */
export function crossEntropy(x: Tensor, target: Tensor, options: CrossEntropyOptions = {}): Tensor {
  const who = "crossEntropy";
  checkTensor(x, who);
  checkTensor(target, who, "a target that is a tensor");
  checkOptions(options, ["reduction", "ignoreIndex", "labelSmoothing"], who);
  const { reduction, ignoreIndex, labelSmoothing: smoothing = 0 } = options;
  checkShare(smoothing, who, "labelSmoothing");
  const logP = logSoftmax(x);
  if (target.dtype === "int32") return ofClasses(logP, target, options, smoothing, who);
  if (ignoreIndex !== undefined) refuse(who, "no ignoreIndex where the target is probabilities", ignoreIndex);
  checkTarget(x, target, who);
  const losses = target.mul(logP).sum([-1]).neg();
  return reduced(smoothed(losses, logP, smoothing), reduction, who);
}

function ofClasses(
  logP: Tensor,
  classes: Tensor,
  { reduction, ignoreIndex }: NllOptions,
  smoothing: number,
  who: string,
): Tensor {
  checkTensor(logP, who);
  checkTensor(classes, who, "classes to be a tensor");
  if (classes.dtype !== "int32" || !sameShape(classes.shape, logP.shape.slice(0, -1))) {
    const got = `${classes.dtype} ${showShape(classes.shape)}`;
    throw new Error(`${who}: expected int32 classes ${showShape(logP.shape.slice(0, -1))}, got ${got}`);
  }
  const at = (places: Tensor): Tensor =>
    logP
      .gather(-1, places.reshape([...places.shape, 1]))
      .reshape(places.shape)
      .neg();
  if (ignoreIndex === undefined) return reduced(smoothed(at(classes), logP, smoothing), reduction, who);
  checkInteger(ignoreIndex, -(2 ** 31), who, "ignoreIndex", 2 ** 31 - 1);
  const counts = classes.ne(ignoreIndex);
  const kept = counts.cast(logP.dtype);
  // An ignored class need not exist: the first stands for it.
  const losses = smoothed(at(classes.mul(counts)), logP, smoothing).mul(kept);
  if ((reduction ?? "mean") === "mean") return losses.sum().div(kept.sum());
  return reduced(losses, reduction, who);
}

/** The losses for a target of which the share ε is spread over all classes: (1 − ε) loss − ε mean log p. */
const smoothed = (losses: Tensor, logP: Tensor, smoothing: number): Tensor =>
  smoothing === 0 ? losses : losses.scale(1 - smoothing).sub(logP.mean([-1]).scale(smoothing));
