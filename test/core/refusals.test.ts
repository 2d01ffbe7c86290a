import { afterAll, describe, expect, it, vi } from "vitest";
import {
  adamWStep,
  addInto,
  checkpoint,
  concat,
  eachGradient,
  einsum,
  FrozenWeights,
  grad,
  jacobian,
  jvp,
  moveToward,
  noGrad,
  Random,
  Scope,
  scaleInPlace,
  stack,
  Tensor,
  vjp,
} from "../../core/index.ts";
import type * as ops from "../../core/ops/index.ts";
import { expectRefusal } from "../laws/refusals.ts";

vi.resetModules();
const otherCopy: typeof import("../../core/index.ts") = await import("../../core/index.ts");

// biome-ignore lint/suspicious/noExplicitAny: callers without types pass anything
type Anything = any;

/** What cannot be right, by what is expected in its place. */
const WRONG: Record<string, readonly Anything[]> = {
  tensor: [undefined, null, 3, "x", [1, 2], {}, Float32Array.of(1), otherCopy.Tensor.ones([2, 2])],
  operand: [undefined, null, "2", [1, 2], { shape: [2, 2], dtype: "float32" }, otherCopy.Tensor.ones([2, 2])],
  axis: [undefined, null, Number.NaN, 0.5, 9, -9, "0", [0]],
  axes: [0, null, "0", [0, 0], [9], [Number.NaN], [0.5], ["0"], {}],
  shape: [undefined, null, 3, "x", [Number.NaN], [-2, -2], [1.5], {}],
  count: [undefined, null, Number.NaN, -1, 0.5, Infinity, "1", [1]],
  number: [undefined, null, "1", [1], {}],
  epsilon: [undefined, null, Number.NaN, -1, Infinity, "1"],
  share: [undefined, null, Number.NaN, -0.1, 1, "0.5"],
  random: [undefined, null, 0, Math],
  options: [undefined, null, 3, [], { unknown: 1 }],
  flag: [0, "yes", null],
  dtype: ["float16", "constructor", null, 32],
};

const x = Tensor.from([
  [1, 2],
  [3, 4],
]);
const map = Tensor.ones([1, 4, 4, 2]);
const packed = Tensor.ones([1, 3, 6]);
const row = Tensor.ones([2]);
const ids = Tensor.from([0, 1], [2], "int32");
const random = new Random(1);
const weights = new FrozenWeights([Float32Array.of(1, 2, 3, 4)], 2, 2);
afterAll(() => weights.dispose());

/** A right call of an op, and for each of its arguments what kind it is; other wrong calls are added. */
interface Case {
  readonly on?: Tensor;
  readonly args: readonly Anything[];
  readonly kinds: readonly string[];
  readonly more?: readonly (readonly Anything[])[];
}

const plain: Case = { args: [], kinds: [] };
const binary: Case = { args: [row], kinds: ["operand"], more: [[Tensor.ones([3])], [ids]] };
const reduction: Case = { args: [[0]], kinds: ["axes"], more: [[[0], 1]] };
const spread: Case = {
  ...reduction,
  more: [
    [[0], 1],
    [[0], true, -1],
    [[0], true, "1"],
  ],
};
const notAxes = [0.5, 9, "0"].map((axis) => [axis]);
const places = Tensor.zeros([2, 2], "int32");
const place: Case = {
  args: [0],
  kinds: [],
  more: [0.5, 9, "0", null].map((axis) => [axis]),
};
const none = { kernel: 2, stride: 1, padding: 0 };
const attentionOptions = { heads: 1, width: 2 };

