import { grad, noGrad, Random, Scope, type Tensor } from "../../core/index.ts";
import { DIRECTIONS, type Direction, finite, inTraining, type Measure, type Trial, worst } from "./trial.ts";

/** Tensors that are moved together along one random direction, and what they are called. */
export interface Target {
  readonly name: string;
  readonly tensors: readonly Tensor[];
}

/**
 * Along one random direction v in the points, one in the condition and one in every parameter p, for the output and for
 * the log-determinant, both ways, in training mode:
 *   autograd's ⟨∂y/∂p, v⟩ = (y(p + h v) − y(p − h v)) / 2h    with y a random combination of the entries
 * A value that is right but cut off from its history fails here, and the parameter that misses its gradient is named.
 */
export function gradientMeasure(trial: Trial): Measure {
  return worst(DIRECTIONS.map((direction) => directionMeasure(trial, direction)));
}

function directionMeasure(trial: Trial, direction: Direction): Measure {
  const bijector = trial.instance(direction);
  const rows = smoothRows(trial, direction);
  if (rows.length === 0) return { error: 0 };
  const { condition: given, ...points } = trial.at(rows);
  const point = (direction === "forward" ? points.x : points.z).tracked();
  const condition = given?.tracked();
  const targets: Target[] = [
    { name: direction === "forward" ? "x" : "z", tensors: [point] },
    ...(condition ? [{ name: "the condition", tensors: [condition] }] : []),
    ...bijector.namedParameters().map(([name, tensor]) => ({ name, tensors: [tensor] })),
  ];
  const { error, at } = inTraining(bijector, () =>
    slopeMeasure(targets, () => {
      const { out, logDet } = bijector[direction](point, condition);
      return { output: out, "log-determinant": logDet };
    }),
  );

  return { error, ...(at && { at: `${direction}: ${at}` }) };
}

/** How many points gradients are compared at. */
const POINTS = 2;

/** Points without an entry at or next to zero, where a map may have a kink and two slopes. */
function smoothRows(trial: Trial, direction: Direction): number[] {
  const { shape, data } = trial.points(direction);
  const N = data.length / shape[0];
  const smooth = (row: number): boolean =>
    data.subarray(row * N, (row + 1) * N).every((v) => Math.abs(v) > 1e-4);
  return Array.from({ length: shape[0] }, (_, row) => row)
    .filter(smooth)
    .slice(0, POINTS);
}

/** Steps of the difference quotient. The largest is the most exact, unless there is a kink between its ends. */
const STEPS = [1e-5, 1e-6, 1e-7];
/** Slopes are compared relative to their size, those below this share of y to that. */
const SMALL = 1e-3;

/** The largest error of autograd's slopes of what `map` gives, over outputs and targets. */
export function slopeMeasure(
  targets: readonly Target[],
  map: () => Readonly<Record<string, Tensor>>,
): Measure {
  const random = new Random(targets.length, 7);
  const sign = (): number => (random.uint32() & 1 ? -1 : 1);
  const directions = targets.map(({ tensors }) =>
    tensors.map(({ size }) => Float64Array.from({ length: size }, sign)),
  );

  using _ = new Scope();
  const results = Object.entries(map());
  const weights = results.map(([, y]) => random.normals(y.shape, y.dtype));
  /** Each result as one number, and the size of what was added up. */
  const numbers = (): { value: number; size: number }[] => {
    using _ = new Scope();
    return Object.values(noGrad(map)).map((y, i) => {
      let [value, size] = [0, 1];
      for (let j = 0; j < y.size; j++) {
        const term = y.data[j] * weights[i].data[j];
        value += term;
        size = Math.max(size, Math.abs(term));
      }
      return { value, size };
    });
  };
  const leaves = targets.flatMap(({ tensors }) => tensors);
  const gradients = results.map(
    ([, y], i) => new Map(grad(y, leaves, { dy: weights[i] }).map((g, j) => [leaves[j], g])),
  );

  const moved = (t: number, step: number): { value: number; size: number }[] => {
    const { tensors } = targets[t];
    const before = tensors.map(({ data }) => data.slice());
    tensors.forEach(({ data }, k) => {
      for (let i = 0; i < data.length; i++) data[i] += step * directions[t][k][i];
    });
    const found = numbers();
    tensors.forEach(({ data }, k) => {
      data.set(before[k]);
    });
    return found;
  };

  return worst(
    targets.flatMap(({ name, tensors }, t) => {
      const slopes = results.map((_, i) =>
        along(
          tensors.map((leaf) => gradients[i].get(leaf) ?? null),
          directions[t],
        ),
      );
      let found: Measure[] = [];
      for (const step of STEPS) {
        const [above, below] = [moved(t, step), moved(t, -step)];
        const errors = results.map(([what], i): Measure => {
          const expected = (above[i].value - below[i].value) / (2 * step);
          const slope = slopes[i];
          const scale = Math.abs(expected) + Math.abs(slope ?? 0) + SMALL * above[i].size;
          const error = finite(Math.abs(expected - (slope ?? 0)) / scale);
          // Without any path it is no matter of degree.
          if (slope === null && error > GOOD)
            return { error: Number.POSITIVE_INFINITY, at: `no gradient path from the ${what} to ${name}` };
          return { error, at: `${what} by ${name}` };
        });
        found = errors.map((now, i) => (found[i] && found[i].error < now.error ? found[i] : now));
        if (worst(found).error < GOOD) break;
      }
      return found;
    }),
  );
}

/** An error that no smaller step needs to mend. */
const GOOD = 1e-6;

/** ⟨gradient, direction⟩ over several tensors; null when none of them has a gradient. */
function along(gradients: readonly (Tensor | null)[], direction: readonly Float64Array[]): number | null {
  if (gradients.every((gradient) => gradient === null)) return null;
  let sum = 0;
  gradients.forEach((gradient, k) => {
    gradient?.data.forEach((value: number, i: number) => {
      sum += value * direction[k][i];
    });
  });
  return sum;
}
