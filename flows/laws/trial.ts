import { noGrad, Scope, Tensor, type TensorData } from "../../core/index.ts";
import { Dropout, type Module } from "../../nn/index.ts";
import type { Bijector } from "../bijector.ts";
import { sampleJacobian } from "./jacobian.ts";

/** A bijector, or a flow seen as one. */
export type Invertible = Module & Pick<Bijector, "forward" | "inverse">;

/**
 * One bijector three times, with the same numbers in its tensors. Laws call `forward` of the first and `inverse` of the
 * second, so an inverse that lives on what its forward left behind has nothing to live on.
 */
export interface Instances<T = Invertible> {
  /** float64. */
  readonly exact: T;
  /** float64 as well. */
  readonly twin: T;
  /** float32. */
  readonly fast: T;
}

/** Where a law is tried, float64. */
export interface LawInput {
  /** Points to map forward, (B, …event). */
  readonly x: Tensor;
  /** Points to map back, (B, …event). */
  readonly z: Tensor;
  /** (B, …); absent for unconditional bijectors. */
  readonly condition?: Tensor;
}

/** How far a law is from holding. */
export interface Measure {
  /** 0 when it holds exactly, ∞ when something is not finite. */
  readonly error: number;
  /** What is wrong or where: a direction, a parameter, a shape. */
  readonly at?: string;
}

/**
 * What the errors of a law are made of where it holds: rounding in float64 or float32, that of a difference quotient,
 * standard errors of a sample, or the error of an integral.
 */
export type Precision = "float64" | "float32" | "slope" | "chance" | "integral";

/** Something every bijector must satisfy, or every base, or every flow. */
export interface Law<T = Trial> {
  readonly name: string;
  readonly precision: Precision;
  readonly measure: (trial: T) => Measure;
}

/** Numbers on the host: row-major, the batch first. Tensors are such. */
export interface Numbers {
  readonly shape: readonly number[];
  readonly data: ArrayLike<number>;
}

/** What a map gave, and what it did besides. */
export interface Result {
  readonly out: Numbers;
  readonly logDet: Numbers;
  /** Which of its inputs the map overwrote. */
  readonly overwritten: readonly string[];
}

export type Direction = "forward" | "inverse";
export const DIRECTIONS = ["forward", "inverse"] as const;

/**
 * A bijector at given points. What its maps give there is computed once, when a law first asks, and shared by all laws.
 */
export class Trial {
  readonly instances: Instances;
  readonly input: LawInput;
  /** At how many of the points determinants are computed: the first ones. */
  readonly determinants: number;
  readonly #results = new Map<string, Result>();
  readonly #jacobians = new Map<string, Float64Array>();
  readonly #before: readonly State[];

  /** The points are rounded to float32, so that both precisions see the same ones. */
  constructor(instances: Instances, { x, z, condition }: LawInput, determinants = 3) {
    const rounded = (t: Tensor): Tensor =>
      Tensor.from(Float64Array.from(t.data, Math.fround), t.shape, "float64");
    this.instances = instances;
    this.input = { x: rounded(x), z: rounded(z), ...(condition && { condition: rounded(condition) }) };
    this.determinants = determinants;
    this.#before = [stateOf(instances.exact), stateOf(instances.twin)];
  }

  /** forward(x) */
  get forward(): Result {
    return this.#once("forward", () => this.map(this.instances.exact, "forward", this.input.x));
  }

  /** inverse(forward(x)) */
  get back(): Result {
    return this.#once("back", () => this.map(this.instances.twin, "inverse", this.forward.out));
  }

  /** inverse(z) */
  get inverse(): Result {
    return this.#once("inverse", () => this.map(this.instances.twin, "inverse", this.input.z));
  }

  /** forward(inverse(z)) */
  get again(): Result {
    return this.#once("again", () => this.map(this.instances.exact, "forward", this.inverse.out));
  }

