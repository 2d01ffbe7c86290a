import { describe, expect, it, vi } from "vitest";
import { Random, Tensor } from "../../core/index.ts";
import * as nn from "../../nn/index.ts";
import { expectRefusal } from "../laws/refusals.ts";

vi.resetModules();
const other = { ...(await import("../../core/index.ts")), ...(await import("../../nn/index.ts")) };

// biome-ignore lint/suspicious/noExplicitAny: callers without types pass anything
type Anything = any;

/** What cannot be right, by what is expected in its place. */
const WRONG = {
  tensor: [undefined, null, 3, "x", [1, 2], {}, Float32Array.of(1), other.Tensor.ones([2, 2])],
  size: [undefined, null, Number.NaN, -1, 0.5, Infinity, "2", [2]],
  share: [null, Number.NaN, -0.1, 1, "0.5"],
  rate: [null, Number.NaN, -1, Infinity, "1"],
  options: [null, 3, [], { unknown: 1 }],
  shape: [undefined, null, 3, [Number.NaN], [-2], [1.5], {}],
  seed: [undefined, null, Number.NaN, -1, 0.5, "1"],
  finite: [undefined, null, Number.NaN, Infinity, "1"],
  positive: [undefined, null, Number.NaN, 0, -1, Infinity, "1"],
  f: [undefined, null, 3, {}],
  random: [undefined, 3, "x", {}, new other.Random(1)],
};
type Kind = keyof typeof WRONG;

const window = { kernel: 2, stride: 1, padding: 0 };
const schedule = { peak: 1, totalSteps: 10, phases: [0.2, 0, 0] as const, startFactor: 0.1, endFactor: 0.1 };
const ramp = { from: 0, to: 1, steps: 10 };
const decay = { from: 1, every: 10, factor: 0.5 };
const random = new Random(1);
const x = Tensor.ones([2, 2]);
const rows = Tensor.ones([1, 3, 4]);

/** How a thing is made or called, right arguments, and for each what kind it is; `more` are further wrong calls. */
interface Case {
  readonly call: (...args: Anything[]) => unknown;
  readonly args: readonly unknown[];
  readonly kinds: readonly Kind[];
  readonly more?: readonly (readonly unknown[])[];
  /** What is right as input of the layer that is made. */
  readonly input?: Tensor;
}

const made = (
  Layer: Anything,
  args: readonly unknown[],
  kinds: readonly Kind[],
  input: Tensor,
  more: unknown[][] = [],
): Case => ({
  call: (...given) => new Layer(...given),
  args,
  kinds,
  input,
  more: more.map((last) => [...args.slice(0, -1), ...last]),
});
const values = (key: string, options: object, wrong: readonly unknown[]): unknown[][] =>
  wrong.map((value) => [{ ...options, [key]: value }]);
const called = (
  call: Case["call"],
  args: readonly unknown[],
  kinds: readonly Kind[],
  more: unknown[][] = [],
): Case => ({ call, args, kinds, more });

const ramps = [
  ...values("from", ramp, WRONG.rate),
  ...values("to", ramp, WRONG.rate),
  ...values("steps", ramp, WRONG.size),
];

