import {
  checkFunction,
  concat,
  type HostTensor,
  type LazyTensor,
  noGrad,
  Random,
  Scope,
  sameShape,
  showShape,
  Tensor,
} from "../core/index.ts";
import type { Squashed } from "./affine-coupling.ts";
import type { Bijector, Interval } from "./bijector.ts";
import type { Flow } from "./flow.ts";
import { baseLaws } from "./laws/base.ts";
import { laws } from "./laws/bijector.ts";
import { conditionEffect, conditionLaws } from "./laws/condition.ts";
import { flowLaws } from "./laws/flow.ts";
import { disposeAll, drawParameters, instancesOf, partOf } from "./laws/instances.ts";
import { freeConditions, freePoints } from "./laws/points.ts";
import {
  type Direction,
  distances,
  type Instances,
  type Invertible,
  type Law,
  type LawInput,
  type Measure,
  type Numbers,
  type Precision,
  Trial,
  take,
  tryLaw,
} from "./laws/trial.ts";
import { singularValues } from "./linear-algebra.ts";

export interface CertifyOptions {
  /** Values of the flow's tensors; drawn from the seed unless given. */
  readonly state?: ReadonlyMap<string, HostTensor | LazyTensor>;
  /** Cut off the names in `state`; names without it are left alone. */
  readonly prefix?: string;
  /** Width of the condition, 0 unless given. */
  readonly condition?: number;
  /**
   * Points of your own (B, …event), tried besides those that are drawn, determinants at each of them, and a condition
   * (B, condition) where the flow has one.
   */
  readonly own?: { readonly x: Tensor; readonly condition?: Tensor };
  /** Inputs are a function of it. 0 unless given. */
  readonly seed?: number;
  /** Points at which determinants are computed in each layer, 3 unless given: an ordinary one, a far one, zero, … */
  readonly points?: number;
  /** Largest error allowed in float64, 1e-8 unless given: rounding, times what the layers magnify it by. */
  readonly float64?: number;
  /**
   * Largest error allowed in float32, 1e-3 unless given: three digits of what is sampled. A tenth of it in one layer.
   */
  readonly float32?: number;
}

/** One law, tried at many inputs. */
export interface LawReport {
  readonly law: string;
  /** What it was tried on: "the whole flow", "the base", or "layer 4 (AffineCoupling)". */
  readonly subject: string;
  /** ∞ when something is not finite, or the law could not be tried (null in JSON). */
  readonly error: number;
  readonly tolerance: number;
  readonly holds: boolean;
  /**
   * What is wrong, or where the error is largest: a direction, a parameter, a shape; null where there is nothing to
   * say.
   */
  readonly at: string | null;
}

export interface LayerReport {
  readonly index: number;
  readonly kind: string;
  /**
   * Largest over smallest singular value of the layer's Jacobian at one input: how much it may magnify relative errors.
   */
  readonly conditionNumber: number;
  /** Share of log-scales within 1 % of ±1, where they no longer follow their network; null for layers without. */
  readonly saturation: number | null;
  /** As of the flow; 0 for a layer that has no use for a condition. */
  readonly conditionEffect: number | null;
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
  /** Laws of the whole flow, of the base, and each law of layers at the layer where it is nearest to breaking. */
  readonly laws: readonly LawReport[];
  /** Every law that is broken, at every layer where it is. */
  readonly findings: readonly LawReport[];
  readonly layers: readonly LayerReport[];
  /** How far another condition moves the same points, relative to their size; null for an unconditional flow. */
  readonly conditionEffect: number | null;
  /** What a random search found; it started at the worst of the flow's own samples. */
  readonly worst: WorstInput;
}

/** How far drawn parameters are from where they start. Errors grow from layer to layer with it. */
const SPREAD = 0.02;

/** Points of the whole flow and of each layer. Those of layers are more: some laws break in batches of 32 only. */
const WHOLE = 6;
const LAYER = 34;

