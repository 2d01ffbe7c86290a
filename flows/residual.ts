import {
  checkInteger,
  checkOptions,
  checkShare,
  concat,
  noGrad,
  refuse,
  Tensor,
  tidy,
} from "../core/index.ts";
import { Linear } from "../nn/index.ts";
import { Bijector, checkEvent, type Mapped } from "./bijector.ts";
import { normBound } from "./norm-bound.ts";

export interface ResidualConfig {
  /** Entries of an event, N: few, for a determinant costs N³ per sample in N steps one after the other. */
  readonly size: number;
  /** Width of the two hidden layers. */
  readonly width: number;
  /** How far g may move two points apart, relative to their distance: in (0, 1), 0.9 unless given. */
  readonly lipschitz?: number;
}

/** The largest slope of a · sigmoid(a), rounded up: divided by it, slopes are 1 at most ("LipSwish"). */
const STEEPEST = 1.1;
/** The fixed point is repeated until distances have shrunk to this; Newton's step squares what is left. */
const CLOSE = 1e-8;

/**
 * A layer of a residual flow (arXiv:1811.00995; 1906.02735): z = x + g(x), where g moves two points apart by less than
 * their distance, so that each z has one x.
 *   g(x) = W₃ φ(W₂ φ(W₁ x + b₁) + b₂) + b₃    φ(a) = a · sigmoid(a) / 1.1    log |det J| = log det(I + ∂g/∂x)
 * A Wᵢ of a norm above ∛lipschitz is scaled down to it. The papers estimate norms by power iteration and determinants
 * by random truncated series; here norms are bounded from above (`normBound`) and determinants exact, which keeps both
 * directions functions of their input, and serves small N. The inverse repeats x ← z − g(x) (arXiv:1811.00995,
 * algorithm 1), as often as the bound asks for, then takes a step of Newton's. Gradients go through that step alone:
 * first derivatives are right, those of derivatives are not. Events are vectors (B, N).
 */
export class Residual extends Bijector {
  fc1: Linear;
  fc2: Linear;
  fc3: Linear;
  readonly size: number;
  readonly lipschitz: number;

  constructor(config: ResidualConfig) {
    super();
    checkOptions(config, ["size", "width", "lipschitz"], "Residual");
    const { size, width, lipschitz = 0.9 } = config;
    checkInteger(size, 1, "Residual", "size");
    checkInteger(width, 1, "Residual", "width");
    checkShare(lipschitz, "Residual", "lipschitz");
    if (lipschitz === 0) refuse("Residual", "lipschitz above 0", lipschitz);
    this.fc1 = new Linear(size, width);
    this.fc2 = new Linear(width, width);
    this.fc3 = new Linear(width, size);
    this.size = size;
    this.lipschitz = lipschitz;
  }

  forward(x: Tensor): Mapped {
    checkEvent(x, [this.size], "Residual");
    const { out, slope } = this.#g(x, this.#weights());
    return { out: x.add(out), logDet: logDet(slope) };
  }

  inverse(z: Tensor): Mapped {
    checkEvent(z, [this.size], "Residual");
    const weights = this.#weights();
    const steps = Math.ceil(Math.log(CLOSE) / Math.log(this.lipschitz));
    const { near, solve } = noGrad(() =>
      tidy(() => {
        let near = z;
        for (let i = 0; i < steps; i++) near = tidy(() => z.sub(this.#g(near, weights).out));
        return { near, solve: inverse(this.#g(near, weights).slope) };
      }),
    );
    const miss = near.add(this.#g(near, weights).out).sub(z);
    const [B, N] = z.shape;
    const x = near.sub(miss.reshape([B, 1, N]).matmul(solve).reshape([B, N]));
    return { out: x, logDet: logDet(this.#g(x, weights).slope).neg() };
  }

  /** The three matrices, scaled down where they must be. */
  #weights(): Tensor[] {
    const most = this.lipschitz ** (1 / 3);
    return [this.fc1, this.fc2, this.fc3].map(({ weight }) =>
      weight.scale(most).div(normBound(weight).maximum(most)),
    );
  }

  /** g(x), (B, N), and its slopes I + ∂gₒ/∂xᵢ at [b, i, o], (B, N, N), computed when they are asked for. */
  #g(x: Tensor, [w1, w2, w3]: readonly Tensor[]): { readonly out: Tensor; readonly slope: Tensor } {
    const first = x.linear(w1, this.fc1.bias); // (B, width)
    const second = squash(first).linear(w2, this.fc2.bias);
    return {
      out: squash(second).linear(w3, this.fc3.bias),
      get slope() {
        const by = (a: Tensor): Tensor => squashSlope(a).reshape([a.shape[0], 1, a.shape[1]]);
        const atFirst = w1.t().mul(by(first)); // (B, N, width), the chain rule from left to right
        const atSecond = atFirst.linear(w2).mul(by(second));
        return atSecond.linear(w3).add(Tensor.eye(x.shape[1], x.dtype));
      },
    };
  }
}

/** φ(a) */
const squash = (a: Tensor): Tensor => a.silu().scale(1 / STEEPEST);

/** φ′(a) */
function squashSlope(a: Tensor): Tensor {
  const s = a.sigmoid();
  return s.add(a.mul(s).mul(s.neg().shift(1))).scale(1 / STEEPEST);
}

/**
 * log det of matrices I + J with |J| < 1, (B, N, N) → (B): the sum of the logarithms of the pivots of elimination. Such
 * a matrix has a positive definite symmetric part, and so has what is left after each step: pivots are positive as they
 * come.
 */
function logDet(matrices: Tensor): Tensor {
  const [B, N] = matrices.shape;
  let left = matrices;
  let sum = Tensor.zeros([B], matrices.dtype);
  for (let n = N; n > 0; n--) {
    const [top, rest] = [left.slice(1, 0, 1), left.slice(1, 1, n)];
    const pivot = top.slice(2, 0, 1); // (B, 1, 1)
    sum = sum.add(pivot.log().reshape([B]));
    left = rest.slice(2, 1, n).sub(rest.slice(2, 0, 1).mul(top.slice(2, 1, n).div(pivot)));
  }
  return sum;
}

/** The inverses of such matrices, (B, N, N) → same, by Gauss–Jordan elimination beside the unit matrix. */
function inverse(matrices: Tensor): Tensor {
  const [B, N] = matrices.shape;
  const I = Tensor.eye(N, matrices.dtype);
  let rows = concat([matrices, I.broadcastTo([B, N, N])], 2); // (B, N, 2 N)
  for (let k = 0; k < N; k++) {
    const column = rows.slice(2, k, k + 1); // (B, N, 1)
    const row = rows.slice(1, k, k + 1).div(column.slice(1, k, k + 1)); // (B, 1, 2 N), with 1 at k
    rows = rows.sub(column.sub(I.slice(1, k, k + 1)).mul(row)); // column k becomes that of I
  }
  return rows.slice(2, N, 2 * N);
}
