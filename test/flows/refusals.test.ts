/** What cannot be right is refused: a density that is stretched to fit, dropped entries, conditions nobody reads. */
import { fc, test as prop } from "@fast-check/vitest";
import { describe, expect, test } from "vitest";
import { concat, Random, Scope, Tensor, tidy } from "../../core/index.ts";
import {
  ActNorm,
  AdditiveCoupling,
  AffineCoupling,
  alternating,
  Bijector,
  Chain,
  type Conditioner,
  DiagonalNormal,
  ElementwiseAffine,
  Flow,
  halves,
  Inverse,
  InvertiblePLU,
  JointAffineCoupling,
  keeping,
  Logit,
  type Mapped,
  MlpConditioner,
  Permutation,
  type ScaleShiftNet,
  SplineCoupling,
  type Split,
  StandardNormal,
  Tanh,
} from "../../flows/index.ts";
import { inDType, Linear, Module } from "../../nn/index.ts";

/** A conditioner that gives zeros of one shape, whatever it is given. */
class Zeros extends Module implements Conditioner {
  readonly #shape: readonly number[];
  constructor(shape: readonly number[]) {
    super();
    this.#shape = shape;
  }
  forward(_kept: Tensor, _condition?: Tensor): Tensor {
    return Tensor.zeros(this.#shape);
  }
}

/** The same, twice. */
class TwoZeros extends Module implements ScaleShiftNet {
  readonly #shapes: readonly (readonly number[])[];
  constructor(...shapes: readonly (readonly number[])[]) {
    super();
    this.#shapes = shapes;
  }
  forward(_kept: Tensor, _condition?: Tensor): [Tensor, Tensor] {
    return this.#shapes.map((shape) => Tensor.zeros(shape)) as [Tensor, Tensor];
  }
}

const bins = 3;
/** Couplings whose network gives `right` in one place and `given` in the other, or `given` in the only place. */
const couplings: Record<string, (given: number[], right: number[], split: Split) => Bijector> = {
  "AffineCoupling: scale": (given, right, split) =>
    new AffineCoupling(new Zeros(given), new Zeros(right), split),
  "AffineCoupling: shift": (given, right, split) =>
    new AffineCoupling(new Zeros(right), new Zeros(given), split),
  "JointAffineCoupling: scale": (given, right, split) =>
    new JointAffineCoupling(new TwoZeros(given, right), split),
  "JointAffineCoupling: shift": (given, right, split) =>
    new JointAffineCoupling(new TwoZeros(right, given), split),
  "AdditiveCoupling: shift": (given, _right, split) => new AdditiveCoupling(new Zeros(given), split),
  "SplineCoupling: net": (given, _right, split) =>
    new SplineCoupling(new Zeros(given), { bins, bound: 2 }, split),
};

describe("a coupling gives one number per entry and sample, or throws", () => {
  const cases = fc
    .record({
      N: fc.integer({ min: 1, max: 6 }),
      B: fc.integer({ min: 1, max: 4 }),
      how: fc.constantFrom("halves", "even", "odd", "first"),
      batch: fc.integer({ min: 1, max: 4 }),
      width: fc.integer({ min: 0, max: 4 }),
      rank: fc.constantFrom(1, 2, 2, 2, 3),
    })
    .map((one) => ({
      ...one,
      changed: { halves: Math.ceil(one.N / 2), even: one.N >> 1, odd: (one.N + 1) >> 1, first: one.N - 1 }[
        one.how
      ],
    }));

  prop.prop([fc.constantFrom(...Object.keys(couplings)), cases], { numRuns: 400 })(
    "both ways",
    (kind, { N, B, how, batch, width, rank, changed }) => {
      using _ = new Scope();
      const split =
        how === "halves"
          ? halves()
          : how === "first"
            ? keeping([0], N)
            : alternating(N, { even: how === "even" });
      const per = kind.startsWith("Spline") ? 3 * bins - 1 : 1;
      const given = [[width * per], [batch, width * per], [batch, width, per]][rank - 1];
      const coupling = couplings[kind](given, [B, changed], split);
      const right = rank === 2 && batch === B && width === changed;
      const x = new Random(1).normals([B, N]);
      for (const map of [() => coupling.forward(x), () => coupling.inverse(x)]) {
        if (right) {
          const { out, logDet } = map();
          expect([out.shape, logDet.shape]).toEqual([[B, N], [B]]);
        } else expect(map).toThrow(`${kind.split(":")[0]}: expected (${B}, ${changed * per}) from`);
      }
    },
  );

  test("the README's conditioner of one output on three entries", () => {
    const coupling = new AffineCoupling(new Linear(1, 1), new Linear(1, 1)).init(new Random(0));
    const flow = new Flow([coupling], new StandardNormal([3]));
    const message =
      "AffineCoupling: expected (5, 2) from scale_net, for the changed part, got a Tensor of shape (5, 1)";
    expect(() => flow.logProb(Tensor.zeros([5, 3]))).toThrow(message);
    expect(() => flow.sample(5, new Random(0))).toThrow(message);
  });

  test("networks that give something else than tensors", () => {
    const one = new JointAffineCoupling(new Linear(1, 1) as unknown as ScaleShiftNet).init(new Random(0));
    expect(() => one.forward(Tensor.zeros([2, 2]))).toThrow(
      "JointAffineCoupling: expected [scale, shift] from net, got a Tensor of shape (2, 1)",
    );
  });

  test("splits of a user's own that lose entries or samples", () => {
    const loses: Split = {
      apart: (x) => [x.slice(1, 0, 1), x.slice(1, 1, 2)],
      join: (a, b) => concat([a, b], 1),
    };
    const ofBatch: Split = {
      apart: (x) => x.chunk(2, 0) as [Tensor, Tensor],
      join: (a, b) => concat([a, b], 0),
    };
    expect(() => new AdditiveCoupling(new Linear(1, 1), loses).forward(Tensor.zeros([2, 3]))).toThrow(
      "AdditiveCoupling: expected a split of (2, 3) into parts of each sample that join to the same, " +
        "got (2, 1) and (2, 1), joined (2, 2)",
    );
    expect(() => new AdditiveCoupling(new Linear(3, 3), ofBatch).inverse(Tensor.zeros([2, 3]))).toThrow(
      "AdditiveCoupling: expected a split of (2, 3)",
    );
  });
});

describe("couplings are built from networks and, last, a split", () => {
  const net = (): Linear => new Linear(1, 1);
  const options = { bins, bound: 3 };
  // As scripts without a check of types write it.
  const build = (make: () => unknown) => make;
  const split = halves();
  test.each<[string, () => unknown, string]>([
    [
      "an unknown option",
      build(() => new SplineCoupling(net(), { ...options, knots: 3 } as never)),
      "got knots",
    ],
    [
      "a split among the options",
      build(() => new SplineCoupling(net(), { ...options, split } as never)),
      "got split",
    ],
    ["no options", build(() => new SplineCoupling(net(), undefined as never)), "an object with bins, bound"],
    [
      "half a bin",
      build(() => new SplineCoupling(net(), { bins: 0.5, bound: 3 })),
      "bins to be an integer in [1, 999], got 0.5",
    ],
    [
      "no bin",
      build(() => new SplineCoupling(net(), { bins: 0, bound: 3 })),
      "bins to be an integer in [1, 999], got 0",
    ],
    ["too many bins", build(() => new SplineCoupling(net(), { bins: 1000, bound: 3 })), "got 1000"],
    [
      "a bound of 0",
      build(() => new SplineCoupling(net(), { bins, bound: 0 })),
      "bound to be a positive number, got 0",
    ],
    ["an infinite bound", build(() => new SplineCoupling(net(), { bins, bound: Infinity })), "got Infinity"],
    [
      "options for a split",
      build(() => new AffineCoupling(net(), net(), { split } as never)),
      "a split, { apart, join }, as the last argument, got an object",
    ],
    [
      "a split for a network",
      build(() => new AffineCoupling(net(), split as never)),
      "shift_net.forward to be a function, got undefined",
    ],
    [
      "no network",
      build(() => new AdditiveCoupling(undefined as never)),
      "shift_net.forward to be a function",
    ],
    [
      "null for a network",
      build(() => new JointAffineCoupling(null as never)),
      "net.forward to be a function",
    ],
    ["null for a split", build(() => new AdditiveCoupling(net(), null as never)), "a split, { apart, join }"],
  ])("%s is refused", (_, make, message) => {
    expect(make).toThrow(message);
    expect(make).toThrow(/^(Spline|Affine|JointAffine|Additive)Coupling: expected /);
  });

  test("a spline splits as its last argument says", () => {
    using _ = new Scope();
    const zeros = new Zeros([1, 2 * (3 * bins - 1)]);
    const coupling = new SplineCoupling(zeros, options, keeping([2], 3));
    const { out } = coupling.forward(Tensor.from([1, 2, 1], [1, 3]));
    expect(out.data[2]).toBe(1);
    expect(out.data[0]).not.toBe(1);
  });
});

describe("splits", () => {
  prop.prop([fc.integer({ min: 1, max: 6 }), fc.integer({ min: 1, max: 6 })])(
    "of a fixed length take batches of that length only",
    (length, N) => {
      using _ = new Scope();
      const x = new Random(1).normals([2, N]);
      for (const split of [keeping([0], length), alternating(length, { even: false })]) {
        if (N === length) expect(split.join(...split.apart(x)).toArray()).toEqual(x.toArray());
        else
          expect(() => split.apart(x)).toThrow(
            `keeping: expected a batch of ${length} entries along axis 1, got (2, ${N})`,
          );
        const wide = new Random(2).normals([2, length + 1]);
        expect(() => split.join(wide, wide)).toThrow("keeping: kept part: expected a batch of");
      }
    },
  );

  test("along the batch, or an axis that is none, are refused; of one entry nothing is kept", () => {
    expect(() => halves(0)).toThrow("halves: expected axis to be an integer of at least 1, got 0");
    expect(() => halves(-1)).toThrow("halves: expected axis");
    expect(() => halves(2).apart(Tensor.zeros([2, 3]))).toThrow(
      "halves: expected an axis 2 to split, got a batch (2, 3)",
    );
    expect(
      halves()
        .apart(Tensor.zeros([2, 1]))
        .map(({ shape }) => shape),
    ).toEqual([
      [2, 0],
      [2, 1],
    ]);
  });

  test("name their own arguments", () => {
    expect(() => alternating(4, { odd: true } as never)).toThrow(
      "alternating: expected even to be true or false",
    );
    expect(() => keeping([], 0)).toThrow("keeping: expected length to be an integer of at least 1, got 0");
    expect(() => keeping([], Number.NaN)).toThrow("keeping: expected length");
  });
});

describe("layers with a shape of their own take batches of that shape only", () => {
  const shape = fc.array(fc.integer({ min: 1, max: 3 }), { minLength: 0, maxLength: 3 });
  const layers: [string, (event: number[]) => Bijector, (event: number[], x: number[]) => boolean][] = [
    ["ElementwiseAffine", (event) => new ElementwiseAffine(event), (event, x) => `${event}` === `${x}`],
    [
      "ActNorm",
      (event) => new ActNorm(event.at(-1) ?? 1),
      (event, x) => x.length > 0 && x.at(-1) === (event.at(-1) ?? 1),
    ],
    ["Permutation", (event) => new Permutation(event[0] ?? 1), (event, x) => x[0] === (event[0] ?? 1)],
    [
      "InvertiblePLU",
      (event) => new InvertiblePLU(product(event)),
      (event, x) => product(x) === product(event),
    ],
  ];
  const product = (list: number[]): number => list.reduce((a, b) => a * b, 1);

  test.each(layers)("%s", (name, make, fits) => {
    fc.assert(
      fc.property(shape, shape, fc.integer({ min: 1, max: 3 }), (event, own, B) => {
        using _ = new Scope();
        const layer = make(event).init(new Random(1));
        const x = new Random(2).normals([B, ...own]);
        for (const map of [() => layer.forward(x), () => layer.inverse(x)]) {
          if (fits(event, own)) {
            expect(map().out.shape).toEqual(x.shape);
            expect(map().logDet.shape).toEqual([B]);
          } else expect(map).toThrow(new RegExp(`^${name}: expected .*, got .*\\(${x.shape.join(", ")}\\)$`));
        }
        layer.dispose();
      }),
    );
  });

  test("ActNorm.normalise takes batches of its channels, all finite", () => {
    expect(() => new ActNorm(2).normalise(Tensor.zeros([4, 3]))).toThrow(
      "ActNorm: expected a batch (B, …, 2), got (4, 3)",
    );
    const batch = Tensor.from([1, 2, Number.NaN, 3], [2, 2]);
    expect(() => new ActNorm(2).normalise(batch)).toThrow("channel 0 is not finite");
  });

  prop.prop([shape, shape])("bases and flows", (event, own) => {
    using _ = new Scope();
    for (const base of [new StandardNormal(event), new DiagonalNormal(event).init(new Random(1))]) {
      const flow = new Flow([], base);
      const x = new Random(2).normals([2, ...own]);
      for (const map of [
        () => flow.inverse(x).out,
        () => base.fromNoise(x, 1),
        () => flow.logProb(x),
        () => flow.logProbTerms(x).base,
      ]) {
        if (`${event}` === `${own}`) expect(map().shape[0]).toBe(2);
        else expect(map).toThrow(/expected a batch of \(/);
      }
      base.dispose();
    }
  });

  test("a base of another shape than the layers' is found out by the first sample", () => {
    const flow = new Flow([new ElementwiseAffine([3])], new StandardNormal([1])).init(new Random(1));
    expect(() => flow.sample(2, new Random(1))).toThrow(
      "ElementwiseAffine: expected a batch of (3), got (2, 1)",
    );
  });

  test("a layer whose log-determinants are not one per sample is named", () => {
    class Wrong extends Bijector {
      forward = (x: Tensor): Mapped => ({ out: x, logDet: Tensor.zeros([x.shape[0], 1]) });
      inverse = (z: Tensor): Mapped => ({ out: z, logDet: Tensor.zeros([]) });
    }
    const x = Tensor.zeros([3, 2]);
    for (const flow of [new Chain([new Wrong()]), new Flow([new Wrong()], new StandardNormal([2]))]) {
      expect(() => flow.forward(x)).toThrow("Wrong: expected log-determinants (3), got (3, 1)");
      expect(() => flow.inverse(x)).toThrow("Wrong: expected log-determinants (3), got ()");
    }
  });

  test("flows are made of bijectors and a base", () => {
    const base = new StandardNormal([2]);
    expect(() => new Flow(new Tanh() as never, base)).toThrow(
      "Flow: expected an array of bijectors, got a Tanh",
    );
    expect(() => new Flow([base as never], base)).toThrow(
      "Flow: expected layers to be bijectors, got a StandardNormal",
    );
    expect(() => new Flow([new Tanh()], undefined as never)).toThrow("Flow: expected a base distribution");
    for (const temperature of [-1, Number.NaN, Number.POSITIVE_INFINITY])
      expect(() => new Flow([], base).sample(1, new Random(0), { temperature })).toThrow(
        "Flow.sample: expected temperature",
      );
  });
});

describe("a condition", () => {
  const mlp = (condition: number): MlpConditioner =>
    new MlpConditioner({ kept: 1, condition, width: 4, outputs: 1 });
  const sees = (): Bijector => new AdditiveCoupling(mlp(3));
  const blind = (): Bijector[] => [
    new Permutation(2),
    new InvertiblePLU(2),
    new ActNorm(2),
    new ElementwiseAffine([2]),
    new Tanh(),
    new Inverse(new Tanh()),
    new AdditiveCoupling(mlp(0)),
    new AffineCoupling(new Linear(1, 1), new Linear(1, 1)),
    new SplineCoupling(new Linear(1, 8), { bins, bound: 3 }),
    new Chain([new Permutation(2)]),
  ];
  const flowOf = (...layers: Bijector[]): Flow =>
    new Flow(layers, new StandardNormal([2])).init(new Random(1));
  const uses: [string, (flow: Flow, x: Tensor, condition: Tensor) => unknown][] = [
    ["forward", (flow, x, condition) => flow.forward(x, condition)],
    ["inverse", (flow, x, condition) => flow.inverse(x, condition)],
    ["logProb", (flow, x, condition) => flow.logProb(x, condition)],
    ["logProbTerms", (flow, x, condition) => flow.logProbTerms(x, condition)],
    ["sample", (flow, x, condition) => flow.sample(x.shape[0], new Random(1), { condition })],
  ];

  prop.prop([fc.subarray(blind().map((_, i) => i)), fc.boolean(), fc.nat(9), fc.constantFrom(...uses)])(
    "is taken by a flow with a layer that can use it, refused by others",
    (chosen, conditional, at, [, use]) => {
      using _ = new Scope();
      const all = blind();
      const layers = chosen.map((i) => all[i]);
      if (conditional)
        layers.splice(at % (layers.length + 1), 0, at % 2 ? sees() : new Chain([new Inverse(sees())]));
      const flow = flowOf(...layers);
      const x = new Random(2).uniforms([2, 2], -0.1, 0.1);
      const condition = new Random(3).normals([2, 3]);
      if (conditional) use(flow, x, condition);
      else
        expect(() => use(flow, x, condition)).toThrow("Flow: expected no condition, as no layer can use one");
      flow.dispose();
    },
  );

  test.each(uses)("has a row per sample: %s", (_, use) => {
    for (const rows of [1, 3])
      expect(() => use(flowOf(sees()), Tensor.zeros([2, 2]), Tensor.zeros([rows, 3]))).toThrow(
        `Flow: expected a condition for each of 2 samples, got (${rows}, 3)`,
      );
  });

  test("is asked for by networks that need one, at its width", () => {
    expect(() => flowOf(sees()).logProb(Tensor.zeros([2, 2]))).toThrow(
      "MlpConditioner: expected a condition (B, 3), got none",
    );
    expect(() => flowOf(sees()).logProb(Tensor.zeros([2, 2]), Tensor.zeros([2, 4]))).toThrow(
      "MlpConditioner: condition: expected shape (2, 3), got (2, 4)",
    );
    expect(() => mlp(3).forward(Tensor.zeros([2, 2]), Tensor.zeros([2, 3]))).toThrow(
      "MlpConditioner: kept part: expected shape (B, 1), got (2, 2)",
    );
  });

  test("may be read by a parameter with a default, where the bijector says so", () => {
    class Shift extends Bijector {
      override get conditional(): boolean {
        return true;
      }
      forward(x: Tensor, condition = Tensor.zeros(x.shape)): Mapped {
        return { out: x.add(condition), logDet: Tensor.zeros([x.shape[0]]) };
      }
      inverse(z: Tensor, condition = Tensor.zeros(z.shape)): Mapped {
        return { out: z.sub(condition), logDet: Tensor.zeros([z.shape[0]]) };
      }
    }
    expect(
      flowOf(new Shift())
        .forward(Tensor.zeros([1, 2]), Tensor.ones([1, 2]))
        .out.toArray(),
    ).toEqual([1, 1]);
  });

  test.each([{ kept: 1.5 }, { kept: undefined }, { condition: -1 }, { width: 0 }, { outputs: Number.NaN }])(
    "and other sizes of an MlpConditioner are checked: %o",
    (wrong) => {
      const config = { kept: 1, condition: 0, width: 4, outputs: 1, ...wrong } as never;
      expect(() => new MlpConditioner(config)).toThrow(`MlpConditioner: expected ${Object.keys(wrong)[0]}`);
    },
  );
});

describe("a point that has no density gets none", () => {
  const mlp = (outputs: number): MlpConditioner =>
    new MlpConditioner({ kept: 1, condition: 0, width: 4, outputs });
  const kinds: Record<string, () => Bijector> = {
    AdditiveCoupling: () => new AdditiveCoupling(mlp(1)),
    AffineCoupling: () => new AffineCoupling(mlp(1), mlp(1)),
    SplineCoupling: () => new SplineCoupling(mlp(8), { bins, bound: 3 }),
    ActNorm: () => new ActNorm(2),
    ElementwiseAffine: () => new ElementwiseAffine([2]),
    InvertiblePLU: () => new InvertiblePLU(2),
    Permutation: () => new Permutation(2),
    Tanh: () => new Tanh(),
    "Inverse of Tanh": () => new Inverse(new Tanh()),
    Logit: () => new Logit(),
    "Inverse of Logit": () => new Inverse(new Logit()),
  };
  const dtypes = ["float32", "float64"] as const;

  test.each(Object.entries(kinds))("%s: NaN in any entry stays NaN", (_name, make) => {
    for (const dtype of dtypes)
      for (const at of [0, 1]) {
        tidy(() => {
          const flow = inDType(dtype, () => new Flow([make()], new StandardNormal([2]))).init(new Random(1));
          const point = [0.4, 0.6];
          point[at] = Number.NaN;
          const x = Tensor.from(point, [1, 2], dtype);
          expect(flow.logProb(x).item()).toBeNaN();
          expect(flow.inverse(x).out.toArray().some(Number.isNaN)).toBe(true);
          flow.dispose();
        });
      }
  });

  const outside = fc.oneof(
    fc.double({ max: 0, noNaN: true, minExcluded: true }),
    fc.double({ min: 1, noNaN: true }),
  );
  prop.prop([outside, fc.double({ min: 0.1, max: 0.9, noNaN: true }), fc.constantFrom(...dtypes)])(
    "Logit outside (0, 1), the inverse of Tanh outside (−1, 1)",
    (beyond, within, dtype) => {
      using _ = new Scope();
      const x = Tensor.from([within, beyond], [1, 2], dtype);
      for (const [layer, point] of [
        [new Logit(), x],
        [new Inverse(new Tanh()), x.scale(2).shift(-1)],
      ] as const) {
        const logProb = new Flow([layer], new StandardNormal([2])).logProb(point).item();
        expect(Number.isFinite(logProb)).toBe(false);
        expect(logProb).not.toBe(Number.POSITIVE_INFINITY);
      }
    },
  );
});
