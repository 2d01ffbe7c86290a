import { checkInteger, checkOptions, checkPositive, concat, Tensor } from "../core/index.ts";
import { Bijector, type Mapped, sumEvent, takesCondition } from "./bijector.ts";
import { type Conditioner, type Coupling, checkParts, couple, outputsOf } from "./coupling.ts";
import { halves, type Split } from "./split.ts";

export interface SplineOptions {
  /** Pieces of the curve, K: from 1 to 999. */
  readonly bins: number;
  /** The curve bends inside [−bound, bound] and is the identity outside. */
  readonly bound: number;
}

/** No bin is narrower or lower than this share of the box, no slope smaller than this: keeps the inverse accurate. */
const SMALLEST = 1e-3;
const MOST_BINS = 1 / SMALLEST - 1;

/** What one element's curve looks like in the bin where the element falls, each (B, n). */
interface Bin {
  /** Lower left corner, width and height. */
  readonly x: Tensor;
  readonly y: Tensor;
  readonly width: Tensor;
  readonly height: Tensor;
  /** Slopes at its ends. */
  readonly left: Tensor;
  readonly right: Tensor;
}

/** Knots of all curves, (B, n, K): corners, sizes and slopes of each bin. */
type Bins = Readonly<Record<keyof Bin, Tensor>>;

/**
 * Rational-quadratic spline coupling (arXiv:1906.04032): each changed entry goes through a monotone curve of K pieces
 * whose knots and slopes come from the kept part. Events are vectors (B, N). In the bin [x_k, x_{k+1}], with
 * ξ = (x − x_k)/w, s = h/w and the slopes δ_k, δ_{k+1} at its ends (eq. 4 and 5):
 *   z = y_k + h (s ξ² + δ_k ξ(1−ξ)) / (s + (δ_{k+1} + δ_k − 2s) ξ(1−ξ))
 *   dz/dx = s² (δ_{k+1} ξ² + 2s ξ(1−ξ) + δ_k (1−ξ)²) / (s + (δ_{k+1} + δ_k − 2s) ξ(1−ξ))²
 * log |det J| = Σ log dz/dx over the changed entries. The conditioner gives (B, n (3K − 1)), for each of the n changed
 * entries K widths, K heights (softmax makes them fill the box) and the K − 1 inner slopes (softplus); the outer slopes
 * are 1.
 */
export class SplineCoupling extends Bijector implements Coupling {
  net: Conditioner;
  readonly options: SplineOptions;
  readonly split: Split;

  constructor(net: Conditioner, options: SplineOptions, split: Split = halves()) {
    super();
    this.net = net;
    this.options = options;
    this.split = split;
    checkParts(this, { net });
    checkOptions(options, ["bins", "bound"], "SplineCoupling");
    checkInteger(options.bins, 1, "SplineCoupling", "bins", MOST_BINS);
    checkPositive(options.bound, "SplineCoupling", "bound");
  }

  override get conditional(): boolean {
    return takesCondition(this.net);
  }

