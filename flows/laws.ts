import { grad, Scope, Tensor } from "../core/index.ts";
import type { Bijector, Mapped } from "./bijector.ts";
import { logAbsDet } from "./linear-algebra.ts";

/** Where a law is tried. Tensors are float64 unless float32 is what is being judged. */
export interface LawInput {
  /** Points to map forward, (B, …event). */
  readonly x: Tensor;
  /** Points to map back, (B, …event). */
  readonly z: Tensor;
  /** (B, …); absent for unconditional bijectors. */
  readonly condition?: Tensor;
}

/** Something every bijector must satisfy: `error` is 0 when it holds exactly, and ∞ when an output is not finite. */
export interface Law {
  readonly name: string;
  readonly error: (bijector: Bijector, input: LawInput) => number;
}

/** The laws of a single bijector. A flow's own are in `quadrature.ts`. */
export const laws = {
  roundTrip: { name: "inverse(forward(x)) = x", error: roundTripError },
  roundTripBack: { name: "forward(inverse(z)) = z", error: roundTripBackError },
  logDet: { name: "the log-determinant is that of the Jacobian", error: logDetError },
  inverseLogDet: { name: "the inverse's log-determinant is that of its Jacobian", error: inverseLogDetError },
  cancellation: { name: "forward and inverse log-determinants cancel", error: cancellationError },
  batch: { name: "a batch equals its rows", error: batchError },
} as const satisfies Record<string, Law>;

/** max |inverse(forward(x)) − x|, see `distance`. */
export function roundTripError(bijector: Bijector, { x, condition }: LawInput): number {
  using _ = new Scope();
  return distance(bijector.inverse(bijector.forward(x, condition).out, condition).out, x);
}

/** max |forward(inverse(z)) − z|, see `distance`. */
export function roundTripBackError(bijector: Bijector, { z, condition }: LawInput): number {
  using _ = new Scope();
  return distance(bijector.forward(bijector.inverse(z, condition).out, condition).out, z);
}

/** max over the batch of |logDet − log |det ∂forward/∂x||, relative to log-determinants above 1. */
export function logDetError(bijector: Bijector, { x, condition }: LawInput): number {
  return jacobianError((input, c) => bijector.forward(input, c), x, condition);
}

/** max over the batch of |logDet − log |det ∂inverse/∂z||, relative to log-determinants above 1. */
export function inverseLogDetError(bijector: Bijector, { z, condition }: LawInput): number {
  return jacobianError((input, c) => bijector.inverse(input, c), z, condition);
}

/** max over the batch of |logDet forward + logDet inverse| at matching points. */
export function cancellationError(bijector: Bijector, { x, condition }: LawInput): number {
  using _ = new Scope();
  const forward = bijector.forward(x, condition);
  const inverse = bijector.inverse(forward.out, condition);
  return distance(inverse.logDet, forward.logDet.neg());
}

/** max difference between mapping a batch at once and its rows one by one, both directions, outputs and log-dets. */
export function batchError(bijector: Bijector, { x, z, condition }: LawInput): number {
  using _ = new Scope();
  let worst = 0;
  for (const [points, map] of [
    [x, (p: Tensor, c?: Tensor) => bijector.forward(p, c)],
    [z, (p: Tensor, c?: Tensor) => bijector.inverse(p, c)],
  ] as const) {
    const whole = map(points, condition);
    for (let b = 0; b < points.shape[0]; b++) {
      const row = map(points.slice(0, b, b + 1), condition?.slice(0, b, b + 1));
      worst = larger(worst, distance(row.out, whole.out.slice(0, b, b + 1)));
      worst = larger(worst, distance(row.logDet, whole.logDet.slice(0, b, b + 1)));
    }
  }
  return worst;
}

/** How far the maps under two conditions are apart at the same points: 0 when the condition makes no difference. */
export function conditionEffect(bijector: Bijector, input: LawInput, other: Tensor): number {
  using _ = new Scope();
  const { x, z, condition } = input;
  return Math.max(
    distance(bijector.forward(x, condition).out, bijector.forward(x, other).out),
    distance(bijector.inverse(z, condition).out, bijector.inverse(z, other).out),
  );
}

/**
 * ∂map/∂x at one sample (1, …event), an N × N row-major matrix, by reverse mode. The sample is repeated N times, so that
 * one backward pass gives all rows: it relies on samples of a batch not touching each other (`batchError`).
 */
export function sampleJacobian(
  map: (x: Tensor, condition?: Tensor) => Mapped,
  x: Tensor,
  condition?: Tensor,
): Float64Array {
  using _ = new Scope();
  const N = x.size;
  const repeat = (t: Tensor): Tensor => t.broadcastTo([N, ...t.shape.slice(1)]);
  const points = repeat(x).detach().tracked();
  const { out } = map(points, condition && repeat(condition));
  const unit = Tensor.zeros([N, N], x.dtype);
  for (let i = 0; i < N; i++) unit.data[i * N + i] = 1;
  const [rows] = grad(out, [points], { dy: unit.reshape(out.shape) });
  return rows ? Float64Array.from(rows.data) : new Float64Array(N * N);
}

function jacobianError(
  map: (x: Tensor, condition?: Tensor) => Mapped,
  points: Tensor,
  condition?: Tensor,
): number {
  using _ = new Scope();
  const { logDet } = map(points, condition);
  let worst = 0;
  for (let b = 0; b < points.shape[0]; b++) {
    const sample = points.slice(0, b, b + 1);
    const expected = logAbsDet(sampleJacobian(map, sample, condition?.slice(0, b, b + 1)));
    worst = larger(worst, Math.abs(logDet.data[b] - expected) / Math.max(1, Math.abs(expected)));
  }
  return finite(worst);
}

/** The largest of the `distances` of a batch. */
const distance = (a: Tensor, b: Tensor): number => distances(a, b).reduce(larger, 0);

/**
 * Per sample, the largest difference between entries of a and b, relative to the largest entry of b when that is
 * above 1; ∞ when something is not finite.
 */
export function distances(a: Tensor, b: Tensor): Float64Array {
  const N = b.size / b.shape[0];
  return Float64Array.from({ length: b.shape[0] }, (_, sample) => {
    let [difference, scale] = [0, 1];
    for (let i = sample * N; i < (sample + 1) * N; i++) {
      difference = larger(difference, Math.abs(a.data[i] - b.data[i]));
      scale = Math.max(scale, Math.abs(b.data[i]));
    }
    return finite(difference / scale);
  });
}

/** The larger of two errors; NaN stays. */
const larger = (a: number, b: number): number => (b > a || Number.isNaN(b) ? b : a);

const finite = (error: number): number => (Number.isFinite(error) ? error : Number.POSITIVE_INFINITY);
