import { checkFunction, type HostTensor, type LazyTensor, Random, Scope, Tensor } from "../core/index.ts";
import { inDType } from "../nn/index.ts";
import type { Squashed } from "./affine-coupling.ts";
import type { Bijector } from "./bijector.ts";
import { Chain, forwardSteps } from "./chain.ts";
import type { Flow } from "./flow.ts";
import { conditionEffect, distances, type LawInput, laws, sampleJacobian } from "./laws.ts";
import { singularValues } from "./linear-algebra.ts";

export interface CertifyOptions {
  /** Values of the flow's tensors; drawn from the seed unless given. */
  readonly state?: ReadonlyMap<string, HostTensor | LazyTensor>;
  /** Cut off the names in `state`; names without it are left alone. */
  readonly prefix?: string;
  /** Width of the condition, 0 unless given. Conditions are drawn standard normal. */
  readonly condition?: number;
  /** Inputs are a function of it. 0 unless given. */
  readonly seed?: number;
  /** Points at which determinants are computed, 6 unless given. Round trips take 32 times as many. */
  readonly points?: number;
  /** Largest error allowed in float64, 1e-8 unless given: rounding, times what the layers magnify it by. */
  readonly float64?: number;
  /** Largest round-trip error allowed in float32, 1e-3 unless given: three digits of what is sampled. */
  readonly float32?: number;
}

/** One law, tried at many inputs. */
export interface LawReport {
  readonly law: string;
  /** ∞ when something is not finite (null in JSON). */
  readonly error: number;
  readonly tolerance: number;
  readonly holds: boolean;
}

export interface LayerReport {
  readonly index: number;
  readonly kind: string;
  /** Largest over smallest singular value of the layer's Jacobian at one input: how much it may magnify relative errors. */
  readonly conditionNumber: number;
  /** Share of log-scales within 1 % of ±1, where they no longer follow their network; null for layers without. */
  readonly saturation: number | null;
}

/** An input and its round-trip error in float32. */
export interface WorstInput {
  readonly error: number;
  readonly x: readonly number[];
  readonly condition: readonly number[] | null;
}

export interface Certificate {
  /** Whether every law holds. */
  readonly holds: boolean;
  readonly seed: number;
  readonly laws: readonly LawReport[];
  readonly layers: readonly LayerReport[];
  /** How far another condition moves the same points, relative to their size; null for an unconditional flow. */
  readonly conditionEffect: number | null;
  /** What a random search found; it started at the worst of the points that the laws were tried at. */
  readonly worst: WorstInput;
}

/** Noise of ordinary, tiny and large size: points where the flow has its mass, next to its mode, and far out. */
const TEMPERATURES = [1, 1e-3, 3];

/**
 * Tries the laws of bijectors on a flow: all of them in float64, the round trip in float32 too. Points are the flow's
 * own samples at several temperatures. `make` builds the flow and is called once per precision.
 */
export function certify(make: () => Flow, options: CertifyOptions = {}): Certificate {
  checkFunction(make, "certify", "make, which builds the flow,");
  const { seed = 0, points = 6, float64 = 1e-8, float32 = 1e-3 } = options;
  using _ = new Scope();
  const exact = filled(make, "float64", options);
  const fast = filled(make, "float32", options);
  try {
    const whole = new Chain(exact.layers);
    const few = drawInput(exact, points, options);
    const many = drawInput(exact, 32 * points, options);
    const worst = searchWorst(fast, many, new Random(seed, 1));
    const reports: LawReport[] = [];
    const report = (law: string, error: number, tolerance: number): void => {
      reports.push({ law, error, tolerance, holds: error <= tolerance });
    };
    for (const law of [laws.roundTrip, laws.roundTripBack, laws.cancellation])
      report(law.name, law.error(whole, many), float64);
    for (const law of [laws.logDet, laws.inverseLogDet, laws.batch])
      report(law.name, law.error(whole, few), float64);
    report(`${laws.roundTrip.name}, in float32`, worst.error, float32);
    return {
      holds: reports.every(({ holds }) => holds),
      seed,
      laws: reports,
      layers: inspectLayers(exact, few),
      conditionEffect: few.condition ? conditionEffect(whole, few, few.condition.shift(1)) : null,
      worst,
    };
  } finally {
    exact.dispose();
    fast.dispose();
  }
}

