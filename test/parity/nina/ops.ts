import { grad, Tensor, tidy } from "../../../core/index.ts";
import {
  LayerNorm,
  Linear,
  type Module,
  MultiheadAttention,
  RMSNorm,
  rotaryTables,
  rotate,
  SwiGlu,
  sinusoids,
} from "../../../nn/index.ts";
import type { ParityResult } from "../case.ts";
import { Worst } from "../florence2/worst.ts";
import {
  Golden,
  type GoldenCase,
  measured,
  type Precision,
  STORED_AS_FLOAT32,
  scaled,
  size,
} from "./golden.ts";

/** What the group comparisons share. */
interface Context {
  readonly golden: Golden;
  readonly one: GoldenCase;
  readonly precision: Precision;
  readonly worst: Worst;
}

/** Single layers and functions, outputs and gradients, by the names in the golden file. */
export function opsCase(dir: string, one: GoldenCase): () => ParityResult {
  return () => {
    const golden = new Golden(dir, one.file);
    const worst = new Worst();
    const groups = [...new Set([...golden.tensors.keys()].map((name) => name.split(".")[0]))];
    for (const precision of ["float64", "float32"] as const) {
      tidy(() => {
        for (const group of groups) {
          const compare = group.startsWith("mha_") ? attention : comparisons[group];
          if (!compare) throw new Error(`${one.file}: nothing computes the group ${group}`);
          compare({ golden, one, precision, worst }, group);
        }
      });
    }
    return worst.result();
  };
}

const comparisons: Readonly<Record<string, ((context: Context, group: string) => void) | undefined>> = {
  linear,
  softmax,
  softmax1: softmax,
  norm: () => {}, // the inputs of the three norms
  layernorm,
  rmsnorm,
  simplenorm,
  stateless_norm: statelessNorm,
  unary,
  rope,
  swiglu,
  timestep,
  freq3,
};

/**
 * Compares with a float64 result that was stored as float32. Where it is not finite, ours must be the same. A gradient
 * that does not exist counts as zeros.
 */
function check(
  { golden, one, precision, worst }: Context,
  name: string,
  got: Tensor | null,
  factor = 1e-5,
  compared: (i: number) => boolean = () => true,
  magnified = 1,
): void {
  const all = golden.numbers(name);
  const finite = [...all.keys()].filter((i) => Number.isFinite(all[i]) && compared(i));
  const expected = finite.map((i) => all[i]);
  const ours = finite.map((i) => got?.data[i] ?? 0);
  const tolerance =
    precision === "float64"
      ? scaled(STORED_AS_FLOAT32, expected)
      : Math.max(scaled(factor, expected), 4 * magnified * measured(one, name.split(".")[0]));
  worst.compare(`${precision} ${name}`, ours, expected, tolerance);
  all.forEach((value, i) => {
    if (!Number.isFinite(value) && !Object.is(value, got?.data[i]))
      worst.add(`${precision} ${name}[${i}]`, Number.POSITIVE_INFINITY, 1);
  });
}

/** Output and gradients of Σ y ⊙ go. */
function checkBackward(
  context: Context,
  group: string,
  y: Tensor,
  go: string,
  inputs: readonly (readonly [name: string, tensor: Tensor])[],
): void {
  check(context, `${group}.out`, y, 2e-5);
  const gradients = grad(
    y.mul(context.golden.tensor(go, context.precision)).sum(),
    inputs.map(([, tensor]) => tensor),
  );
  inputs.forEach(([name], i) => {
    check(context, `${group}.${name}`, gradients[i]);
  });
}

function attention(context: Context, group: string): void {
  const { golden, precision } = context;
  const [q, kv] = ["q", "kv"].map((name) =>
    golden.has(`${group}.${name}`) ? golden.tensor(`${group}.${name}`, precision).tracked() : undefined,
  );
  if (!q) throw new Error(`${group}: no queries`);
  const E = q.shape[2];
  // The number of heads is not written down: it is the one that gives the recorded mean weights.
  const heads = headCount(golden, group, E);
  const layer = golden.load(() => new MultiheadAttention(E, heads), precision, `${group}.state.`);
  const named = layer.namedParameters().map(([name, p]) => [`grad.${name}`, p] as const);
  const inputs = [["grad_q", q] as const, ...(kv ? [["grad_kv", kv] as const] : [])];
  checkBackward(context, group, layer.forward(q, kv ?? q), `${group}.go`, [...inputs, ...named]);
  layer.dispose();
}