/** Free points times this are noise that reaches to 3: further out a bounded base has no digits left to compare. */
const NOISE = 0.05;

/**
 * Tries the laws of bijectors, bases and densities on a flow: as a whole, and layer by layer, at points that reach the
 * layer and at points that no layer made. `make` builds the flow and is called three times: in float64, again for
 * inverses, and in float32. Without a `state` parameters are drawn away from special starting points.
 */
export function certify(make: () => Flow, options: CertifyOptions = {}): Certificate {
  checkFunction(make, "certify", "make, which builds the flow,");
  const { seed = 0, state, prefix = "", float64 = 1e-8, float32 = 1e-3, points = 3 } = options;
  using _ = new Scope();
  const flows = instancesOf(make, (flow) =>
    state ? flow.load(state, { prefix }) : drawParameters(flow, new Random(seed), SPREAD),
  );
  try {
    const tolerances: Record<Precision, number> = {
      float64,
      float32,
      slope: SLOPE,
      chance: CHANCE,
      integral: INTEGRAL,
    };
    const inPart = ({ precision }: { readonly precision: Precision }): number =>
      precision === "float32" ? float32 / 10 : tolerances[precision];
    const report = <T>(
      subject: string,
      law: Law<T>,
      trial: T,
      tolerance = tolerances[law.precision],
    ): LawReport => reported(subject, law, tryLaw(law, trial), tolerance);

    const input = drawInput(flows.fast, options);
    const lead = 1 + (options.own?.x.shape[0] ?? 0); // the user's points and a sample
    // Layers come first: they are to be tried by instances that nobody has called yet.
    const layers = tryLayers(flows, input, { lead, points, seed }, (subject, law, one) =>
      report(subject, law, one, inPart(law)),
    );
    const trial = new Trial(flows, input, lead);
    const { gradient: _oneByOne, ...mapLaws } = laws; // parameter by parameter in the layers
    const wholeLaws = [...Object.values(mapLaws), ...(input.condition ? [conditionLaws.matters] : [])];
    const whole = [
      ...wholeLaws.map((law) => report("the whole flow", law, trial)),
      ...Object.values(flowLaws).map((law) =>
        report("the whole flow", law, { instances: flows, trial, seed }),
      ),
    ];

    const noise = freePoints(WHOLE, flows.exact.base.event, new Random(seed, 2)).scale(NOISE);
    const bases = { instances: partOf(flows, ({ base }) => base), noise };
    const base = Object.values(baseLaws).map((law) => report("the base", law, bases, inPart(law)));

    const worst = attempt(() => searchWorst(flows.fast, options), NO_INPUT);
    const searched = reported("the whole flow", FLOAT32_ROUND_TRIP, { error: worst.error }, float32);
    const each = [...whole, searched, ...base, ...layers.flatMap((layer) => layer.reports)];
    const findings = each.filter(({ holds }) => !holds);
    return {
      holds: findings.length === 0,
      seed,
      laws: [...whole, searched, ...base, ...nearest(layers.map((layer) => layer.reports))],
      findings,
      layers: layers.map((layer) => layer.report),
      conditionEffect: effectOf(flows.exact, trial.at(trial.few)),
      worst,
    };
  } finally {
    disposeAll(flows);
  }
}

/** Differences of slopes: see `STEPS` in `laws/gradient.ts`. */
const SLOPE = 1e-4;
/** Standard errors: as far off by chance are one in 10⁹ of what is compared. */
const CHANCE = 6;
/** Integrals: what the midpoint rule leaves when densities are smooth. */
const INTEGRAL = 1e-3;

/** The worst input of a flow that throws. */
const NO_INPUT: WorstInput = { error: Number.POSITIVE_INFINITY, x: [], condition: null };

const FLOAT32_ROUND_TRIP = { name: `${laws.roundTrip.name}, in float32` };