const CASES: Record<keyof typeof ops, Case> = {
  abs: plain,
  asinh: plain,
  cos: plain,
  cosh: plain,
  exp: plain,
  gelu: plain,
  log: plain,
  log1p: plain,
  neg: plain,
  sigmoid: plain,
  sign: plain,
  silu: plain,
  sin: plain,
  sinh: plain,
  softmax: plain,
  softplus: plain,
  sqrt: plain,
  square: plain,
  tanh: plain,
  ceil: plain,
  exp2: plain,
  expm1: plain,
  floor: plain,
  isFinite: plain,
  isNaN: plain,
  logicalNot: plain,
  onesLike: plain,
  reciprocal: plain,
  relu: plain,
  round: plain,
  rsqrt: plain,
  zerosLike: plain,
  add: binary,
  div: binary,
  eq: binary,
  ge: binary,
  gt: binary,
  le: binary,
  logicalAnd: binary,
  logicalOr: binary,
  lt: binary,
  maximum: binary,
  minimum: binary,
  mul: binary,
  ne: binary,
  pow: binary,
  sub: binary,
  channelAttention: {
    on: packed,
    args: [1],
    kinds: ["count"],
    more: [[0], [4]],
  },
  all: reduction,
  any: reduction,
  logSumExp: reduction,
  max: reduction,
  mean: reduction,
  min: reduction,
  norm: reduction,
  prod: reduction,
  sum: reduction,
  std: spread,
  var: spread,
  argmax: place,
  argmin: place,
  cumprod: { args: [0], kinds: ["axis"] },
  cumsum: { args: [0], kinds: ["axis"] },
  argsort: { args: [0], kinds: [], more: [...notAxes, [0, 1]] },
  sort: { args: [0], kinds: [], more: [...notAxes, [0, 1]] },
  topk: {
    args: [1, 0],
    kinds: ["count"],
    more: [
      [3, 0],
      [1, 9],
      [1, 0, 1],
    ],
  },
  cast: { args: ["float64"], kinds: ["dtype"] },
  flip: { args: [[0]], kinds: ["axes"] },
  gather: {
    args: [0, places],
    kinds: ["axis", "tensor"],
    more: [
      [0, x],
      [0, ids],
      [0, Tensor.full([1, 2], 2, "int32")],
    ],
  },
  scatter: {
    args: [0, places, x],
    kinds: ["axis", "tensor", "tensor"],
    more: [
      [0, x, x],
      [0, places, row],
      [0, Tensor.full([2, 2], -1, "int32"), x],
    ],
  },
  scatterAdd: {
    args: [0, places, x],
    kinds: ["axis", "tensor", "tensor"],
    more: [
      [0, x, x],
      [0, places, row],
      [0, Tensor.full([2, 2], -1, "int32"), x],
    ],
  },
  indexSelect: { args: [0, ids], kinds: ["axis", "tensor"], more: [[0, x]] },
  oneHot: {
    on: ids,
    args: [3],
    kinds: ["count"],
    more: [[0], [1], [3, "float16"]],
  },
  roll: { args: [1, 0], kinds: [], more: [[0.5, 0], ["1", 0], [1, 9], [1]] },
  split: {
    args: [1, 0],
    kinds: [],
    more: [
      [0, 0],
      [[1], 0],
      [[3, -1], 0],
      ["1", 0],
      [1, 2],
    ],
  },
  squeeze: { on: Tensor.ones([1, 2]), args: [0], kinds: [], more: [[1], [2], [0.5]] },
  unsqueeze: { args: [0], kinds: ["axis"] },
  tile: { args: [[2]], kinds: [], more: [[2], [[0.5]], [[-1]], ["x"]] },
  attention: {
    on: packed,
    args: [packed, packed, attentionOptions],
    kinds: ["tensor", "tensor", "options"],
    more: [
      ...WRONG.count.map((heads) => [packed, packed, { ...attentionOptions, heads }]),
      ...WRONG.count.slice(1).map((width) => [packed, packed, { ...attentionOptions, width }]),
      ...[Number.NaN, -1, 0.5, 5].map((keysAt) => [packed, packed, { ...attentionOptions, keysAt }]),
      ...[Number.NaN, 0, -1, "1", null].map((scale) => [packed, packed, { ...attentionOptions, scale }]),
      ...WRONG.flag.map((causal) => [packed, packed, { ...attentionOptions, causal }]),
      ...[Tensor.ones([2]), Tensor.ones([2, 1, 3, 3]), "x"].map((bias) => [
        packed,
        packed,
        { ...attentionOptions, bias },
      ]),
      [packed, packed, { heads: 4 }],
      [row, packed, attentionOptions],
    ],
  },
  broadcastTo: { args: [[3, 2, 2]], kinds: ["shape"], more: [[[3]]] },
  chunk: {
    args: [2, 0],
    kinds: ["count", "axis"],
    more: [
      [0, 0],
      [3, 0],
    ],
  },
  clamp: {
    args: [0, 1],
    kinds: ["number", "number"],
    more: [
      [2, 1],
      [Number.NaN, 1],
    ],
  },
  depthwiseConv: {
    on: map,
    args: [Tensor.ones([3, 3, 2])],
    kinds: ["tensor"],
    more: [[Tensor.ones([2, 1, 3, 3])], [row]],
  },
  dropout: { args: [0.5, random], kinds: ["share", "random"] },
  elu: { args: [1], kinds: [], more: [[Number.NaN], ["1"]] },
  frozenLinear: {
    on: Tensor.ones([1, 2, 2]),
    args: [weights],
    kinds: ["tensor"],
    more: [
      [weights, 3],
      [weights, { biases: row }],
      [weights, { bias: 3 }],
      [weights, { biasFrom: -1 }],
    ],
  },
  gatherRows: { args: [ids], kinds: ["tensor"], more: [[row], [ids, 0.5], [ids, -1], [ids, 2]] },
  fullLike: { args: [2], kinds: ["number"] },
  hardtanh: {
    args: [-1, 1],
    kinds: [],
    more: [
      [1, -1],
      [Number.NaN, 1],
    ],
  },
  layerNorm: { args: [row, row, 1e-5], kinds: ["tensor", "tensor", "epsilon"], more: [[x, row, 1e-5]] },
  leakyRelu: { args: [0.1], kinds: [], more: [[Number.NaN], ["1"]] },
  linear: { args: [x, row], kinds: ["tensor"], more: [[x, 3], [x, x], [Tensor.ones([2, 3])], [row]] },
  maskedFill: { args: [row, 0], kinds: ["tensor", "number"], more: [[Tensor.ones([3]), 0]] },
  matmul: {
    args: [x],
    kinds: ["tensor"],
    more: [
      ...[3, null, { transpose_b: true }, { transposeB: 1 }].map((options) => [x, options]),
      [row],
      [Tensor.ones([3, 2])],
    ],
  },
  pad: { args: [0, 1, 1], kinds: ["axis", "count", "count"] },
  permute: { args: [[1, 0]], kinds: ["axes"], more: [[undefined], [[0]], [[0, -1]]] },
  reshape: { args: [[4]], kinds: ["shape"], more: [[[3]], [[-1]]] },
  rmsNorm: {
    args: [Tensor.ones([1, 2]), Tensor.ones([1, 2]), 1e-6],
    kinds: ["tensor", "tensor", "epsilon"],
    more: [[row, row, 1e-6]],
  },
  scale: { args: [2], kinds: ["number"] },
  shift: { args: [2], kinds: ["number"] },
  slice: {
    args: [0, 0, 1],
    kinds: ["axis", "count", "count"],
    more: [
      [0, 1, 3],
      [0, 2, 1],
    ],
  },
  sumTo: { args: [[2]], kinds: ["shape"], more: [[[3]]] },
  t: plain,
  triangle: { args: [{ lower: true }], kinds: ["options"], more: [[{}], [{ lower: 1 }], [{ upper: true }]] },
  triangularSolve: {
    args: [x, { lower: true, unit: false }],
    kinds: ["tensor", "options"],
    more: [
      [x, { lower: true }],
      [row, { lower: true, unit: true }],
    ],
  },
  fold: {
    on: map, // (1, 4, 4, 1) are the windows of one pixel each of a map of 4 by 4
    args: [{ kernel: 1, stride: 1, padding: 0, height: 4, width: 4 }],
    kinds: ["options"],
    more: [
      [{ ...none, kernel: 1, height: 0, width: 4 }],
      [{ ...none, kernel: 1, height: 4 }],
      [{ ...none, kernel: 1, height: 5, width: 4 }],
      [{ ...none, kernel: 3, height: 6, width: 6 }],
    ],
  },
  unfold: {
    on: map,
    args: [none],
    kinds: ["options"],
    more: [
      ...[0, ...WRONG.count].map((kernel) => [{ ...none, kernel }]),
      ...[0, ...WRONG.count].map((stride) => [{ ...none, stride }]),
      ...WRONG.count.map((padding) => [{ ...none, padding }]),
      [{ ...none, kernel: 5 }],
    ],
  },
  where: { args: [row, row], kinds: ["operand", "operand"], more: [[Tensor.ones([3]), row]] },
};

