import { sameShape, showShape } from "../../core/index.ts";
import { logAbsDet } from "../linear-algebra.ts";
import { gradientMeasure } from "./gradient.ts";
import {
  DIRECTIONS,
  type Direction,
  distance,
  finite,
  inTraining,
  type Law,
  type Measure,
  type Numbers,
  type Result,
  type Trial,
  take,
  worst,
} from "./trial.ts";

/** The laws of a single bijector. Those of a base are in `base.ts`, of a whole density in `flow.ts`. */
export const laws = {
  shapes: {
    name: "outputs have the shape of inputs, log-determinants are (B)",
    precision: "float64",
    measure: shapes,
  },
  roundTrip: { name: "inverse(forward(x)) = x", precision: "float64", measure: roundTrip },
  roundTripBack: { name: "forward(inverse(z)) = z", precision: "float64", measure: roundTripBack },
  logDet: {
    name: "the log-determinant is that of the Jacobian",
    precision: "float64",
    measure: (trial) => jacobianMeasure(trial, "forward"),
  },
  inverseLogDet: {
    name: "the inverse's log-determinant is that of its Jacobian",
    precision: "float64",
    measure: (trial) => jacobianMeasure(trial, "inverse"),
  },
  cancellation: {
    name: "forward and inverse log-determinants cancel",
    precision: "float64",
    measure: cancellation,
  },
  batch: { name: "a batch equals its rows", precision: "float64", measure: batch },
  repeat: {
    name: "calls repeat in any order and leave inputs and state alone",
    precision: "float64",
    measure: repeat,
  },
  training: { name: "training maps as evaluation does", precision: "float64", measure: training },
  gradient: { name: "gradients are slopes", precision: "slope", measure: gradientMeasure },
  float32: { name: "float32 agrees with float64", precision: "float32", measure: float32 },
  largeBatch: {
    name: "a batch of hundreds equals its rows, in float32",
    precision: "float32",
    measure: largeBatch,
  },
} as const satisfies Record<string, Law>;

/** out has the shape of the input and logDet is (B), both ways, in both precisions: 0, or ∞ where not. */
function shapes(trial: Trial): Measure {
  const results: [string, Result, Numbers][] = [
    ["forward", trial.forward, trial.input.x],
    ["inverse", trial.inverse, trial.input.z],
    ["forward in float32", trial.fast("forward"), trial.input.x],
    ["inverse in float32", trial.fast("inverse"), trial.input.z],
  ];
  return worst(
    results.flatMap(([map, { out, logDet }, input]) => {
      const differ = (what: string, found: Numbers, expected: readonly number[]): Measure[] =>
        sameShape(found.shape, expected)
          ? []
          : [
              {
                error: Number.POSITIVE_INFINITY,
                at: `${map}: ${what} ${showShape(found.shape)}, expected ${showShape(expected)}`,
              },
            ];
      return [
        ...differ("output", out, input.shape),
        ...differ("log-determinant", logDet, input.shape.slice(0, 1)),
      ];
    }),
  );
}

/** max |inverse(forward(x)) − x|, see `distance`: 1 and more where two x share a z. */
function roundTrip(trial: Trial): Measure {
  return { error: distance(trial.back.out, trial.input.x) };
}

/** max |forward(inverse(z)) − z|, see `distance`. */
function roundTripBack(trial: Trial): Measure {
  return { error: distance(trial.again.out, trial.input.z) };
}

/** max over points of |logDet − log |det ∂map/∂point||, relative to log-determinants above 1. */
function jacobianMeasure(trial: Trial, direction: Direction): Measure {
  const { data } = trial[direction].logDet;
  // Cancellation ties the inverse to its forward, so a third of the points will do.
  const wanted = direction === "forward" ? trial.determinants : Math.ceil(trial.determinants / 3);
  const rows = Math.min(wanted, trial.input.x.shape[0]);
  return worst(
    Array.from({ length: rows }, (_, row) => {
      const expected = logAbsDet(trial.jacobian(direction, row));
      const error = finite(Math.abs(data[row] - expected) / Math.max(1, Math.abs(expected)));
      return { error, at: `row ${row}` };
    }),
  );
}