function reported(
  subject: string,
  { name }: { readonly name: string },
  { error, at }: Measure,
  tolerance: number,
): LawReport {
  return { law: name, subject, error, tolerance, holds: error <= tolerance, at: at ?? null };
}

/** Of each law the report with the largest error. */
function nearest(layers: readonly (readonly LawReport[])[]): LawReport[] {
  const byLaw = new Map<string, LawReport>();
  for (const one of layers.flat()) {
    const known = byLaw.get(one.law);
    if (!known || one.error > known.error) byLaw.set(one.law, one);
  }
  return [...byLaw.values()];
}

/**
 * How far a condition moved by 1 moves points; null without one, and where a map throws, which is a finding of the
 * laws.
 */
function effectOf(bijector: Invertible, input: LawInput): number | null {
  const { condition } = input;
  return condition ? attempt(() => conditionEffect(bijector, input, condition.shift(1)), null) : null;
}

/**
 * What `body` gives, or `otherwise` where a broken flow throws: that is told by the laws, and the rest is still worth
 * knowing.
 */
function attempt<T>(body: () => T, otherwise: T): T {
  try {
    return body();
  } catch {
    return otherwise;
  }
}

/** Noise of ordinary, tiny and large size: points where the flow has its mass, next to its mode, and far out. */
const TEMPERATURES = [1, 1e-3, 3];

function drawNoise(flow: Flow, count: number, random: Random): Tensor {
  const noise = random.normals([count, ...flow.base.event], "float64");
  const N = noise.size / count;
  for (let i = 0; i < noise.size; i++) noise.data[i] *= TEMPERATURES[Math.floor(i / N) % TEMPERATURES.length];
  return noise;
}

/**
 * Points for the whole flow: the user's, its own samples, and points that no map made. Of the last two those that a
 * bounded layer cannot take are left out.
 */
function drawInput(fast: Flow, options: CertifyOptions): LawInput {
  const { seed = 0, condition: C = 0, own } = options;
  const random = new Random(seed, 4);
  const { event } = fast.base;
  const [samples, free] = [WHOLE, WHOLE];
  const extra = own?.x.shape[0] ?? 0;
  if (own && !sameShape(own.x.shape, [extra, ...event]))
    throw new Error(`certify: expected own points of ${showShape(event)}, got ${showShape(own.x.shape)}`);
  if (own && C > 0 && !(own.condition && sameShape(own.condition.shape, [extra, C])))
    throw new Error(`certify: expected own conditions ${showShape([extra, C])}, one for each of your points`);

  const double = (t: Tensor): Tensor => Tensor.from(t.data, t.shape, "float64");
  const drawn = C > 0 ? random.normals([samples, C], "float64") : undefined;
  const condition =
    drawn &&
    stack([...(own?.condition ? [double(own.condition)] : []), drawn, freeConditions(free, C, random)]);
  const domain = fast.layers[0]?.domain;
  const noise = drawNoise(fast, samples, random);
  const z = attempt(() => double(fast.base.fromNoise(rounded(noise), 1)), noise);
  const x = attempt(
    () => double(noGrad(() => fast.inverse(rounded(z), drawn && rounded(drawn)).out)),
    freePoints(samples, event, random, domain),
  );
  const again = Array.from({ length: extra }, (_, i) => i % samples);
  const input = {
    x: stack([...(own ? [double(own.x)] : []), x, freePoints(free, event, random, domain)]),
    z: stack([take(z, again), z, freePoints(free, event, random, fast.layers.at(-1)?.image)]),
    ...(condition && { condition }),
  };
  const inside = insideRows(fast.layers, input);
  const rows = Array.from({ length: extra + samples + free }, (_, row) => row).filter(
    (row) => row < extra || inside.includes(row),
  );
  if (rows.length === 0)
    throw new Error("certify: expected samples that every layer can take, got none; give points of your own");
  return {
    x: take(input.x, rows),
    z: take(input.z, rows),
    ...(condition && { condition: take(condition, rows) }),
  };
}

