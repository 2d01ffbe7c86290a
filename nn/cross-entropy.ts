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
  /**
   * What a class counts, (C), of the logits' dtype: losses are multiplied by it, and a mean over classes is divided by
   * the sum of what they count. 1 each unless given.
   */
  readonly weight?: Tensor;
}

/**
 * The negative log-likelihood of classes: −log p at the place that each class says. log p (…, C), int32 classes (…) →
 * (…), reduced. (PyTorch has the classes along axis 1, here they are along the last, as channels are.)
 */
export function nllLoss(logP: Tensor, classes: Tensor, options: NllOptions = {}): Tensor {
  checkOptions(options, ["reduction", "ignoreIndex", "weight"], "nllLoss");
  return ofClasses(logP, classes, options, 0, "nllLoss");
}

export interface CrossEntropyOptions extends NllOptions {
  /**
   * ε in [0, 1): of the target so much is spread evenly over all classes (arXiv:1512.00567, section 7). 0 unless given.
   */
  readonly labelSmoothing?: number;
}

/**
 * The cross-entropy −Σ w q log softmax(x) over the last axis of logits x (…, C), with w what each class counts. The
 * target is int32 classes (…), or probabilities q (…, C) of the logits' dtype. → (…), reduced.
 */
export function crossEntropy(x: Tensor, target: Tensor, options: CrossEntropyOptions = {}): Tensor {
  const who = "crossEntropy";
  checkTensor(x, who);
  checkTensor(target, who, "a target that is a tensor");
  checkOptions(options, ["reduction", "ignoreIndex", "weight", "labelSmoothing"], who);
  const { reduction, ignoreIndex, labelSmoothing: smoothing = 0 } = options;
  checkShare(smoothing, who, "labelSmoothing");
  const logP = logSoftmax(x);
  if (target.dtype === "int32") return ofClasses(logP, target, options, smoothing, who);
  if (ignoreIndex !== undefined) refuse(who, "no ignoreIndex where the target is probabilities", ignoreIndex);
  checkTarget(x, target, who);
  const scores = scoresOf(logP, options.weight, who);
  const losses = target.mul(scores).sum([-1]).neg();
  return reduced(smoothed(losses, scores, smoothing), reduction, who);
}

function ofClasses(
  logP: Tensor,
  classes: Tensor,
  { reduction, ignoreIndex, weight }: NllOptions,
  smoothing: number,
  who: string,
): Tensor {
  checkTensor(logP, who);
  checkTensor(classes, who, "classes to be a tensor");
  if (classes.dtype !== "int32" || !sameShape(classes.shape, logP.shape.slice(0, -1))) {
    const got = `${classes.dtype} ${showShape(classes.shape)}`;
    throw new Error(`${who}: expected int32 classes ${showShape(logP.shape.slice(0, -1))}, got ${got}`);
  }
  const scores = scoresOf(logP, weight, who);
  const at = (places: Tensor): Tensor =>
    scores
      .gather(-1, places.reshape([...places.shape, 1]))
      .reshape(places.shape)
      .neg();
  if (ignoreIndex === undefined && !weight)
    return reduced(smoothed(at(classes), scores, smoothing), reduction, who);
  if (ignoreIndex !== undefined) checkInteger(ignoreIndex, -(2 ** 31), who, "ignoreIndex", 2 ** 31 - 1);
  const isKept = ignoreIndex === undefined ? classes.onesLike() : classes.ne(ignoreIndex);
  // An ignored class need not exist: the first stands for it.
  const existing = classes.mul(isKept);
  const kept = isKept.cast(logP.dtype);
  const losses = smoothed(at(existing), scores, smoothing).mul(kept);
  if ((reduction ?? "mean") !== "mean") return reduced(losses, reduction, who);
  return losses.sum().div((weight ? kept.mul(weight.indexSelect(0, existing)) : kept).sum());
}

/** What a target of each class would cost, with the opposite sign: w log p. */
function scoresOf(logP: Tensor, weight: Tensor | undefined, who: string): Tensor {
  if (weight === undefined) return logP;
  checkTensor(weight, who, "weight to be a tensor");
  const classes = logP.shape.slice(-1);
  if (weight.dtype === logP.dtype && sameShape(weight.shape, classes)) return logP.mul(weight);
  const [expected, got] = [
    `${logP.dtype} ${showShape(classes)}`,
    `${weight.dtype} ${showShape(weight.shape)}`,
  ];
  throw new Error(`${who}: expected weight ${expected}, got ${got}`);
}

/** The losses for a target of which the share ε is spread over all classes: (1 − ε) loss − ε mean score. */
const smoothed = (losses: Tensor, scores: Tensor, smoothing: number): Tensor =>
  smoothing === 0 ? losses : losses.scale(1 - smoothing).sub(scores.mean([-1]).scale(smoothing));
