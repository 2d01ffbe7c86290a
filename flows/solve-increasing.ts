import { noGrad, type Tensor, tidy } from "../core/index.ts";

/** A function's values and its slopes, entry by entry. */
export interface Curve {
  readonly value: Tensor;
  readonly slope: Tensor;
}

/** Halvings until an interval of a few units is as narrow as the type's numbers are apart. */
const HALVINGS = { float64: 60, float32: 32 } as const;

/**
 * Where an increasing function is 0, entry by entry, between `low`, where it is not above 0, and `high`, where it is
 * not below. Found by halving the interval a fixed number of times, so that plans can repeat it, and made exact by a
 * step of Newton's, x − f(x)/f′(x). Gradients go through that step alone and are those of the implicit function, dx =
 * −df(x)/f′(x): first derivatives are right, those of derivatives are not.
 */
export function solveIncreasing(f: (x: Tensor) => Curve, low: Tensor, high: Tensor): Tensor {
  const { near, slope } = noGrad(() =>
    tidy(() => {
      let [below, above] = [low, high];
      for (let i = 0; i < HALVINGS[low.dtype as keyof typeof HALVINGS]; i++) {
        [below, above] = tidy(() => {
          const middle = below.add(above).scale(0.5);
          const isBelow = f(middle).value.lt(0);
          return [isBelow.where(middle, below), isBelow.where(above, middle)];
        });
      }
      const near = below.add(above).scale(0.5);
      return { near, slope: f(near).slope };
    }),
  );
  return near.sub(f(near).value.div(slope));
}