/** Rows whose points stay where every layer is defined, from x forward and from z back. */
function insideRows(layers: readonly Bijector[], { x, z, condition }: LawInput): number[] {
  const passes = [
    ...reaching(layers, "forward", x, condition).map((points, i) => ({ points, bounds: layers[i].domain })),
    ...reaching(layers, "inverse", z, condition).map((points, i) => ({ points, bounds: layers[i].image })),
  ];
  return Array.from({ length: x.shape[0] }, (_, row) => row).filter((row) =>
    passes.every(({ points, bounds }) => !bounds || !points || isInside(points, row, bounds)),
  );
}

function isInside({ shape, data }: Numbers, row: number, [low, high]: Interval): boolean {
  const N = data.length / shape[0];
  for (let i = row * N; i < (row + 1) * N; i++) if (!(data[i] >= low && data[i] <= high)) return false;
  return true;
}

/**
 * What reaches each layer of a float32 flow, first layer first, on the way forward or back; nothing beyond one that
 * throws.
 */
function reaching(
  layers: readonly Bijector[],
  direction: Direction,
  points: Tensor,
  condition: Tensor | undefined,
): (Numbers | undefined)[] {
  using _ = new Scope();
  const reached: (Numbers | undefined)[] = [];
  const c = condition && rounded(condition);
  let at: Tensor | undefined = rounded(points);
  const order = direction === "forward" ? layers : layers.toReversed();
  for (const layer of order) {
    const input: Tensor | undefined = at;
    reached.push(input && { shape: input.shape, data: input.data.slice() });
    at = input && attempt<Tensor | undefined>(() => noGrad(() => layer[direction](input, c).out), undefined);
  }
  return direction === "forward" ? reached : reached.reverse();
}

type Reporter = (subject: string, law: Law, trial: Trial) => LawReport;

/** Every law at every layer alone, so that two wrong ones that make up for each other are both found. */
function tryLayers(
  flows: Instances<Flow>,
  whole: LawInput,
  { lead, points, seed }: { readonly lead: number; readonly points: number; readonly seed: number },
  report: Reporter,
): { readonly report: LayerReport; readonly reports: readonly LawReport[] }[] {
  const { exact, fast } = flows;
  const there = reaching(fast.layers, "forward", whole.x, whole.condition);
  const back = reaching(fast.layers, "inverse", whole.z, whole.condition);
  return exact.layers.map((layer, index) => {
    using _ = new Scope();
    const kind = layer.constructor.name;
    const random = new Random(seed, 1000 + index);
    const event = exact.base.event;
    const input: LawInput = {
      x: inOrder(lead, ...layerPoints(there[index], whole.x.shape[0], event, random, layer.domain)),
      z: inOrder(lead, ...layerPoints(back[index], whole.z.shape[0], event, random, layer.image)),
      ...(whole.condition && {
        condition: inOrder(lead, whole.condition, freeConditions(LAYER, whole.condition.shape[1], random)),
      }),
    };
    const trial = new Trial(
      partOf(flows, ({ layers }) => layers[index]),
      input,
      lead + points - 1,
    );
    const effect = effectOf(layer, trial.at(trial.few));
    const used = effect !== null && effect > 0 ? [conditionLaws.matters] : [];
    const reports = [...Object.values(laws), ...used].map((law) =>
      report(`layer ${index} (${kind})`, law, trial),
    );
    const values = attempt(() => singularValues(trial.jacobian("forward", 0)), Float64Array.of(Number.NaN));
    return {
      reports,
      report: {
        index,
        kind,
        conditionNumber: values[0] / values[values.length - 1],
        saturation: isSquashed(layer)
          ? saturation(layer.logScale(trial.input.x, trial.input.condition))
          : null,
        conditionEffect: effect,
      },
    };
  });
}

/**
 * Points that reach a layer, and free ones. Where those that reach it are missing, not finite or outside, free ones
 * too.
 */