describe.each(Object.entries(CASES))("%s", (name, { on = x, args, kinds, more = [] }) => {
  const call = (given: readonly Anything[], receiver = on): unknown => {
    using _ = new Scope();
    return (receiver as Anything)[name](...given);
  };

  it("takes what is right", () => {
    call(args);
  });

  it("refuses what cannot be right", () => {
    const wrong = kinds.flatMap((kind, i) => WRONG[kind].map((value) => args.with(i, value)));
    const tooMany = [...args, ...new Array(8).fill(undefined)];
    for (const given of [...wrong, ...more, tooMany]) expectRefusal(() => call(given), name);
  });
});

it("ops without a meaning for integers refuse them", () => {
  const meaningful = [
    "abs",
    "argmax",
    "argmin",
    "argsort",
    "sort",
    "ceil",
    "floor",
    "hardtanh",
    "isFinite",
    "isNaN",
    "logicalNot",
    "neg",
    "onesLike",
    "relu",
  ];
  meaningful.push("round", "sign", "square", "t", "zerosLike");
  for (const [name, { on = x, kinds }] of Object.entries(CASES)) {
    if (on !== x || kinds.length > 0 || meaningful.includes(name)) continue;
    expectRefusal(() => (Tensor.zeros([2, 2], "int32") as Anything)[name](), name);
  }
  for (const call of [
    () => ids.div(2),
    ...["logSumExp", "mean", "norm", "std", "var"].map((name) => () => (ids as Anything)[name]()),
    () => ids.linear(ids),
    () => ids.dropout(0.5, random),
  ])
    expectRefusal(call, "");
});

