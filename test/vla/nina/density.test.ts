import { describe, expect, test } from "vitest";
import { noGrad, Random, Tensor, tidy } from "../../../core/index.ts";
import { AdamW, Ema, TrainingStep, triStage } from "../../../nn/index.ts";
import { MlpDecoder } from "../../../vla/nina/mlp.ts";
import { adamWOptions } from "../../../vla/nina/training.ts";

/**
 * A density of two actions given two features c, uniform in [−1, 1], whose entropy is known: standard normal numbers
 * n₁, n₂ go through
 *   a₁ = 0.3 c₁ + σ₁ n₁    σ₁ = 0.1 exp(c₂ / 2)
 *   a₂ = 0.4 sin(4 a₁) − 0.2 c₁ c₂ + σ₂ n₂    σ₂ = 0.05
 * a shear with diagonal σ₁, σ₂, so h(a | c) = log(2πe) + E log σ₁ + log σ₂ = log(2πe) + log 0.1 + log 0.05 nats.
 * Five deviations lie within [−1, 1], where the loss clamps its targets.
 */
const ENTROPY = Math.log(2 * Math.PI * Math.E) + Math.log(0.1) + Math.log(0.05);
const SIGMA2 = 0.05;
const sigma1 = (c2: number): number => 0.1 * Math.exp(c2 / 2);
const middle = (a1: number, c1: number, c2: number): number => 0.4 * Math.sin(4 * a1) - 0.2 * c1 * c2;

interface Draw {
  /** (B, 1, 2) */
  readonly features: Tensor;
  /** (B, 2, 1) */
  readonly actions: Tensor;
  /** log p(a | c) of each. */
  readonly logProb: Float64Array;
}

function draw(batch: number, random: Random): Draw {
  const [features, actions, logProb] = [2 * batch, 2 * batch, batch].map(
    (length) => new Float64Array(length),
  );
  for (let i = 0; i < batch; i++) {
    const [c1, c2] = [2 * random.uniform() - 1, 2 * random.uniform() - 1];
    const [n1, n2] = [random.normal(), random.normal()];
    const a1 = 0.3 * c1 + sigma1(c2) * n1;
    features.set([c1, c2], 2 * i);
    actions.set([a1, middle(a1, c1, c2) + SIGMA2 * n2], 2 * i);
    logProb[i] = -(n1 ** 2 + n2 ** 2) / 2 - Math.log(2 * Math.PI * sigma1(c2) * SIGMA2);
  }
  return {
    features: Tensor.from(features, [batch, 1, 2]),
    actions: Tensor.from(actions, [batch, 2, 1]),
    logProb,
  };
}

const [STEPS, BATCH, TEST] = [1500, 128, 8192];

describe("a decoder of the MLP flow", () => {
  const decoder = new MlpDecoder({
    steps: 2,
    actionWidth: 1,
    features: 2,
    tokenDropout: 0,
    condition: 16,
    blocks: 4,
    width: 24,
    plu: true,
    actionNoise: 0,
  }).init(new Random(1));

  /**
   * log p − log q on fresh samples: its mean estimates the divergence of the model q, here with the error of the mean.
   */
  function divergence(): { mean: number; error: number; crossEntropy: number } {
    return tidy(() => {
      const { features, actions, logProb } = draw(TEST, new Random(2));
      const q = noGrad(() => decoder.logProb(actions, decoder.condition(features))).toArray();
      const gaps = q.map((value, i) => logProb[i] - value);
      const mean = gaps.reduce((sum, gap) => sum + gap, 0) / TEST;
      const variance = gaps.reduce((sum, gap) => sum + (gap - mean) ** 2, 0) / TEST;
      const crossEntropy = -q.reduce((sum, value) => sum + value, 0) / TEST;
      return { mean, error: Math.sqrt(variance / TEST), crossEntropy };
    });
  }

  test("learns a known conditional density to within 0.03 nats of its entropy", async () => {
    expect(divergence().mean).toBeGreaterThan(1); // so far from it the drawn weights are
    const random = new Random(3);
    const optimizer = new AdamW(decoder.namedParameters(), { ...adamWOptions, weightDecay: 0 });
    const ema = new Ema(decoder);
    const rate = triStage({
      peak: 5e-3,
      totalSteps: STEPS,
      phases: [0.05, 0.25, 0.7],
      startFactor: 0,
      endFactor: 0,
    });
    const sample = (): Tensor[] => {
      const { features, actions } = draw(BATCH, random);
      return [features, actions, decoder.drawNoise(BATCH, random).action];
    };
    using step = tidy(
      () =>
        new TrainingStep(
          (features, actions, action) => decoder.loss(actions, decoder.condition(features), { action }),
          optimizer,
          sample(),
        ),
    );
    for (let i = 0; i < STEPS; i++) {
      const batch = tidy(sample);
      await step.run(batch, rate(i));
      for (const x of batch) x.dispose();
      ema.update(i + 1);
    }
    ema.swap();
    const { mean, error, crossEntropy } = divergence();
    // No density has a smaller expected −log q than the true one (Gibbs): up to five errors of the mean, q must not.
    expect(mean).toBeGreaterThan(-5 * error);
    // Fitting k parameters to n samples costs k/2n where the fit is as good as it can be: half the expectation of a χ²
    // of k degrees, over n. The bound is that and a quarter more, for what the optimiser leaves.
    expect(decoder.countParameters() / (2 * STEPS * BATCH)).toBeCloseTo(0.024, 3);
    expect(mean).toBeLessThan(0.03);
    // The same against the entropy itself: −log p(a | c) has variance 1 + Var(c₂/2) = 1.08.
    expect(Math.abs(crossEntropy - ENTROPY)).toBeLessThan(0.03 + 5 * Math.sqrt(1.08 / TEST));
    for (const owner of [optimizer, ema]) owner.dispose();
    decoder.dispose();
  });
});