function layerPoints(
  reached: Numbers | undefined,
  rows: number,
  event: readonly number[],
  random: Random,
  bounds: Interval | undefined,
): [reached: Tensor, free: Tensor] {
  const shape = reached && reached.shape[0] === rows ? reached.shape.slice(1) : event;
  const own = freePoints(rows, shape, random, bounds);
  const N = own.size / rows;
  for (let row = 0; row < rows && reached?.data.length === own.size; row++) {
    const inside = isInside(reached, row, bounds ?? [-Number.MAX_VALUE, Number.MAX_VALUE]);
    if (inside) for (let i = row * N; i < (row + 1) * N; i++) own.data[i] = reached.data[i];
  }
  return [own, freePoints(LAYER, shape, random, bounds)];
}

/** Batches one after the other. */
const stack = (batches: readonly Tensor[]): Tensor => concat(batches, 0);

/**
 * The leading reached points first, then free ones but for their first, which is an ordinary one, then the other
 * reached ones.
 */
const inOrder = (lead: number, reached: Tensor, free: Tensor): Tensor =>
  stack([
    reached.slice(0, 0, lead),
    free.slice(0, 1, free.shape[0]),
    reached.slice(0, lead, reached.shape[0]),
  ]);

/** Samples from which the search starts. */
const SAMPLES = 192;
const ROUNDS = 20;
const TRIES = 16;

/** Starts at the sample with the largest error and keeps whatever random step makes it larger. */
function searchWorst(flow: Flow, { seed = 0, condition: C = 0 }: CertifyOptions): WorstInput {
  const random = new Random(seed, 1);
  const condition = C > 0 ? random.normals([SAMPLES, C], "float64") : undefined;
  const noise = drawNoise(flow, SAMPLES, random);
  const x = noGrad(
    () => flow.inverse(flow.base.fromNoise(rounded(noise), 1), condition && rounded(condition)).out,
  );
  const errors = roundTrips(flow, x, condition);
  const start = errors.indexOf(Math.max(...errors));
  const pick = (t?: Tensor): number[] | null => (t ? t.slice(0, start, start + 1).toArray() : null);
  let worst: WorstInput = { error: errors[start], x: pick(x) as number[], condition: pick(condition) };
  for (let round = 0; round < ROUNDS && Number.isFinite(worst.error); round++) {
    const step = 0.3 * 0.8 ** round;
    const move = (values: readonly number[]): number[] => values.map((v) => v + step * random.normal());
    const tries = Array.from({ length: TRIES }, () => ({
      x: move(worst.x),
      condition: worst.condition && move(worst.condition),
    }));
    const of = (lists: readonly (readonly number[])[], like: Tensor): Tensor =>
      Tensor.from(lists.flat(), [TRIES, ...like.shape.slice(1)], "float64");
    const points = of(
      tries.map((one) => one.x),
      x,
    );
    const conditions =
      condition &&
      of(
        tries.map((one) => one.condition ?? []),
        condition,
      );
    roundTrips(flow, points, conditions).forEach((error, i) => {
      // A step that leaves the flow's domain gives no number: that is no worse round trip.
      if (Number.isFinite(error) && error > worst.error) worst = { error, ...tries[i] };
    });
  }
  return worst;
}

const rounded = (t: Tensor): Tensor => Tensor.from(t.data, t.shape, "float32");

/** Round-trip errors of a float32 flow at float64 points, one per sample. */
function roundTrips(flow: Flow, x: Tensor, condition?: Tensor): Float64Array {
  using _ = new Scope();
  const [point, c] = [rounded(x), condition && rounded(condition)];
  return noGrad(() => distances(flow.inverse(flow.forward(point, c).out, c).out, point));
}

const isSquashed = (layer: Bijector): layer is Squashed => "logScale" in layer;

const saturation = (s: Tensor): number =>
  Array.from(s.data).filter((value) => Math.abs(value) > 0.99).length / s.size;