describe("creation", () => {
  const make: Record<string, (shape: Anything, dtype?: Anything) => unknown> = {
    "Tensor.empty": (shape, dtype) => Tensor.empty(shape, dtype),
    "Tensor.zeros": (shape, dtype) => Tensor.zeros(shape, dtype),
    "Tensor.ones": (shape, dtype) => Tensor.ones(shape, dtype),
    "Tensor.full": (shape, dtype) => Tensor.full(shape, 0, dtype),
    "Random.normals": (shape, dtype) => random.normals(shape, dtype),
    "Random.uniforms": (shape, dtype) => random.uniforms(shape, 0, 1, dtype),
  };

  it.each(Object.entries(make))("%s refuses shapes and dtypes that are none", (who, call) => {
    for (const shape of WRONG.shape) expectRefusal(() => call(shape), who);
    for (const dtype of WRONG.dtype) expectRefusal(() => call([2], dtype), who);
  });

  it("from refuses what are no numbers, and shapes that do not fit", () => {
    const from = (values: Anything, shape?: Anything, dtype?: Anything) => (): unknown =>
      Tensor.from(values, shape, dtype);
    const endless: Anything[] = [];
    endless.push(endless);
    const values = [undefined, null, 3, "12", {}, x, [1, undefined], ["1"], [null], [true], new Array(2)];
    for (const wrong of [...values, BigInt64Array.of(1n), endless, new Map()])
      expectRefusal(from(wrong), "Tensor.from");
    for (const ragged of [
      [[1, 2], [3]],
      [[1], 2],
      [1, [2]],
      [[[1]], [[1], [2]]],
    ])
      expectRefusal(from(ragged), "Tensor.from");
    for (const shape of [3, [3], [Number.NaN], [-1, -2], "2"])
      expectRefusal(from([1, 2], shape), "Tensor.from");
    expectRefusal(
      from(
        [
          [1, 2],
          [3, 4],
        ],
        [4],
      ),
      "Tensor.from",
    );
    for (const dtype of WRONG.dtype) expectRefusal(from([1], [1], dtype), "Tensor.from");
  });

  it("arange, linspace and eye refuse what is no number, no step and no count", () => {
    for (const wrong of ["1", null, NaN, Infinity] as Anything[]) {
      expectRefusal(() => Tensor.arange(wrong), "Tensor.arange");
      expectRefusal(() => Tensor.arange(0, 1, wrong), "Tensor.arange");
      expectRefusal(() => Tensor.linspace(0, wrong, 2), "Tensor.linspace");
    }
    expectRefusal(() => Tensor.arange(0, 1, 0), "Tensor.arange");
    expectRefusal(() => Tensor.arange(0, 1, 0.5, "int32"), "Tensor.arange");
    for (const wrong of WRONG.count) {
      expectRefusal(() => Tensor.linspace(0, 1, wrong), "Tensor.linspace");
      expectRefusal(() => Tensor.eye(wrong), "Tensor.eye");
    }
    for (const dtype of WRONG.dtype.slice(0, 2)) expectRefusal(() => Tensor.eye(2, dtype), "Tensor.eye");
  });

  it("int32 takes integers that fit, and nothing else", () => {
    for (const value of [0.5, Number.NaN, 2 ** 31, -(2 ** 31) - 1, Infinity]) {
      expectRefusal(() => Tensor.from([value], [1], "int32"), "Tensor.from");
      expectRefusal(() => Tensor.from(Float64Array.of(value), [1], "int32"), "Tensor.from");
      expectRefusal(() => Tensor.full([1], value, "int32"), "Tensor.full");
      expectRefusal(() => ids.add(value), "add");
    }
    expectRefusal(() => Tensor.ones([1], "int32").tracked(), "tracked");
  });

  it("the constructor names the way to make tensors", () => {
    expectRefusal(() => new (Tensor as Anything)([1]), "Tensor: expected to be made with Tensor.from");
  });

  it("a Random refuses seeds, streams and bounds that are none", () => {
    for (const seed of WRONG.count) expectRefusal(() => new Random(seed), "Random");
    for (const stream of [null, Number.NaN, -1, 0.5, 2 ** 32])
      expectRefusal(() => new Random(1, stream as Anything), "Random");
    for (const bound of [0, ...WRONG.count]) expectRefusal(() => random.integer(bound), "Random.integer");
    for (const n of WRONG.count) expectRefusal(() => random.permutation(n), "Random.permutation");
    for (const [low, high] of [
      [1, 0],
      [Number.NaN, 1],
      [0, Infinity],
      [undefined, 1],
    ] as Anything[])
      expectRefusal(() => random.uniforms([1], low, high), "Random.uniforms");
  });
});