/** Which divisor of E reproduces the golden output best. */
function headCount(golden: Golden, group: string, E: number): number {
  let best = { heads: 1, error: Number.POSITIVE_INFINITY };
  for (let heads = 1; heads <= E; heads++) {
    if (E % heads !== 0) continue;
    const layer = golden.load(() => new MultiheadAttention(E, heads), "float64", `${group}.state.`);
    const q = golden.tensor(`${group}.q`, "float64");
    const kv = golden.has(`${group}.kv`) ? golden.tensor(`${group}.kv`, "float64") : q;
    const expected = golden.numbers(`${group}.out`);
    const got = layer.forward(q, kv).toArray();
    const error = got.reduce((sum, y, i) => sum + Math.abs(y - expected[i]), 0);
    if (error < best.error) best = { heads, error };
    layer.dispose();
  }
  return best.heads;
}

function linear(context: Context): void {
  const { golden, precision } = context;
  const [x, w, b] = ["x", "w", "b"].map((name) => golden.tensor(`linear.${name}`, precision).tracked());
  const layer = filled(new Linear(w.shape[1], w.shape[0]), { weight: w, bias: b });
  checkBackward(context, "linear", layer.forward(x), "linear.go", [
    ["grad_x", x],
    ["grad_w", w],
    ["grad_b", b],
  ]);
}

function softmax(context: Context, group: string): void {
  const { golden, precision } = context;
  // One column: whatever goes in, the output is one and its gradient zero.
  const x = golden.has(`${group}.x`)
    ? golden.tensor(`${group}.x`, precision).tracked()
    : Tensor.full(golden.host(`${group}.out`).shape, 0.5, precision).tracked();
  const go = golden.has(`${group}.go`)
    ? golden.tensor(`${group}.go`, precision)
    : Tensor.ones(x.shape, precision);
  const y = x.softmax();
  check(context, `${group}.out`, y, 2e-5);
  check(context, `${group}.grad`, grad(y.mul(go).sum(), [x])[0]);
}

function layernorm(context: Context, group: string): void {
  const { x, w, b } = normInputs(context);
  const layer = filled(new LayerNorm(w.size), { weight: w, bias: b });
  const y = layer.forward(x);
  check(context, `${group}.out`, y, 2e-5);
  const [dx, dw, db] = grad(y.mul(context.golden.tensor("norm.go", context.precision)).sum(), [x, w, b]);
  check(context, `${group}.grad_b`, db);
  // Σ go ⊙ x̂: what the outputs may deviate by, times go.
  check(context, `${group}.grad_w`, dw, 1e-5, undefined, size(context.golden.numbers("norm.go")));
  const smooth = context.precision === "float64" ? undefined : spreadRows(x);
  check(context, `${group}.grad_x`, dx, 1e-5, smooth);
}

/**
 * Whether an entry lies in a row whose entries differ by more than float32 can tell: in the others what is left after
 * subtracting the mean is rounding, which the gradient divides by the row's deviation once more.
 */
function spreadRows(x: Tensor): (i: number) => boolean {
  const C = x.shape[1];
  return (i) => {
    const start = i - (i % C);
    const row = Array.from(x.data.subarray(start, start + C));
    return Math.max(...row) - Math.min(...row) > 1e-4 * Math.max(...row.map(Math.abs));
  };
}

function rmsnorm(context: Context, group: string): void {
  const { x, w } = normInputs(context);
  const layer = filled(new RMSNorm(w.size), { weight: w });
  checkBackward(context, group, layer.forward(x), "norm.go", [
    ["grad_x", x],
    ["grad_w", w],
  ]);
}

/**
 * The RMSNorm of timm before 1.0.13, composed of ops: x / √(unbiased variance + 1e-6) · w. In float64 only: some of
 * the rows are equal to six digits, and a variance composed of float32 ops is rounding there.
 */