  forward(x: Tensor, condition?: Tensor): Mapped {
    return couple(this, x, (x2, x1) =>
      this.#insideBox(x2, (inner) => {
        const bins = this.#bins(x2, this.net.forward(x1, condition));
        return curve(inner, binOf(inner, bins, bins.x));
      }),
    );
  }

  inverse(z: Tensor, condition?: Tensor): Mapped {
    return couple(this, z, (z2, z1) =>
      this.#insideBox(z2, (inner) => {
        const bins = this.#bins(z2, this.net.forward(z1, condition));
        return inverseCurve(inner, binOf(inner, bins, bins.y));
      }),
    );
  }

  /** Applies `f` inside the box and the identity outside; `f` gives log-derivatives per element. */
  #insideBox(x: Tensor, f: (inner: Tensor) => { out: Tensor; logSlope: Tensor }): Mapped {
    const { bound } = this.options;
    const outside = x.abs().gt(bound);
    const { out, logSlope } = f(x.clamp(-bound, bound));
    return { out: outside.where(x, out), logDet: sumEvent(outside.where(logSlope.scale(0), logSlope)) };
  }

  #bins(changed: Tensor, raw: Tensor): Bins {
    const { bins: K, bound } = this.options;
    const { B, n } = changed.dims("B n", "SplineCoupling");
    const numbers = outputsOf(this, "net", raw, [B, n * (3 * K - 1)]).reshape([B, n, 3 * K - 1]);
    const sizes = (start: number): Tensor =>
      numbers
        .slice(2, start, start + K)
        .softmax()
        .scale(1 - K * SMALLEST)
        .shift(SMALLEST)
        .scale(2 * bound);
    const width = sizes(0);
    const height = sizes(K);
    const slopes = numbers
      .slice(2, 2 * K, 3 * K - 1)
      .softplus()
      .shift(SMALLEST);
    const one = Tensor.ones([B, n, 1], changed.dtype);
    const before = Tensor.ones([K, K], changed.dtype).triangle({ lower: false }); // sums the bins to the left
    return {
      width,
      height,
      x: width.matmul(before).shift(-bound),
      y: height.matmul(before).shift(-bound),
      left: concat([one, slopes], 2),
      right: concat([slopes, one], 2),
    };
  }
}

/** The bin of each element, by the lower ends of the bins along its axis. */
function binOf(value: Tensor, bins: Bins, lowerEnds: Tensor): Bin {
  const [B, n, K] = lowerEnds.shape;
  const below = value.reshape([B, n, 1]).lt(lowerEnds); // 1 where the bin starts above the value
  const reached = below.neg().shift(1);
  const next = concat([reached.slice(2, 1, K), Tensor.zeros([B, n, 1], value.dtype)], 2);
  const chosen = reached.sub(next); // one 1 per element
  const pick = (t: Tensor): Tensor => t.mul(chosen).sum([2]);
  return {
    x: pick(bins.x),
    y: pick(bins.y),
    width: pick(bins.width),
    height: pick(bins.height),
    left: pick(bins.left),
    right: pick(bins.right),
  };
}

/** z(ξ) and log dz/dx. */
function curve(x: Tensor, bin: Bin): { out: Tensor; logSlope: Tensor } {
  const s = bin.height.div(bin.width);
  const xi = x.sub(bin.x).div(bin.width);
  const mixed = xi.mul(xi.neg().shift(1)); // ξ(1−ξ)
  const bottom = s.add(excess(s, bin).mul(mixed));
  const top = s.mul(xi.square()).add(bin.left.mul(mixed));
  return { out: bin.y.add(bin.height.mul(top).div(bottom)), logSlope: logSlope(xi, s, bin) };
}

/** The ξ in [0, 1] at which the curve takes the value z: the root of a ξ² + b ξ + c (eq. 6 to 8), and log dx/dz. */
function inverseCurve(z: Tensor, bin: Bin): { out: Tensor; logSlope: Tensor } {
  const s = bin.height.div(bin.width);
  const rise = z.sub(bin.y);
  const bend = rise.mul(excess(s, bin));
  const a = bin.height.mul(s.sub(bin.left)).add(bend);
  const b = bin.height.mul(bin.left).sub(bend);
  const c = s.mul(rise).neg();
  const square = b.square().sub(a.mul(c).scale(4)).maximum(0); // rounding may take it below 0
  const xi = c.scale(2).div(b.neg().sub(square.sqrt()));
  return { out: bin.x.add(xi.mul(bin.width)), logSlope: logSlope(xi, s, bin).neg() };
}

/** δ_{k+1} + δ_k − 2s */
const excess = (s: Tensor, { left, right }: Bin): Tensor => right.add(left).sub(s.scale(2));

function logSlope(xi: Tensor, s: Tensor, bin: Bin): Tensor {
  const rest = xi.neg().shift(1);
  const mixed = xi.mul(rest);
  const top = bin.right.mul(xi.square()).add(s.mul(mixed).scale(2)).add(bin.left.mul(rest.square()));
  const bottom = s.add(excess(s, bin).mul(mixed));
  return s.log().scale(2).add(top.log()).sub(bottom.log().scale(2));
}