const CASES: Record<string, Case> = {
  Linear: made(nn.Linear, [2, 3, {}], ["size", "size", "options"], x, values("bias", {}, [null, 1])),
  Embedding: made(
    nn.Embedding,
    [4, 2, {}],
    ["size", "size", "options"],
    Tensor.from([0, 3], [2], "int32"),
    values("padding", {}, [-1, 4, 0.5, null]),
  ),
  Conv2d: made(nn.Conv2d, [2, 3, window], ["size", "size", "options"], Tensor.ones([1, 4, 4, 2]), [
    ...values("kernel", window, [0, ...WRONG.size]),
    ...values("stride", window, [0, ...WRONG.size]),
    ...values("padding", window, WRONG.size),
    ...values("bias", window, [null, 1]),
  ]),
  ConvTranspose2d: made(
    nn.ConvTranspose2d,
    [2, 3, window],
    ["size", "size", "options"],
    Tensor.ones([1, 4, 4, 2]),
    [...values("outputPadding", window, [1, -1, 0.5, null]), ...values("bias", window, [null, 1])],
  ),
  MaxPool2d: made(nn.MaxPool2d, [{ kernel: 2 }], ["options"], Tensor.ones([1, 4, 4, 2])),
  AvgPool2d: made(nn.AvgPool2d, [{ kernel: 2 }], ["options"], Tensor.ones([1, 4, 4, 2])),
  AdaptiveAvgPool2d: made(nn.AdaptiveAvgPool2d, [2, 3], [], Tensor.ones([1, 4, 4, 2])),
  AdaptiveMaxPool2d: made(nn.AdaptiveMaxPool2d, [2, 3], [], Tensor.ones([1, 4, 4, 2])),
  BatchNorm: made(nn.BatchNorm, [2, {}], ["size", "options"], x, values("momentum", {}, [2, ...WRONG.rate])),
  GroupNorm: made(nn.GroupNorm, [1, 2, 1e-5], ["size", "size", "rate"], x),
  InstanceNorm: made(nn.InstanceNorm, [2, {}], ["size", "options"], x, values("affine", {}, [null, 1])),
  DepthwiseConv2d: made(nn.DepthwiseConv2d, [2], ["size"], Tensor.ones([1, 4, 4, 2])),
  LayerNorm: made(nn.LayerNorm, [2, 1e-5], ["size", "rate"], x),
  RMSNorm: made(nn.RMSNorm, [2, 1e-5], ["size", "rate"], x),
  Mlp: made(nn.Mlp, [2, 4], ["size", "size"], x),
  SwiGlu: made(nn.SwiGlu, [2, 4, {}], ["size", "size", "options"], x),
  Dropout: made(nn.Dropout, [0.5], ["share"], x, [[undefined]]),
  DropPath: made(nn.DropPath, [0.5], ["share"], x),
  MultiheadAttention: made(nn.MultiheadAttention, [4, 2, {}], ["size", "size", "options"], rows),
  Lambda: { call: (f) => new nn.Lambda(f), args: [(y: Tensor) => y], kinds: ["f"] },
  Sequential: {
    call: (...layers) => new nn.Sequential(...layers),
    args: [new nn.Dropout(0)],
    kinds: [],
    input: x,
    more: [[(y: Tensor) => y], [undefined], [new other.Dropout(0)]],
  },
  rotaryTables: called(
    nn.rotaryTables,
    [3, 4, 100],
    ["size", "size", "positive"],
    [
      [3, 5, 100],
      [3, 4, 0],
    ],
  ),
  sinusoids: called(
    nn.sinusoids,
    [Tensor.ones([2]), 4, {}],
    ["tensor", "size", "options"],
    [
      [x, 4],
      [Tensor.ones([2]), 3],
    ],
  ),
  triStage: called(
    nn.triStage,
    [schedule],
    ["options"],
    [
      ...values("peak", schedule, WRONG.rate),
      ...values("totalSteps", schedule, [0, ...WRONG.size]),
      ...values("phases", schedule, [3, [1, 0], [0.1, 0.1, -1], ["0.1", 0, 0]]),
      ...values("startFactor", schedule, WRONG.rate),
    ],
  ),
  linearSchedule: called(nn.linearSchedule, [ramp], ["options"], ramps),
  cosineSchedule: called(nn.cosineSchedule, [ramp], ["options"], ramps),
  stepSchedule: called(
    nn.stepSchedule,
    [decay],
    ["options"],
    [
      ...values("from", decay, WRONG.rate),
      ...values("every", decay, [0, ...WRONG.size]),
      ...values("factor", decay, WRONG.positive),
    ],
  ),
  sequentialSchedule: called(
    nn.sequentialSchedule,
    [[], () => 1],
    [],
    [
      ...[undefined, null, 3, [3], [{ steps: -1, schedule: () => 1 }], [{ steps: 1, schedule: 3 }]].map(
        (phases) => [phases, () => 1],
      ),
      ...WRONG.f.map((last) => [[], last]),
    ],
  ),
  warmUp: called(nn.warmUp, [2, () => 1], ["size", "f"]),
  oneStepLate: called(nn.oneStepLate, [() => 1, 0.1], ["f", "rate"]),
  emaDecay: called(nn.emaDecay, [1], ["size"]),
  Ema: called((module) => new nn.Ema(module), [new nn.Linear(1, 1)], ["tensor"], [[new other.Linear(1, 1)]]),
  withMasks: called(nn.withMasks, [random, () => 1], ["random", "f"]),
  rotate: called(nn.rotate, [x, Tensor.ones([2, 1]), Tensor.ones([2, 1])], ["tensor"]),
  parameter: called(nn.parameter, [[2], nn.constant(0)], ["shape", "f"]),
  buffer: called(
    nn.buffer,
    [[2], nn.constant(0), "int32"],
    ["shape", "f"],
    [[[2], nn.constant(0), "float16"]],
  ),
  inDType: called(nn.inDType, ["float64", () => 1], ["f", "f"], [["int32", () => 1]]),
  constant: called(nn.constant, [1], ["finite"]),
  uniform: called(nn.uniform, [1], ["rate"]),
  fanIn: called(nn.fanIn, [1], ["positive"]),
  xavier: called(nn.xavier, [1, 1], ["positive", "positive"]),
  gaussian: called(nn.gaussian, [1], ["rate"]),
};