  /** forward(x) or inverse(z) in float32. */
  fast(direction: Direction): Result {
    return this.#once(`fast ${direction}`, () =>
      this.map(this.instances.fast, direction, this.points(direction)),
    );
  }

  /** ∂forward/∂x or ∂inverse/∂z at one row, N × N row-major. */
  jacobian(direction: Direction, row: number): Float64Array {
    const name = `${direction} ${row}`;
    const known = this.#jacobians.get(name);
    if (known) return known;
    using _ = new Scope();
    const { x, z, condition } = this.at([row]);
    const bijector = this.instance(direction);
    const made = sampleJacobian(
      (p, c) => bijector[direction](p, c),
      direction === "forward" ? x : z,
      condition,
    );
    this.#jacobians.set(name, made);
    return made;
  }

  /** The float64 instance that a direction is tried on. */
  instance(direction: Direction): Invertible {
    return direction === "forward" ? this.instances.exact : this.instances.twin;
  }

  /** x or z. */
  points(direction: Direction): Tensor {
    return direction === "forward" ? this.input.x : this.input.z;
  }

  /** A few rows: the first ones, and the last. */
  get few(): number[] {
    const B = this.input.x.shape[0];
    return [...new Set([0, 1, 2, B - 1])].filter((row) => row < B);
  }

  /** The bijector at some of the rows, which may repeat. */
  at(rows: readonly number[]): LawInput {
    const { x, z, condition } = this.input;
    return { x: take(x, rows), z: take(z, rows), ...(condition && { condition: take(condition, rows) }) };
  }

  /** What a map gives at some of the points. */
  mapRows(bijector: Invertible, direction: Direction, rows: readonly number[]): Result {
    const { x, z, condition } = this.at(rows);
    return this.map(bijector, direction, direction === "forward" ? x : z, condition);
  }

  /**
   * What a map gives at copies of the points, rounded to the dtype of the bijector; `condition` is the input's unless
   * given.
   */
  map(
    bijector: Invertible,
    direction: Direction,
    points: Numbers,
    condition: Numbers | undefined = this.input.condition,
  ): Result {
    const dtype = bijector === this.instances.fast ? "float32" : "float64";
    using _ = new Scope();
    const copy = (from: Numbers): Tensor => Tensor.from(from.data, from.shape, dtype);
    const given = { points: copy(points), ...(condition && { condition: copy(condition) }) };
    const before = Object.entries(given).map(([name, tensor]) => ({
      name,
      tensor,
      data: tensor.data.slice(),
    }));
    const { out, logDet } = noGrad(() => bijector[direction](given.points, given.condition));
    const overwritten = before
      .filter(({ tensor, data }) => !sameNumbers(tensor.data, data))
      .map(({ name }) => name);
    return { out: snapshot(out), logDet: snapshot(logDet), overwritten };
  }

  /** Tensors of the bijector that are no longer what they were before the first law was tried. */
  changedState(): string[] {
    return [this.instances.exact, this.instances.twin].flatMap((bijector, i) => {
      const before = this.#before[i];
      return [...stateOf(bijector)]
        .filter(([name, data]) => !sameNumbers(data, before.get(name) ?? []))
        .map(([name]) => name);
    });
  }

  #once(name: string, make: () => Result): Result {
    const known = this.#results.get(name) ?? make();
    this.#results.set(name, known);
    return known;
  }
}

/** Tries a law. One that cannot be tried, because the bijector throws, does not hold. */
export function tryLaw<T>({ measure }: Law<T>, trial: T): Measure {
  using _ = new Scope();
  try {
    return measure(trial);
  } catch (error) {
    return { error: Number.POSITIVE_INFINITY, at: (error as Error).message };
  }
}

/** Runs `body` with a module in training mode, dropout aside, and puts it back into the mode it was in. */
export function inTraining<T>(module: Module, body: () => T): T {
  const before = [...module.modules()].map((one) => ({ one, mode: one.training }));
  for (const { one } of before) one.training = !(one instanceof Dropout);
  try {
    return body();
  } finally {
    for (const { one, mode } of before) one.training = mode;
  }
}

type State = ReadonlyMap<string, TensorData>;

const stateOf = (module: Module): State =>
  new Map([...module.namedTensors()].map(([name, tensor]) => [name, tensor.data.slice()]));

const snapshot = (tensor: Tensor): Numbers => ({ shape: [...tensor.shape], data: tensor.data.slice() });

/** Bit for bit, but for the sign of zero; NaN is itself. */
const sameNumbers = (a: ArrayLike<number>, b: ArrayLike<number>): boolean => {
  for (let i = 0; i < a.length; i++)
    if (a[i] !== b[i] && !(Number.isNaN(a[i]) && Number.isNaN(b[i]))) return false;
  return a.length === b.length;
};

/** Some rows of a batch, (B, …) → (rows, …). */
export function take(from: Numbers, rows: readonly number[]): Tensor {
  const N = sizeOfRow(from);
  const taken = Tensor.empty([rows.length, ...from.shape.slice(1)], "float64");
  const { data } = taken;
  rows.forEach((row, to) => {
    for (let i = 0; i < N; i++) data[to * N + i] = from.data[row * N + i];
  });
  return taken;
}

const sizeOfRow = ({ shape, data }: Numbers): number =>
  shape.length > 0 ? data.length / shape[0] : data.length;

/** The largest of the `distances` of a batch. */
export const distance = (a: Numbers, b: Numbers): number => distances(a, b).reduce(larger, 0);

/**
 * Per sample, the largest difference between entries of a and b, relative to the largest entry of b when that is
 * above 1; ∞ when something is missing or not finite.
 */
export function distances(a: Numbers, b: Numbers): Float64Array {
  const N = sizeOfRow(b);
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
export const larger = (a: number, b: number): number => (b > a || Number.isNaN(b) ? b : a);

export const finite = (error: number): number => (Number.isFinite(error) ? error : Number.POSITIVE_INFINITY);

/** The measure with the largest error; the first of several. */
export const worst = (measures: readonly Measure[]): Measure =>
  measures.reduce((a, b) => (b.error > a.error ? b : a), { error: 0 });