/** max |logDet of forward at x + logDet of inverse at forward(x)|, and the same starting from z. */
function cancellation(trial: Trial): Measure {
  const sum = (there: Result, back: Result): number =>
    distance({ ...back.logDet, data: Float64Array.from(back.logDet.data, (v) => -v) }, there.logDet);
  return worst([
    { error: sum(trial.forward, trial.back), at: "from x" },
    { error: sum(trial.inverse, trial.again), at: "from z" },
  ]);
}

/** max difference between mapping a batch at once and some of its rows one by one, outputs and log-determinants. */
function batch(trial: Trial): Measure {
  return worst(
    DIRECTIONS.flatMap((direction) =>
      trial.few.map((row) => {
        const alone = trial.mapRows(trial.instance(direction), direction, [row]);
        return { error: difference(alone, trial[direction], [row]), at: `${direction}, row ${row}` };
      }),
    ),
  );
}

/**
 * max difference between a call and the same call later, after other calls, and of another instance that has seen
 * others; ∞ when a call changes its inputs, or a parameter or buffer.
 */
function repeat(trial: Trial): Measure {
  const { exact, twin } = trial.instances;
  const rows = trial.few;
  const first = trial.mapRows(exact, "forward", rows);
  const later = [
    trial.mapRows(exact, "inverse", rows),
    trial.mapRows(exact, "forward", rows.toReversed()),
    trial.mapRows(exact, "forward", rows),
    trial.mapRows(twin, "forward", rows),
    trial.mapRows(twin, "inverse", rows),
  ];
  const spoilt = [
    ...DIRECTIONS.flatMap((direction) =>
      [trial[direction], trial.fast(direction)].flatMap(({ overwritten }) =>
        overwritten.map((name) => `${direction} overwrites its ${name}`),
      ),
    ),
    ...trial.changedState().map((name) => `a call changes ${name}`),
  ];
  return worst([
    ...spoilt.map((at) => ({ error: Number.POSITIVE_INFINITY, at })),
    { error: difference(later[2], first), at: "forward, called again" },
    { error: difference(later[3], first), at: "forward of another instance" },
    { error: difference(later[4], later[0]), at: "inverse of another instance" },
  ]);
}

/** max difference between the maps in training and in evaluation mode. `Dropout`, random by intent, stays off. */
function training(trial: Trial): Measure {
  return worst(
    DIRECTIONS.map((direction) => {
      const bijector = trial.instance(direction);
      const trained = inTraining(bijector, () => trial.mapRows(bijector, direction, trial.few));
      return { error: difference(trained, trial[direction], trial.few), at: direction };
    }),
  );
}

/** max difference between float32 and float64 at the same points, outputs and log-determinants. */
function float32(trial: Trial): Measure {
  return worst(
    DIRECTIONS.flatMap((direction) => {
      const [fast, exact] = [trial.fast(direction), trial[direction]];
      return [
        { error: distance(fast.out, exact.out), at: `${direction}: output` },
        { error: distance(fast.logDet, exact.logDet), at: `${direction}: log-determinant` },
      ];
    }),
  );
}

/** A number of rows that is no multiple of anything. */
const LARGE = 257;

/** max difference in float32 between the points, repeated until they are 257, and the points as they are. */
function largeBatch(trial: Trial): Measure {
  const B = trial.input.x.shape[0];
  const rows = Array.from({ length: LARGE }, (_, i) => i % B);
  return worst(
    DIRECTIONS.map((direction) => {
      const many = trial.mapRows(trial.instances.fast, direction, rows);
      return { error: difference(many, trial.fast(direction), rows), at: direction };
    }),
  );
}

/** max difference between two results; of the second only the given rows. */
function difference(a: Result, b: Result, rows?: readonly number[]): number {
  const of = (numbers: Numbers): Numbers => (rows ? take(numbers, rows) : numbers);
  return Math.max(distance(a.out, of(b.out)), distance(a.logDet, of(b.logDet)));
}
