import { checkInteger, checkShape, concat, type Shape, sizeOf, type Tensor } from "../core/index.ts";
import { constant, gaussian, logSoftmax, Module, parameter } from "../nn/index.ts";
import { checkEvent } from "./bijector.ts";
import { logNormalCdf } from "./log-normal-cdf.ts";
import { type Base, HALF_LOG_TWO_PI } from "./normal.ts";
import { type Curve, solveIncreasing } from "./solve-increasing.ts";

/**
 * A mixture of K normal distributions with diagonal covariances, all learned:
 *   log p(z) = log Σₖ wₖ N(z; μₖ, diag σₖ²)    with w = softmax(weight_logits)
 * Samples are a one-to-one function of noise n, entry by entry in order (Rosenblatt, 1952): zᵢ is where the
 * distribution function of zᵢ, given the entries before it, is Φ(nᵢ). That is found numerically, as in `Planar`, with
 * first derivatives.
 */
export class NormalMixture extends Module implements Base {
  weight_logits: Tensor; // (K)
  mean: Tensor; // (K, …event)
  log_std: Tensor; // (K, …event)
  readonly event: Shape;

  constructor(event: Shape, components: number) {
    super();
    checkShape(event, "NormalMixture");
    checkInteger(components, 1, "NormalMixture", "components");
    this.event = event;
    this.weight_logits = parameter([components], constant(0));
    this.mean = parameter([components, ...event], gaussian(1));
    this.log_std = parameter([components, ...event], constant(0));
  }

  logProb(z: Tensor): Tensor {
    checkEvent(z, this.event, "NormalMixture");
    const [K, N] = [this.weight_logits.size, sizeOf(this.event)];
    const point = z.reshape([z.shape[0], 1, N]);
    const [mean, logStd] = [this.mean, this.log_std].map((x) => x.reshape([K, N]));
    const each = logNormal(point, mean, logStd).sum([2]); // (B, K)
    return each.add(logSoftmax(this.weight_logits)).logSumExp([1]);
  }

  fromNoise(noise: Tensor, temperature: number): Tensor {
    checkEvent(noise, this.event, "NormalMixture");
    const [B, K, N] = [noise.shape[0], this.weight_logits.size, sizeOf(this.event)];
    const n = noise.scale(temperature).reshape([B, N]);
    let logWeights = logSoftmax(this.weight_logits).broadcastTo([B, K]); // given the entries so far
    const found: Tensor[] = [];
    for (let i = 0; i < N; i++) {
      const [mean, logStd] = [this.mean, this.log_std].map((x) =>
        x
          .reshape([K, N])
          .slice(1, i, i + 1)
          .reshape([1, K]),
      );
      const zi = quantile(n.slice(1, i, i + 1), logWeights, mean, logStd);
      logWeights = logSoftmax(logWeights.add(logNormal(zi, mean, logStd)));
      found.push(zi);
    }
    return concat(found, 1).reshape(noise.shape);
  }
}

/** log N(z; μ, σ²) */
function logNormal(z: Tensor, mean: Tensor, logStd: Tensor): Tensor {
  const standard = z.sub(mean).mul(logStd.neg().exp());
  return standard.square().scale(-0.5).sub(logStd).shift(-HALF_LOG_TWO_PI);
}

/**
 * Where the mixture's distribution function is Φ(n), for n (B, 1), log-weights (B, K), means and log-deviations (1, K):
 * (B, 1). It lies between the components' own quantiles. Of both tails the one that n is in is compared, by logarithms,
 * so that far out it keeps its digits.
 */
function quantile(n: Tensor, logWeights: Tensor, mean: Tensor, logStd: Tensor): Tensor {
  const side = n.lt(0).scale(2).shift(-1); // 1 below 0, where Φ is small, else −1
  const target = logNormalCdf(n.mul(side));
  const curve = (z: Tensor): Curve => {
    const standard = z.sub(mean).mul(logStd.neg().exp()); // (B, K)
    const share = logWeights.add(logNormalCdf(standard.mul(side))).logSumExp([1], true);
    const density = logWeights.add(logNormal(z, mean, logStd)).logSumExp([1], true);
    return { value: share.sub(target).mul(side), slope: density.sub(share).exp() };
  };
  const own = n.mul(logStd.exp()).add(mean); // (B, K)
  return solveIncreasing(curve, own.min([1], true), own.max([1], true));
}