describe("functions of tensors", () => {
  it("concat", () => {
    for (const list of [undefined, null, x, [], [x, 3], [undefined], [x, otherCopy.Tensor.ones([2, 2])]])
      expectRefusal(() => concat(list as Anything, 0), "concat");
    for (const axis of WRONG.axis) expectRefusal(() => concat([x, x], axis), "concat");
  });

  it("stack and einsum", () => {
    for (const list of [undefined, null, x, [], [x, 3], [x, row]])
      expectRefusal(() => stack(list as Anything, 0), "stack");
    for (const axis of WRONG.axis) expectRefusal(() => stack([x, x], axis), "stack");
    for (const wrong of WRONG.tensor) expectRefusal(() => einsum("ij,jk", x, wrong), "einsum");
    for (const equation of [
      undefined,
      3,
      "ij->",
      "ij;jk",
      "ij,jk->i->k",
      "ij,j",
      "i,jk",
      "ij,jk->il",
      "ij,jk->ii",
    ])
      expectRefusal(() => einsum(equation as Anything, x, x), "einsum");
    expectRefusal(
      () => einsum("ij,jk", x, Tensor.ones([3, 2])),
      "einsum: j has lengths 2 and 3 in (2, 2), (3, 2)",
    );
    expectRefusal(() => einsum("i", ids), "einsum: expected float32 or float64, got int32 (2)");
  });

  it("grad", () => {
    const y = (): Tensor => Tensor.ones([2]).tracked().sum();
    for (const wrong of WRONG.tensor) expectRefusal(() => grad(wrong, [x]), "grad");
    for (const wrong of [undefined, null, x, 3, [3], [undefined]])
      expectRefusal(() => grad(y(), wrong as Anything), "grad");
    for (const options of [
      null,
      3,
      x,
      { create_graph: true },
      { dy: 1 },
      { dy: row },
      { dy: Tensor.scalar(1, "float64") },
    ])
      expectRefusal(() => grad(y(), [x], options as Anything), "grad");
  });

  it("vjp, jvp, jacobian and checkpoint", () => {
    const f = (z: Tensor): Tensor => z.exp();
    for (const [who, call] of Object.entries({ vjp, jvp, jacobian } as Record<string, Anything>)) {
      for (const wrong of WRONG.tensor) expectRefusal(() => call(f, wrong, x), who);
      for (const wrong of [undefined, 3, x]) expectRefusal(() => call(wrong, x, x), who);
      expectRefusal(() => call(() => 3, x, x), who);
    }
    expectRefusal(() => checkpoint(f, x as Anything), "checkpoint");
    expectRefusal(() => checkpoint(3 as Anything, [x]), "checkpoint");
    expectRefusal(() => eachGradient(f(x).sum(), x as Anything, () => {}), "eachGradient");
    expectRefusal(() => eachGradient(f(x).sum(), [x], 3 as Anything), "eachGradient");
    expectRefusal(() => eachGradient(f(x), [x], () => {}, { dy: 3 } as Anything), "eachGradient");
  });

  it("what works in place", () => {
    const step = {
      parameter: x,
      gradient: x,
      firstMoment: x,
      secondMoment: x,
      step: 1,
      learningRate: 0.1,
    };
    const task = { ...step, beta1: 0.9, beta2: 0.99, eps: 1e-8, weightDecay: 0 };
    for (const key of ["parameter", "gradient", "firstMoment", "secondMoment"])
      for (const wrong of [...WRONG.tensor, row, Tensor.ones([2, 2], "float64")])
        expectRefusal(() => adamWStep({ ...task, [key]: wrong }), "adamWStep");
    for (const key of ["learningRate", "beta1", "beta2", "eps", "weightDecay", "step"])
      for (const wrong of WRONG.epsilon)
        expectRefusal(() => adamWStep({ ...task, [key]: wrong }), "adamWStep");
    for (const wrong of [...WRONG.tensor, row, Tensor.ones([2, 2], "float64")]) {
      expectRefusal(() => addInto(x, wrong), "addInto");
      expectRefusal(() => moveToward(x, wrong, 0.5), "moveToward");
    }
    for (const wrong of WRONG.tensor) expectRefusal(() => scaleInPlace(wrong, 2), "scaleInPlace");
    for (const wrong of [undefined, "2", NaN, Infinity]) {
      expectRefusal(() => scaleInPlace(x, wrong as Anything), "scaleInPlace");
      expectRefusal(() => moveToward(x, x, wrong as Anything), "moveToward");
    }
  });
});

it("a tensor of another copy of the package is named as such, whichever side it is on", () => {
  const foreign = otherCopy.Tensor.ones([2, 2]);
  const message = "made by another copy of nina-ts";
  expect(() => x.add(foreign)).toThrow(message);
  expect(() => foreign.add(x)).toThrow(message);
  expect(() => grad(foreign, [x])).toThrow(message);
  expect(noGrad(() => foreign.add(otherCopy.Tensor.ones([2, 2]))).toArray()).toEqual([2, 2, 2, 2]);
});