it.each(Object.entries(CASES))("%s takes what is right and refuses what cannot be", (name, c) => {
  const { call, args, kinds, more = [] } = c;
  call(...args);
  kinds.forEach((kind, i) => {
    for (const wrong of WRONG[kind]) expectRefusal(() => call(...args.with(i, wrong)), name);
  });
  for (const given of more) expectRefusal(() => call(...given), name);
});

const LAYERS = Object.entries(CASES).filter(([, { input }]) => input);
it.each(LAYERS)("%s: forward refuses what is no tensor", (name, { call, args, input }) => {
  const layer = (call(...args) as { init(random: Random): Anything }).init(random);
  layer.forward(input);
  for (const wrong of WRONG.tensor) expectRefusal(() => layer.forward(wrong), name);
});

it("schedules refuse steps that are none, and have no gap where a phase has no length", () => {
  const rate = nn.triStage(schedule);
  for (const step of WRONG.size) {
    expectRefusal(() => rate(step as number), "triStage");
    expectRefusal(() => nn.oneStepLate(rate, 0)(step as number), "oneStepLate");
  }
  for (let step = 0; step < 12; step++) expect(rate(step)).toBeGreaterThan(0); // the decay of no steps gave NaN
});

describe("AdamW", () => {
  const p = (): Tensor => Tensor.ones([2]).tracked();
  const lines = (parameters: Anything, options?: Anything) => (): unknown =>
    new nn.AdamW(parameters, options);

  it("refuses what are no named parameters", () => {
    const linear = new nn.Linear(1, 1);
    for (const wrong of [
      undefined,
      null,
      p(),
      linear,
      [],
      [p()],
      linear.parameters(),
      [["p", 3]],
      [[p(), "p"]],
    ])
      expectRefusal(lines(wrong), "AdamW");
    expectRefusal(lines([["p", other.Tensor.ones([2])]]), "AdamW");
    expectRefusal(lines([["p", Tensor.ones([2], "int32")]]), "AdamW");
    expectRefusal(
      lines([
        ["p", p()],
        ["p", p()],
      ]),
      "AdamW",
    );
  });

  it("refuses options that it does not have, or that cannot be right", () => {
    const wrong = {
      betas: [0.9, [0.9], [0.9, 1], [0.9, Number.NaN]],
      eps: WRONG.rate,
      weightDecay: WRONG.rate,
    };
    for (const [key, list] of Object.entries({
      ...wrong,
      decays: [null, true],
      lr: [0.1],
      weight_decay: [0],
    }))
      for (const value of list) expectRefusal(lines([["p", p()]], { [key]: value }), "AdamW");
  });

  it("refuses steps without a learning rate, and gradients that are none", () => {
    const q = p();
    const optimizer = new nn.AdamW([["p", q]]);
    for (const lr of [undefined, ...WRONG.rate])
      expectRefusal(() => optimizer.step([p()], lr as number), "AdamW.step");
    for (const gradients of [undefined, null, p(), [undefined], [3], [x], [Tensor.ones([2], "float64")]])
      expectRefusal(() => optimizer.step(gradients as Anything, 0.1), "AdamW.step");
    expect(q.toArray()).toEqual([1, 1]);
  });
});