function filled(make: () => Flow, dtype: "float32" | "float64", options: CertifyOptions): Flow {
  const { state, prefix = "", seed = 0 } = options;
  const flow = inDType(dtype, make);
  return state ? flow.load(state, { prefix }) : flow.init(new Random(seed));
}

function drawInput(flow: Flow, count: number, { seed = 0, condition: C = 0 }: CertifyOptions): LawInput {
  const random = new Random(seed);
  const condition = C > 0 ? random.normals([count, C], "float64") : undefined;
  const noise = random.normals([count, ...flow.base.event], "float64");
  const N = noise.size / count;
  for (let i = 0; i < noise.size; i++) noise.data[i] *= TEMPERATURES[Math.floor(i / N) % TEMPERATURES.length];
  const z = flow.base.shape(noise, 1);
  const x = flow.inverse(z, condition).out;
  return { x, z, ...(condition && { condition }) };
}

const ROUNDS = 20;
const TRIES = 16;

/** Starts at the point with the largest error and keeps whatever random step makes it larger. */
function searchWorst(flow: Flow, { x, condition }: LawInput, random: Random): WorstInput {
  const errors = roundTrips(flow, x, condition);
  const start = errors.indexOf(Math.max(...errors));
  const pick = (t?: Tensor): number[] | null => (t ? t.slice(0, start, start + 1).toArray() : null);
  let worst: WorstInput = { error: errors[start], x: pick(x) as number[], condition: pick(condition) };
  for (let round = 0; round < ROUNDS && Number.isFinite(worst.error); round++) {
    using _ = new Scope();
    const step = 0.3 * 0.8 ** round;
    const move = (values: readonly number[]): number[] => values.map((v) => v + step * random.normal());
    const tries = Array.from({ length: TRIES }, () => ({
      x: move(worst.x),
      condition: worst.condition && move(worst.condition),
    }));
    const points = Tensor.from(
      tries.flatMap((one) => one.x),
      [TRIES, ...x.shape.slice(1)],
      "float64",
    );
    const conditions = condition && tries.flatMap((one) => one.condition ?? []);
    const found = roundTrips(
      flow,
      points,
      conditions && Tensor.from(conditions, [TRIES, ...(condition?.shape.slice(1) ?? [])], "float64"),
    );
    found.forEach((error, i) => {
      // A step that leaves the flow's domain gives no number: that is no worse round trip.
      if (Number.isFinite(error) && error > worst.error) worst = { error, ...tries[i] };
    });
  }
  return worst;
}

/** Round-trip errors of a float32 flow at float64 points, one per sample. */
function roundTrips(flow: Flow, x: Tensor, condition?: Tensor): Float64Array {
  using _ = new Scope();
  const rounded = (t: Tensor): Tensor => Tensor.from(t.data, t.shape, "float32");
  const [point, c] = [rounded(x), condition && rounded(condition)];
  return distances(flow.inverse(flow.forward(point, c).out, c).out, point);
}

function inspectLayers(flow: Flow, { x, condition }: LawInput): LayerReport[] {
  using _ = new Scope();
  const first = (t: Tensor): Tensor => t.slice(0, 0, 1);
  const inputs = [x, ...forwardSteps(flow.layers, x, condition).map((step) => step.out)];
  return flow.layers.map((layer, index) => {
    const map = (p: Tensor, c?: Tensor) => layer.forward(p, c);
    const values = singularValues(sampleJacobian(map, first(inputs[index]), condition && first(condition)));
    return {
      index,
      kind: layer.constructor.name,
      conditionNumber: values[0] / values[values.length - 1],
      saturation: isSquashed(layer) ? saturation(layer.logScale(inputs[index], condition)) : null,
    };
  });
}

const isSquashed = (layer: Bijector): layer is Squashed => "logScale" in layer;

const saturation = (s: Tensor): number =>
  Array.from(s.data).filter((value) => Math.abs(value) > 0.99).length / s.size;
