import { type HostTensor, type LazyTensor, type Tensor, tidy } from "../../../core/index.ts";
import { inDType, rotaryTables } from "../../../nn/index.ts";
import { between, FlowerDecoder, stratifiedTimes } from "../../../vla/flower/flower.ts";
import type { NormForm } from "../../../vla/flower/norm.ts";
import { isDecayed } from "../../../vla/nina/training.ts";
import type { ParityResult } from "../case.ts";
import { Worst } from "../florence2/worst.ts";
import { compareGradientsOf } from "./flow.ts";
import { Golden, type GoldenCase, measured, type Precision, scaled } from "./golden.ts";
import { hashState } from "./hash-weights.ts";

export interface FlowerCase extends GoldenCase {
  readonly config: {
    readonly dit_dim: number;
    readonly n_heads: number;
    readonly n_layers: number;
    readonly hidden_dim: number;
    readonly act_window_size: number;
    readonly action_dim: number;
    readonly num_sampling_steps: number;
    readonly use_cross_attn: boolean;
    readonly use_rope: boolean;
    readonly query_seq_len: number;
    readonly rope_theta: number;
  };
  /** Seed of the hashed weights, where the file has none. */
  readonly seed: number;
  readonly params_total: number;
  readonly params_without_grad?: readonly string[];
  readonly adam_groups?: { readonly decay: readonly string[]; readonly no_decay: readonly string[] };
}

/** The reference makes rotary tables and the frequency's sinusoids in float32 whatever the model's type. */
const FLOAT64 = 1e-6;
/** The same tables in float64, per row: an angle of p radians is rounded by up to p · 2⁻²⁴ twice. */
const TABLE = 1.2e-7;

/** The rectified-flow decoder with stored weights: path, sample, loss, gradients, both norms. */
export function flowerCase(dir: string, one: FlowerCase): () => ParityResult {
  return () => {
    const golden = new Golden(dir, one.file);
    const worst = new Worst();
    compareGroups(one);
    for (const precision of ["float64", "float32"] as const) {
      tidy(() => {
        const decoder = golden.load(makeFlower(one, "mean square"), precision, "state.");
        worst.add("parameters", Math.abs(decoder.countParameters() - one.params_total), Number.MIN_VALUE);
        compareTables(golden, one, worst);
        compareSampling(decoder, golden, one, precision, worst, 2e-5);
        compareLoss(decoder, golden, one, precision, worst);
        decoder.dispose();

        if (!golden.has("variant.simplenorm_sample")) return;
        const older = golden.load(makeFlower(one, "variance"), precision, "state.");
        const condition = older.condition(golden.tensor("in.features", precision));
        const sample = older.sample(golden.tensor("in.z", precision), condition);
        const expected = golden.numbers("variant.simplenorm_sample");
        worst.compare(`${precision} variance norm`, sample.data, expected, scaled(2e-5, expected));
        older.dispose();
      });
    }
    return worst.result();
  };
}

/** A full-size decoder whose weights are made from their names. */
export function flowerHashCase(dir: string, one: FlowerCase): () => ParityResult {
  return () => {
    const golden = new Golden(dir, one.file);
    const worst = new Worst();
    const precisions: readonly Precision[] = golden.has("out64.sample")
      ? ["float64", "float32"]
      : ["float32"];
    for (const precision of precisions) {
      tidy(() => {
        const decoder = inDType(precision, makeFlower(one, "mean square"));
        worst.add("parameters", Math.abs(decoder.countParameters() - one.params_total), Number.MIN_VALUE);
        decoder.load(
          new Map<string, HostTensor | LazyTensor>([
            ...hashState(decoder, "", one.seed),
            ...rotaryState(one),
          ]),
        );
        compareSampling(decoder, golden, one, precision, worst, 2e-4);
        decoder.dispose();
      });
    }
    return worst.result();
  };
}

export const makeFlower =
  ({ config }: FlowerCase, norm: NormForm) =>
  (): FlowerDecoder =>
    new FlowerDecoder({
      steps: config.act_window_size,
      actionWidth: config.action_dim,
      features: config.hidden_dim,
      width: config.dit_dim,
      layers: config.n_layers,
      heads: config.n_heads,
      samplingSteps: config.num_sampling_steps,
      rotary: config.use_rope ? { theta: config.rope_theta, length: config.query_seq_len } : null,
      crossAttention: config.use_cross_attn,
      norm,
      tokenDropout: 0,
      dropout: 0,
      timeSampling: "stratified",
    });

