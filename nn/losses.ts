/** Losses by PyTorch's names and formulas. Input and target have one shape and dtype. */
import { checkOptions, checkPositive, checkTensor, refuse, type Tensor } from "../core/index.ts";
import { checkTarget, type LossOptions, type Reduction, reduced } from "./reduction.ts";

/** |x − t| */
export function l1Loss(x: Tensor, target: Tensor, options: LossOptions = {}): Tensor {
  check(x, target, options, [], "l1Loss");
  return reduced(x.sub(target).abs(), options.reduction, "l1Loss");
}

/** (x − t)² */
export function mseLoss(x: Tensor, target: Tensor, options: LossOptions = {}): Tensor {
  check(x, target, options, [], "mseLoss");
  return reduced(x.sub(target).square(), options.reduction, "mseLoss");
}

/**
 * Huber's loss (1964): ½ d² of d = |x − t| up to δ, from there on a line as steep, δ (d − ½ δ). δ is 1 unless given.
 */
export function huberLoss(
  x: Tensor,
  target: Tensor,
  options: LossOptions & { readonly delta?: number } = {},
): Tensor {
  check(x, target, options, ["delta"], "huberLoss");
  const { delta = 1, reduction } = options;
  checkPositive(delta, "huberLoss", "delta");
  return reduced(huber(x, target, delta), reduction, "huberLoss");
}

/** The same divided by its bend β: ½ d²/β of d = |x − t| below β, d − ½ β above. β is 1 unless given. */
export function smoothL1Loss(
  x: Tensor,
  target: Tensor,
  options: LossOptions & { readonly beta?: number } = {},
): Tensor {
  check(x, target, options, ["beta"], "smoothL1Loss");
  const { beta = 1, reduction } = options;
  checkPositive(beta, "smoothL1Loss", "beta");
  return reduced(huber(x, target, beta).scale(1 / beta), reduction, "smoothL1Loss");
}

/** m (d − ½ m) with m = min(d, δ) */
function huber(x: Tensor, target: Tensor, delta: number): Tensor {
  const d = x.sub(target).abs();
  const m = d.minimum(delta);
  return m.mul(d.sub(m.scale(0.5)));
}

/** Logarithms of probabilities are cut off there, as in PyTorch: a wrong answer that is certain costs 100 nats. */
const LEAST_LOG = -100;

/** −(t log p + (1 − t) log(1 − p)) for probabilities p and t in [0, 1]; of logits take the loss below. */
export function binaryCrossEntropy(p: Tensor, target: Tensor, options: LossOptions = {}): Tensor {
  check(p, target, options, [], "binaryCrossEntropy");
  const [yes, no] = [p.log(), p.neg().log1p()].map((log) => log.maximum(LEAST_LOG));
  const losses = target.mul(yes).add(target.neg().shift(1).mul(no)).neg();
  return reduced(losses, options.reduction, "binaryCrossEntropy");
}

/** The same of logits x, p = sigmoid(x), without overflow: log(1 + eˣ) − t x. */
export function binaryCrossEntropyWithLogits(x: Tensor, target: Tensor, options: LossOptions = {}): Tensor {
  check(x, target, options, [], "binaryCrossEntropyWithLogits");
  return reduced(x.softplus().sub(target.mul(x)), options.reduction, "binaryCrossEntropyWithLogits");
}

export interface KlOptions {
  /**
   * "batchMean", the sum divided by the length of the first axis, is the divergence's mean per sample. "mean" unless
   * given.
   */
  readonly reduction?: Reduction | "batchMean";
  /** Whether the target is given by logarithms too; false unless given. */
  readonly logTarget?: boolean;
}

/** t (log t − log p), whose sum is the divergence KL(t ‖ p), for log p and t; 0 where t is 0. */
export function klDiv(logP: Tensor, target: Tensor, options: KlOptions = {}): Tensor {
  check(logP, target, options, ["logTarget"], "klDiv");
  const { reduction, logTarget = false } = options;
  if (typeof logTarget !== "boolean") refuse("klDiv", "logTarget to be true or false", logTarget);
  // Where t is 0 its logarithm counts for nothing: that of 1 stands for it, whose gradient is a number.
  const log = logTarget ? target : target.gt(0).where(target, 1).log();
  const losses = (logTarget ? target.exp() : target).mul(log.sub(logP));
  if (reduction === "batchMean") return losses.sum().scale(1 / logP.shape[0]);
  return reduced(losses, reduction, "klDiv");
}

function check(x: Tensor, target: Tensor, options: object, more: readonly string[], who: string): void {
  checkTensor(x, who);
  checkTensor(target, who, "a target that is a tensor");
  checkTarget(x, target, who);
  checkOptions(options, ["reduction", ...more], who);
}