function simplenorm(context: Context, group: string): void {
  if (context.precision === "float32") return;
  const { x, w } = normInputs(context);
  const C = w.size;
  const variance = x
    .sub(x.mean([-1], true))
    .square()
    .mean([-1], true)
    .scale(C / (C - 1));
  checkBackward(context, group, x.div(variance.shift(1e-6).sqrt()).mul(w), "norm.go", [
    ["grad_x", x],
    ["grad_w", w],
  ]);
}

/** LayerNorm without gain and bias, eps 1e-6. */
function statelessNorm(context: Context, group: string): void {
  const x = context.golden.tensor(`${group}.x`, context.precision);
  const C = x.shape[1];
  const [gain, bias] = [Tensor.ones([C], x.dtype), Tensor.zeros([C], x.dtype)];
  check(context, `${group}.out`, x.layerNorm(gain, bias, 1e-6), 2e-5);
}

function normInputs({ golden, precision }: Context): { x: Tensor; w: Tensor; b: Tensor } {
  const [x, w, b] = ["x", "w", "b"].map((name) => golden.tensor(`norm.${name}`, precision).tracked());
  return { x, w, b };
}

function unary(context: Context): void {
  const { golden, precision, worst } = context;
  const functions = ["gelu", "silu", "tanh", "sigmoid"] as const;
  for (const name of functions) {
    const x = golden.tensor("unary.in", precision).tracked();
    const y = x[name]();
    check(context, `unary.${name}`, y);
    check(context, `unary.${name}.grad`, grad(y.sum(), [x])[0]);
  }
  for (const name of functions) {
    // At infinities the recording shows its library's choices, some of them NaN; finite numbers are compared.
    const edge = golden.numbers("unary.in_edge");
    const finite = [...edge.keys()].filter((i) => Number.isFinite(edge[i]));
    const x = Tensor.from(edge, [edge.length], precision);
    const expected = golden.numbers(`unary.${name}.edge`);
    const pick = (values: ArrayLike<number>): number[] => finite.map((i) => values[i]);
    worst.compare(`${precision} unary.${name}.edge`, pick(x[name]().data), pick(expected), 1e-5);
  }
  check(context, "unary.exp", golden.tensor("unary.exp.in", precision).exp());
}

function rope(context: Context): void {
  const { golden, precision, worst } = context;
  const [length, half] = golden.host("rope.cos").shape;
  const tables = rotaryTables(length, 2 * half, 32);
  worst.compare("rope.cos", tables.cos, golden.numbers("rope.cos"), 1e-6); // float32 angles there
  worst.compare("rope.sin", tables.sin, golden.numbers("rope.sin"), 1e-6);
  for (const name of ["q", "k"]) {
    const x = golden.tensor(`rope.${name}`, precision);
    const T = x.shape[2];
    const [cos, sin] = ["cos", "sin"].map((t) => golden.tensor(`rope.${t}`, precision).slice(0, 0, T));
    check(context, `rope.${name}_out`, rotate(x, cos, sin), 2e-5);
  }
}

function swiglu(context: Context, group: string): void {
  const { golden, precision } = context;
  const [hidden, features] = golden.host("swiglu.state.fc1.weight").shape;
  const layer = golden.load(() => new SwiGlu(features, hidden), precision, "swiglu.state.");
  check(context, `${group}.out`, layer.forward(golden.tensor("swiglu.x", precision)), 2e-5);
  layer.dispose();
}

/** Angles reach 1000, so a float32 table is good to about 6e-5. */
const ANGLES_IN_FLOAT32 = 1e-4;

function timestep({ golden, precision, worst }: Context): void {
  const got = sinusoids(golden.tensor("timestep.t", precision), 256, { scale: 1000 }).data;
  const tolerance = precision === "float64" ? 1e-9 : ANGLES_IN_FLOAT32;
  worst.compare(`${precision} timestep`, got, golden.numbers("timestep.embedding64"), tolerance);
}

function freq3({ golden, precision, worst }: Context): void {
  const got = sinusoids(Tensor.full([1], 3, precision), 256, { period: 1000 }).data;
  worst.compare(`${precision} freq3`, got, golden.numbers("freq3.embedding"), 1e-6);
}

/** Puts tensors into a layer's fields in place of its own, so that they are what gradients are taken for. */
function filled<M extends Module>(layer: M, fields: Partial<Record<keyof M, Tensor>>): M {
  layer.dispose();
  return Object.assign(layer, fields);
}