/** The rotary tables are no weights. The reference computes them in float32, step by step. */
function rotaryState({ config }: FlowerCase): Map<string, HostTensor> {
  const state = new Map<string, HostTensor>();
  if (!config.use_rope) return state;
  const { query_seq_len: length, rope_theta: theta } = config;
  const half = config.dit_dim / config.n_heads / 2;
  const angle = (i: number): number => {
    const frequency = Math.fround(1 / Math.fround(theta ** Math.fround((i % half) / half)));
    return Math.fround(Math.floor(i / half) * frequency);
  };
  for (const [name, f] of Object.entries({ cos: Math.cos, sin: Math.sin })) {
    const data = Float32Array.from({ length: length * half }, (_, i) => f(angle(i)));
    const table: HostTensor = { dtype: "F32", shape: [length, half], data };
    for (let i = 0; i < config.n_layers; i++) state.set(`dit.${i}.self_attn.${name}`, table);
  }
  return state;
}

/** The tables a new model starts with against the stored ones. */
function compareTables(golden: Golden, { config }: FlowerCase, worst: Worst): void {
  if (!config.use_rope) return;
  const { query_seq_len: length, rope_theta: theta } = config;
  const { cos, sin } = rotaryTables(length, config.dit_dim / config.n_heads, theta);
  worst.compare("cos", cos, golden.numbers("state.dit.0.self_attn.cos"), TABLE * length);
  worst.compare("sin", sin, golden.numbers("state.dit.0.self_attn.sin"), TABLE * length);
}

/** Which of the file's results a comparison uses, and how exactly it must agree. */
function comparison(golden: Golden, one: GoldenCase, precision: Precision, worst: Worst) {
  const exact = (name: string): string => (golden.has(`out64.${name}`) ? `out64.${name}` : `out.${name}`);
  return (name: string, got: ArrayLike<number>, factor: number): void => {
    const expected = golden.numbers(exact(name));
    const tolerance =
      precision === "float64"
        ? scaled(FLOAT64, expected)
        : Math.max(scaled(factor, expected), 4 * measured(one, `out.${name}`));
    worst.compare(`${precision} ${name}`, got, expected, tolerance);
  };
}

function compareSampling(
  decoder: FlowerDecoder,
  golden: Golden,
  one: FlowerCase,
  precision: Precision,
  worst: Worst,
  factor: number,
): void {
  const compare = comparison(golden, one, precision, worst);
  const z = golden.tensor("in.z", precision);
  const condition = decoder.condition(golden.tensor("in.features", precision));
  const { states, velocities } = decoder.trajectory(z, condition);
  const join = (parts: readonly Tensor[]): number[] => parts.flatMap((part) => part.toArray());
  const rows = Array.from({ length: z.shape[0] }, () => decoder.embedFrequency());
  compare("frequency_embeds", join(rows), factor);
  compare("velocities", join(velocities), factor);
  compare("z_path", join(states.slice(0, -1)), factor);
  compare("z_final_unclamped", states[states.length - 1].data, factor);
  compare("sample", decoder.sample(z, condition).data, factor);
}

function compareLoss(
  decoder: FlowerDecoder,
  golden: Golden,
  one: FlowerCase,
  precision: Precision,
  worst: Worst,
): void {
  if (!golden.has("out.rf_loss")) return;
  const compare = comparison(golden, one, precision, worst);
  const [actions, z1] = [golden.tensor("in.actions", precision), golden.tensor("in.z1", precision)];
  const times = stratifiedTimes(golden.numbers("in.u")[0], actions.shape[0]);
  compare("rf_t", times, 1e-6);
  const t = golden.tensor(golden.has("out64.rf_t") ? "out64.rf_t" : "out.rf_t", precision);
  compare("rf_zt", between(actions, z1, t).data, 2e-5);
  const features = golden.tensor("in.features", precision).tracked();
  const loss = decoder.loss(actions, decoder.condition(features), { z1, t });
  compare("rf_loss", loss.data, 1e-5);
  const named: [string, Tensor][] = decoder.namedParameters().map(([name, p]) => [`grad.${name}`, p]);
  if (one.config.use_cross_attn) named.push(["grad_in.features", features]);
  compareGradientsOf(loss, named, golden, one, one.params_without_grad ?? [], precision, worst);
}

/** Weight decay by the reference's rule, which knows parameters by their names. */
function compareGroups({ adam_groups: groups }: FlowerCase): void {
  for (const name of groups?.decay ?? []) if (!isDecayed(name)) throw new Error(`${name}: not decayed`);
  for (const name of groups?.no_decay ?? []) if (isDecayed(name)) throw new Error(`${name}: decayed`);
}
