/**
 * Deliberately broken bijectors, bases and flows: the laws catch each, as a test and in a certificate that names it.
 */
import { describe, expect, test } from "vitest";
import { concat, noGrad, type Random, Tensor } from "../../core/index.ts";
import {
  ActNorm,
  AdditiveCoupling,
  AffineCoupling,
  Bijector,
  type Certificate,
  type Conditioner,
  certify,
  DiagonalNormal,
  ElementwiseAffine,
  Flow,
  Inverse,
  InvertiblePLU,
  Logit,
  Made,
  type Mapped,
  MaskedAutoregressive,
  MlpConditioner,
  Permutation,
  Planar,
  SplineCoupling,
  StandardNormal,
  sumEvent,
  Tanh,
} from "../../flows/index.ts";
import {
  baseLawCases,
  baseLaws,
  bijectorLaws,
  conditionLaws,
  flowLaws,
  type Kit,
  type LawCase,
  laws,
} from "../../flows/laws/index.ts";

const D = 6;
const C = 4;
type Direction = "forward" | "inverse";
type Make = (kit: Kit) => Bijector;
type Wrong = (right: Mapped, input: Tensor, condition: Tensor | undefined, bijector: Bijector) => Mapped;

const every = { ...laws, ...conditionLaws };
type LawName = keyof typeof every;

/** Laws that do not hold, by their names in `laws`. */
function broken(
  cases: readonly LawCase[],
  all: Readonly<Record<string, { readonly name: string }>>,
): string[] {
  const holds = ({ check }: LawCase): boolean => {
    try {
      check(1);
      return true;
    } catch {
      return false;
    }
  };
  const names = cases.filter((one) => !holds(one)).map(({ name }) => name);
  return Object.keys(all).filter((key) => names.includes(all[key].name));
}

const brokenIn = (make: Make, options: { readonly D?: number; readonly C?: number } = {}): string[] =>
  broken(bijectorLaws(make, { D, C, ...options, density: false, tolerance: 1e-7 }), every);

/** Laws that a certificate finds broken at a subject. */
function foundAt(
  { findings }: Certificate,
  subject: string,
  all: Readonly<Record<string, { readonly name: string }>> = every,
): string[] {
  const names = findings.filter((finding) => finding.subject === subject).map(({ law }) => law);
  return Object.keys(all).filter((key) => names.includes(all[key].name));
}

const kit: Kit = {
  D,
  C,
  conditioner: (kept, outputs) => new MlpConditioner({ kept, condition: C, width: 8, outputs }),
};

/** A certificate of a flow whose second layer is the one in question. */
function certificateOf(make: Make, { D: length = D, C: condition = C } = {}): Certificate {
  const layer = (): Bijector => make({ ...kit, D: length });
  const bounded = layer() instanceof Tanh;
  return certify(
    () =>
      new Flow(
        [
          new ElementwiseAffine([length]),
          layer(),
          bounded ? new Inverse(new Tanh()) : new Permutation(length),
        ],
        new StandardNormal([length]),
      ),
    { condition },
  );
}

/**
 * Expects a mutant to break these laws, as a test and as layer 1 of a certified flow, and no other layer to be blamed.
 */
function expectCaught(
  make: Make,
  expected: readonly LawName[],
  options: { readonly D?: number; readonly C?: number } = {},
): void {
  expect(brokenIn(make, options)).toEqual(expect.arrayContaining([...expected]));
  const certificate = certificateOf(make, options);
  expect(certificate.holds).toBe(false);
  const kind = make({ ...kit, D: options.D ?? D }).constructor.name;
  expect(foundAt(certificate, `layer 1 (${kind})`)).toEqual(expect.arrayContaining([...expected]));
  const blamed = certificate.findings
    .map(({ subject }) => subject)
    .filter((subject) => /^layer [02]/.test(subject));
  expect(blamed).toEqual([]);
}

/** Replaces a direction of what `make` builds by something made from the right result. */
const spoilt =
  (make: Make, directions: Direction | readonly Direction[], wrong: Wrong): Make =>
  (of) => {
    const bijector = make(of);
    for (const direction of [directions].flat() as Direction[]) {
      const right = bijector[direction].bind(bijector);
      bijector[direction] = (input: Tensor, condition?: Tensor) =>
        wrong(right(input, condition), input, condition, bijector);
    }
    return bijector;
  };

const BOTH = ["forward", "inverse"] as const;

const halves =
  (make: (half: number, of: Kit) => Bijector): Make =>
  (of) =>
    make(of.D / 2, of);
const affine = halves(
  (half, of) => new AffineCoupling(of.conditioner(half, half), of.conditioner(half, half)),
);
const healthy: Readonly<Record<string, Make>> = {
  AffineCoupling: affine,
  AdditiveCoupling: halves((half, of) => new AdditiveCoupling(of.conditioner(half, half))),
  SplineCoupling: halves(
    (half, of) => new SplineCoupling(of.conditioner(half, half * 14), { bins: 5, bound: 3 }),
  ),
  MaskedAutoregressive: (of) => new MaskedAutoregressive(new Made({ size: of.D, condition: of.C, width: 8 })),
  Planar: (of) => new Planar(of.D),
  InvertiblePLU: (of) => new InvertiblePLU(of.D),
  Permutation: (of) => new Permutation(of.D),
  ActNorm: (of) => new ActNorm(of.D),
  ElementwiseAffine: (of) => new ElementwiseAffine([of.D]),
  Tanh: () => new Tanh(),
  Logit: () => new Logit(),
  "Inverse of Tanh": () => new Inverse(new Tanh()),
};
const CONDITIONAL = ["AffineCoupling", "AdditiveCoupling", "SplineCoupling", "MaskedAutoregressive"];

describe.each(Object.entries(healthy))("%s", (name, make) => {
  const options = { C: CONDITIONAL.includes(name) ? C : 0 };
  const caught = (directions: Direction | readonly Direction[], wrong: Wrong): string[] =>
    brokenIn(spoilt(make, directions, wrong), options);

  test("as it is breaks no law", () => {
    expect(brokenIn(make, options)).toEqual([]);
  });

  const preserves = name === "Permutation" || name === "AdditiveCoupling"; // volume: its log-determinant is zero
  test.skipIf(preserves)("with the wrong sign of the log-determinant", () => {
    const wrong = ({ out, logDet }: Mapped): Mapped => ({ out, logDet: logDet.neg() });
    expect(caught("forward", wrong)).toEqual(["logDet", "cancellation"]);
    expect(caught("inverse", wrong)).toEqual(["inverseLogDet", "cancellation"]);
    expect(caught(BOTH, wrong)).toEqual(["logDet", "inverseLogDet"]);
  });

  test("with a term missing from the log-determinant", () => {
    const wrong = ({ out, logDet }: Mapped): Mapped => ({ out, logDet: logDet.shift(-0.01) });
    expect(caught("forward", wrong)).toEqual(["logDet", "cancellation"]);
  });

  test("with an inverse that forgets one entry", () => {
    const wrong = ({ out, logDet }: Mapped, input: Tensor): Mapped => {
      const mask = Tensor.ones(out.shape, out.dtype);
      for (let i = D - 1; i < mask.size; i += D) mask.data[i] = 0;
      return { out: out.mul(mask).add(input.mul(mask.neg().shift(1))), logDet };
    };
    expect(caught("inverse", wrong)).toEqual(expect.arrayContaining(["roundTrip"]));
  });

  test("with entries in the wrong order", () => {
    const wrong = ({ out, logDet }: Mapped): Mapped => ({ out: reversed(out), logDet });
    expect(caught("forward", wrong)).toEqual(expect.arrayContaining(["roundTrip", "roundTripBack"]));
  });

  test("that normalises over the batch", () => {
    const wrong = ({ out, logDet }: Mapped): Mapped => ({ out: out.sub(out.mean([0], true)), logDet });
    expect(caught("forward", wrong)).toContain("batch");
  });

  test("that gives NaN", () => {
    const wrong = ({ out, logDet }: Mapped): Mapped => ({ out: out.scale(Number.NaN), logDet });
    expect(caught("forward", wrong)).toEqual(
      expect.arrayContaining(["roundTrip", "roundTripBack", "logDet", "batch"]),
    );
  });

  test("without the history of its log-determinant", () => {
    const wrong = ({ out, logDet }: Mapped): Mapped => ({ out, logDet: logDet.detach() });
    // A log-determinant of zero has no gradient to miss.
    expect(caught(BOTH, wrong)).toEqual(preserves ? [] : ["gradient"]);
  });
});

/** Entries along axis 1 in reverse order. */
const reversed = (x: Tensor): Tensor => concat(x.chunk(D, 1).reverse(), 1);

/** Where a coupling of one's own goes wrong, the same in both directions. */
interface Faults {
  readonly scale?: (s: Tensor) => Tensor;
  readonly shift?: (t: Tensor) => Tensor;
  readonly kept?: (x1: Tensor) => Tensor;
  readonly condition?: (c: Tensor) => Tensor;
}

/** An affine coupling of one's own with faults that leave it invertible. It brings its own conditioner. */
class Mine extends Bijector {
  net = new MlpConditioner({ kept: D / 2, condition: C, width: 8, outputs: D });
  #faults: Faults;

  constructor(faults: Faults = {}) {
    super();
    this.#faults = faults;
  }

  forward(x: Tensor, condition?: Tensor): Mapped {
    const [kept, changed] = x.chunk(2, 1);
    const [s, t] = this.#parts(kept, condition);
    return { out: concat([kept, changed.mul(s.exp()).add(t)], 1), logDet: sumEvent(s) };
  }

  inverse(z: Tensor, condition?: Tensor): Mapped {
    const [kept, changed] = z.chunk(2, 1);
    const [s, t] = this.#parts(kept, condition);
    return { out: concat([kept, changed.sub(t).mul(s.neg().exp())], 1), logDet: sumEvent(s).neg() };
  }

  #parts(x1: Tensor, c?: Tensor): [Tensor, Tensor] {
    const { scale, shift, kept, condition } = this.#faults;
    const [s, t] = this.net.forward(kept ? kept(x1) : x1, condition && c ? condition(c) : c).chunk(2, 1);
    const squashed = s.tanh();
    return [scale ? scale(squashed) : squashed, shift ? shift(t) : t];
  }
}

test("a coupling that brings its own conditioner breaks no law", () => {
  expect(brokenIn(() => new Mine())).toEqual([]);
  expect(certificateOf(() => new Mine()).findings).toEqual([]);
});

describe("gradients that are cut off", () => {
  const cut = (x: Tensor): Tensor => x.detach();
  test.each<[string, Faults]>([
    ["the scale", { scale: cut }],
    ["the shift", { shift: cut }],
    ["the kept part", { kept: cut }],
    ["the condition", { condition: cut }],
  ])("%s", (_, faults) => {
    expectCaught(() => new Mine(faults), ["gradient"]);
  });

  test("a parameter that misses its gradient is named", () => {
    class Cut extends ElementwiseAffine {
      override forward(x: Tensor): Mapped {
        const logDet = this.log_scale.sum().broadcastTo([x.shape[0]]);
        return { out: x.mul(this.log_scale.exp()).add(this.shift.detach()), logDet };
      }
    }
    const { findings } = certificateOf(() => new Cut([D]), { C: 0 });
    const finding = findings.find(({ subject }) => subject === "layer 1 (Cut)");
    expect(finding?.at).toBe("forward: no gradient path from the output to shift");
  });

  test("an inverse found by bisection has no gradient path, and that is said", () => {
    const numeric = (of: Kit): Bijector => {
      const bijector = new ElementwiseAffine([of.D]);
      const right = bijector.inverse.bind(bijector);
      bijector.inverse = (z) => {
        const { out } = noGrad(() => right(z));
        return { out: out.detach(), logDet: bijector.forward(out.detach()).logDet.neg() };
      };
      return bijector;
    };
    expectCaught(numeric, ["gradient", "inverseLogDet"], { C: 0 });
    const { findings } = certificateOf(numeric, { C: 0 });
    expect(findings.map(({ at }) => at)).toContain("inverse: no gradient path from the output to z");
  });
});

/** Adds to the log-determinants of samples for which `test` is true. */
const where =
  (test: (row: readonly number[], condition: readonly number[]) => boolean): Wrong =>
  ({ out, logDet }, input, condition) => {
    const B = input.shape[0];
    const rows = (t?: Tensor): number[][] =>
      Array.from({ length: B }, (_, b) =>
        t ? Array.from(t.data).slice((b * t.size) / B, ((b + 1) * t.size) / B) : [],
      );
    const [points, conditions] = [rows(input), rows(condition)];
    const extra = Tensor.from(
      points.map((row, b) => (test(row, conditions[b]) ? 0.5 : 0)),
      [B],
      logDet.dtype,
    );
    return { out, logDet: logDet.add(extra) };
  };

describe("faults at some points only", () => {
  test.each<[string, Wrong]>([
    ["beyond 20", where((x) => x.some((v) => Math.abs(v) > 20))],
    ["beyond 30", where((x) => x.some((v) => Math.abs(v) > 30))],
    ["near zero", where((x) => x.some((v) => Math.abs(v) < 1e-6))],
    ["at exactly zero", where((x) => x.some((v) => v === 0))],
    ["where all is zero", where((x) => x.every((v) => v === 0))],
    ["for a condition beyond 6", where((_, c) => c.some((v) => Math.abs(v) > 6))],
  ])("log-determinants wrong %s", (_, wrong) => {
    expectCaught(spoilt(affine, "forward", wrong), ["logDet"]);
  });

  test.each([32, 256])("log-determinants doubled in batches of %i and more", (least) => {
    const wrong: Wrong = ({ out, logDet }) => ({ out, logDet: logDet.scale(out.shape[0] >= least ? 2 : 1) });
    expectCaught(spoilt(affine, BOTH, wrong), [least === 32 ? "batch" : "largeBatch"]);
  });

  test("a condition that leaks from the batch in batches of 8 and more", () => {
    const leak = (c: Tensor): Tensor => (c.shape[0] >= 8 ? c.add(c.mean([0], true)) : c);
    expectCaught(() => new Mine({ condition: leak }), ["batch"]);
  });

  test("a condition clamped to ±5", () => {
    expectCaught(() => new Mine({ condition: (c) => c.clamp(-5, 5) }), ["matters"]);
  });

  test("a condition that leaks past the networks, where it is beyond 5, breaks the test law of couplings", () => {
    const leak = (out: Tensor, c: Tensor, sign: number): Tensor =>
      out.add(c.abs().shift(-5).maximum(Tensor.scalar(0, c.dtype)).sum([1], true).scale(sign));
    const leaking: Make = (of) => {
      const coupling = affine(of);
      const [forward, inverse] = [coupling.forward.bind(coupling), coupling.inverse.bind(coupling)];
      coupling.forward = (x, c) => {
        const { out, logDet } = forward(x, c);
        return { out: leak(out, c as Tensor, 1), logDet };
      };
      coupling.inverse = (z, c) => inverse(leak(z, c as Tensor, -1), c);
      return coupling;
    };
    expect(brokenIn(leaking)).toContain("networks");
  });

  test("wrong while training", () => {
    const logDet: Wrong = (right, _x, _c, { training }) => ({
      out: right.out,
      logDet: right.logDet.shift(training ? 0.1 : 0),
    });
    const out: Wrong = (right, _x, _c, { training }) => ({
      out: right.out.scale(training ? 1.1 : 1),
      logDet: right.logDet,
    });
    const gradient: Wrong = (right, _x, _c, { training }) => ({
      out: right.out,
      logDet: training ? right.logDet.detach() : right.logDet,
    });
    expectCaught(spoilt(affine, "forward", logDet), ["training"]);
    expectCaught(spoilt(affine, "inverse", out), ["training"]);
    expectCaught(spoilt(affine, "forward", gradient), ["gradient"]);
  });
});

describe("faults of float32 alone", () => {
  const alone =
    (wrong: (right: Mapped) => Mapped): Wrong =>
    (right) =>
      right.out.dtype === "float32" ? wrong(right) : right;
  test.each<[string, Direction, (right: Mapped) => Mapped]>([
    [
      "a log-determinant that underflows",
      "forward",
      ({ out, logDet }) => ({
        out,
        logDet: logDet
          .abs()
          .scale(-400)
          .exp()
          .log()
          .scale(-1 / 400),
      }),
    ],
    [
      "a log-determinant off by a constant",
      "forward",
      ({ out, logDet }) => ({ out, logDet: logDet.shift(1e-3) }),
    ],
    [
      "a log-determinant that cancels",
      "inverse",
      ({ out, logDet }) => ({ out, logDet: logDet.shift(1e5).shift(-1e5) }),
    ],
    ["an inverse off by 5e-4", "inverse", ({ out, logDet }) => ({ out: out.scale(1 + 5e-4), logDet })],
  ])("%s", (_, direction, wrong) => {
    expectCaught(spoilt(affine, direction, alone(wrong)), ["float32"]);
  });
});

/** z = x up to 1, 2 − x up to 2, x − 2 beyond: three x for each z in [0, 1]. Volume is kept. */
class Zigzag extends Bijector {
  forward(x: Tensor): Mapped {
    const at = (bound: number): Tensor => Tensor.scalar(bound, x.dtype).lt(x);
    const out = at(2).where(x.shift(-2), at(1).where(x.neg().shift(2), x));
    return { out, logDet: Tensor.zeros([x.shape[0]], x.dtype) };
  }

  inverse(z: Tensor): Mapped {
    const out = Tensor.scalar(1, z.dtype).lt(z).where(z.shift(2), z);
    return { out, logDet: Tensor.zeros([z.shape[0]], z.dtype) };
  }
}

/** z = log |x|: two x for each z. */
class Fold extends Bijector {
  forward(x: Tensor): Mapped {
    const out = x.abs().log();
    return { out, logDet: sumEvent(out).neg() };
  }

  inverse(z: Tensor): Mapped {
    return { out: z.exp(), logDet: sumEvent(z) };
  }
}

describe("maps that are not one to one", () => {
  test("a zigzag with three preimages", () => {
    expectCaught(() => new Zigzag(), ["roundTrip"], { C: 0 });
  });

  test("the fold log |x|", () => {
    expectCaught(() => new Fold(), ["roundTrip"], { C: 0 });
  });

  test("the fold in one dimension: the integral over both sides of zero is 2", () => {
    const flow = (): Flow => new Flow([new ElementwiseAffine([1]), new Fold()], new StandardNormal([1]));
    const { findings } = certify(flow);
    const integral = findings.find(({ law }) => law === flowLaws.integral.name);
    expect(integral?.at).toMatch(/∫ p = (1\.9|2\.0)/);
  });
});

describe("state and order of calls", () => {
  test("an inverse that reads what its forward left", () => {
    class Cached extends ElementwiseAffine {
      #scale: Tensor | null = null;
      override forward(x: Tensor): Mapped {
        this.#scale = Tensor.from(this.log_scale.data.map(Math.exp), this.log_scale.shape, x.dtype);
        return super.forward(x);
      }
      override inverse(z: Tensor): Mapped {
        const right = super.inverse(z);
        return this.#scale ? right : { out: z.sub(this.shift), logDet: right.logDet };
      }
    }
    expectCaught(() => new Cached([D]), ["roundTrip", "roundTripBack"], { C: 0 });
  });

  test("an inverse that throws before its first forward", () => {
    class Late extends ElementwiseAffine {
      #ready = false;
      override forward(x: Tensor): Mapped {
        this.#ready = true;
        return super.forward(x);
      }
      override inverse(z: Tensor): Mapped {
        if (!this.#ready) throw new Error("no forward yet");
        return super.inverse(z);
      }
    }
    expectCaught(() => new Late([D]), ["roundTrip", "roundTripBack"], { C: 0 });
    expect(certificateOf(() => new Late([D]), { C: 0 }).findings.map(({ at }) => at)).toContain(
      "no forward yet",
    );
  });

  test("an inverse that gives back the x its forward saw last", () => {
    class Remembering extends ElementwiseAffine {
      #last: number[] = [];
      override forward(x: Tensor): Mapped {
        this.#last = x.toArray();
        return super.forward(x);
      }
      override inverse(z: Tensor): Mapped {
        const right = super.inverse(z);
        const same = this.#last.length === z.size;
        return {
          out: same ? Tensor.from(this.#last, z.shape, z.dtype) : right.out.scale(0.5),
          logDet: right.logDet,
        };
      }
    }
    expectCaught(() => new Remembering([D]), ["roundTripBack"], { C: 0 });
  });

  test("initialised from the first batch", () => {
    class FirstUse extends ActNorm {
      #done = false;
      override forward(x: Tensor): Mapped {
        if (!this.#done) this.shift.data[0] = x.data[0];
        this.#done = true;
        return super.forward(x);
      }
    }
    expectCaught(() => new FirstUse(D), ["repeat"], { C: 0 });
  });

  test("a condition overwritten in place, and an x", () => {
    const overwrite =
      (which: "x" | "condition"): Wrong =>
      (right, x, condition) => {
        (which === "x" ? x : (condition as Tensor)).data[0] += 1;
        return right;
      };
    expectCaught(spoilt(affine, "forward", overwrite("condition")), ["repeat"]);
    expectCaught(spoilt(affine, "inverse", overwrite("x")), ["repeat"]);
  });

  test("another result at the second call", () => {
    let calls = 0;
    const wrong: Wrong = ({ out, logDet }) => ({ out: out.shift(1e-3 * calls++), logDet });
    expectCaught(spoilt(affine, "forward", wrong), ["repeat"]);
  });

  test.each([
    ["()", (logDet: Tensor) => logDet.sum()],
    ["(B, 1)", (logDet: Tensor) => logDet.reshape([logDet.size, 1])],
  ])("a log-determinant of shape %s", (_, change) => {
    expectCaught(
      spoilt(affine, "forward", ({ out, logDet }) => ({ out, logDet: change(logDet) })),
      ["shapes"],
    );
  });

  test("a layer that starts as the identity is not certified as one", () => {
    const wrong: Wrong = ({ out, logDet }) => ({ out, logDet: logDet.scale(2) });
    expectCaught(spoilt(healthy.ElementwiseAffine, BOTH, wrong), ["logDet", "inverseLogDet"], { C: 0 });
  });
});

describe("mistakes that are easily made", () => {
  test("an affine coupling that scales by s, not eˢ, in its log-determinant", () => {
    const wrong: Wrong = ({ out }, x, condition, bijector) => {
      const { split, scale_net } = bijector as AffineCoupling;
      const [kept] = split.apart(x);
      return { out, logDet: sumEvent(scale_net.forward(kept, condition).tanh().exp()) };
    };
    expectCaught(spoilt(affine, "forward", wrong), ["logDet", "cancellation"]);
  });

  test("an affine coupling whose inverse conditions on the changed half", () => {
    const crossed: Make = (of) => {
      const coupling = affine(of) as AffineCoupling;
      const right = coupling.inverse.bind(coupling);
      coupling.inverse = (z, condition) => {
        const [kept, changed] = coupling.split.apart(z);
        const other = right(coupling.split.join(changed, kept), condition);
        const [, undone] = coupling.split.apart(other.out);
        return { out: coupling.split.join(kept, undone), logDet: other.logDet };
      };
      return coupling;
    };
    expectCaught(crossed, ["roundTrip", "roundTripBack", "cancellation"]);
  });

  test("a matrix multiplied from the other side", () => {
    const wrong: Wrong = ({ logDet }, x, _c, bijector) => {
      const plu = bijector as InvertiblePLU;
      const b = x.matmul(plu.P);
      const c = b.add(b.matmul(plu.L.t().triangle({ lower: false })));
      return { out: c.mul(plu.s).add(c.matmul(plu.U.triangle({ lower: false }))), logDet };
    };
    expectCaught(spoilt(healthy.InvertiblePLU, "forward", wrong), ["roundTrip", "roundTripBack"], { C: 0 });
  });

  test("a stored inverse that is the permutation itself", () => {
    class Itself extends Permutation {
      override inverse(z: Tensor): Mapped {
        return this.forward(z);
      }
    }
    expectCaught(() => new Itself(D), ["roundTrip", "roundTripBack"], { C: 0 });
  });

  test("a log-determinant of s where it should be of |s|", () => {
    const wrong: Wrong = ({ out }, x, _c, bijector) => ({
      out,
      logDet: (bijector as InvertiblePLU).s.log().sum().broadcastTo([x.shape[0]]),
    });
    expectCaught(spoilt(healthy.InvertiblePLU, "forward", wrong), ["logDet", "cancellation"], { C: 0 });
  });
});

describe("conditions", () => {
  const ignoring = (of: Kit): Conditioner => {
    const net = of.conditioner(of.D / 2, of.D / 2);
    const right = net.forward.bind(net);
    net.forward = (kept: Tensor, condition?: Tensor) => right(kept, condition?.scale(0));
    return net;
  };

  test("that all conditioners ignore are a finding", () => {
    const make = (of: Kit): Bijector => new AffineCoupling(ignoring(of), ignoring(of));
    expect(brokenIn(make)).toEqual(["matters"]);
    const certificate = certificateOf(make);
    expect(foundAt(certificate, "the whole flow")).toEqual(["matters"]);
    expect(certificate.conditionEffect).toBe(0);
  });
});

describe("bases", () => {
  class Spoilt extends DiagonalNormal {
    #faults: {
      readonly logProb?: (logProb: Tensor) => Tensor;
      readonly fromNoise?: (noise: Tensor, t: number) => Tensor;
    };

    constructor(faults: Spoilt["faults"]) {
      super([D]);
      this.#faults = faults;
    }

    get faults() {
      return this.#faults;
    }

    override logProb(z: Tensor): Tensor {
      const right = super.logProb(z);
      return this.#faults.logProb?.(right) ?? right;
    }

    override fromNoise(noise: Tensor, temperature: number): Tensor {
      return this.#faults.fromNoise?.call(this, noise, temperature) ?? super.fromNoise(noise, temperature);
    }
  }
  type Case = [string, keyof typeof baseLaws, Spoilt["faults"]];
  const right = DiagonalNormal.prototype.fromNoise;

  test.each<Case>([
    ["off by one nat", "density", { logProb: (p) => p.shift(1) }],
    ["without its constant", "density", { logProb: (p) => p.shift(0.5 * D * Math.log(2 * Math.PI)) }],
    ["whose gradient is cut off", "gradient", { logProb: (p) => p.detach() }],
    ["of log-probabilities (B, 1)", "shapes", { logProb: (p) => p.reshape([p.size, 1]) }],
    [
      "wrong in float32",
      "float32",
      { logProb: (p) => (p.dtype === "float32" ? p.shift(1e5).shift(-1e5) : p) },
    ],
    [
      "that samples twice too wide",
      "density",
      {
        fromNoise(this: Spoilt, noise, t) {
          return right.call(this, noise, 2 * t);
        },
      },
    ],
    [
      "that samples with σ²",
      "density",
      {
        fromNoise(this: Spoilt, noise, t) {
          return noise.mul(this.log_std.scale(2).exp().scale(t)).add(this.mean);
        },
      },
    ],
    [
      "that ignores the temperature",
      "temperature",
      {
        fromNoise(this: Spoilt, noise) {
          return right.call(this, noise, 1);
        },
      },
    ],
  ])("%s", (_, law, faults) => {
    const make = (): Spoilt => new Spoilt(faults);
    expect(broken(baseLawCases(make), baseLaws)).toContain(law);
    const certificate = certify(() => new Flow([new ElementwiseAffine([D])], make()));
    expect(foundAt(certificate, "the base", baseLaws)).toContain(law);
    expect(certificate.findings.filter(({ subject }) => subject.startsWith("layer"))).toEqual([]);
  });

  test("sound ones break no law", () => {
    expect(
      broken(
        baseLawCases(() => new DiagonalNormal([2, 3])),
        baseLaws,
      ),
    ).toEqual([]);
    expect(
      broken(
        baseLawCases(() => new StandardNormal([D])),
        baseLaws,
      ),
    ).toEqual([]);
  });
});

describe("flows", () => {
  const layers = (): Bijector[] => [new InvertiblePLU(D), affine(kit), new Permutation(D)];
  const found = (make: () => Flow): string[] =>
    foundAt(certify(make, { condition: C }), "the whole flow", {
      ...every,
      ...flowLaws,
      gradient: flowLaws.gradient,
    });
  const sub = (methods: (flow: Flow) => Partial<Flow>) => (): Flow => {
    const flow = new Flow(layers(), new StandardNormal([D]));
    return Object.assign(flow, methods(flow));
  };

  test("a sound one breaks no law", () => {
    expect(certify(() => new Flow(layers(), new StandardNormal([D])), { condition: C }).findings).toEqual([]);
  });

  test("that override forward, inverse, logProb, its terms or sample wrongly", () => {
    const off = ({ out, logDet }: Mapped): Mapped => ({ out, logDet: logDet.shift(0.1) });
    const of = (flow: Flow) => ({
      forward: flow.forward.bind(flow),
      inverse: flow.inverse.bind(flow),
      logProb: flow.logProb.bind(flow),
      logProbTerms: flow.logProbTerms.bind(flow),
      sample: flow.sample.bind(flow),
    });
    expect(
      found(sub((flow) => ((own) => ({ forward: (x, c) => off(own.forward(x, c)) }))(of(flow)))),
    ).toContain("logDet");
    expect(
      found(sub((flow) => ((own) => ({ inverse: (z, c) => off(own.inverse(z, c)) }))(of(flow)))),
    ).toContain("inverseLogDet");
    const subtracting = sub((flow) => ({
      logProb(x, c) {
        const { out, logDet } = flow.forward(x, c);
        return flow.base.logProb(out).sub(logDet);
      },
    }));
    expect(found(subtracting)).toEqual(expect.arrayContaining(["logProb", "logProbTerms"]));
    const cut = sub((flow) => ((own) => ({ logProb: (x, c) => own.logProb(x, c).detach() }))(of(flow)));
    expect(found(cut)).toContain("gradient");
    const wide = sub((flow) =>
      ((own) => ({
        sample: (count: number, random: Random, { temperature = 1, ...rest } = {}) =>
          own.sample(count, random, { ...rest, temperature: 1.2 * temperature }),
      }))(of(flow)),
    );
    expect(found(wide)).toEqual(["samples"]);
    const cold = sub((flow) =>
      ((own) => ({
        sample: (count: number, random: Random, options = {}) =>
          own.sample(count, random, { ...options, temperature: 1 }),
      }))(of(flow)),
    );
    expect(found(cold)).toEqual(["samples"]);
  });

  test("of two wrong layers that make up for each other both are named", () => {
    const by = (amount: number): Make =>
      spoilt(healthy.ElementwiseAffine, BOTH, ({ out, logDet }) => ({ out, logDet: logDet.shift(amount) }));
    const make = (): Flow =>
      new Flow([by(0.3)(kit), new Permutation(D), by(-0.3)(kit)], new StandardNormal([D]));
    const certificate = certify(make);
    expect(foundAt(certificate, "the whole flow")).toEqual([]);
    expect(foundAt(certificate, "layer 0 (ElementwiseAffine)")).toContain("logDet");
    expect(foundAt(certificate, "layer 1 (Permutation)")).toEqual([]);
    expect(foundAt(certificate, "layer 2 (ElementwiseAffine)")).toContain("logDet");
  });

  test("at a point of the user's own", () => {
    const at = where((x) => Math.abs(x[0] - 17.25) < 1e-3);
    const make = (): Flow =>
      new Flow([spoilt(healthy.ElementwiseAffine, "forward", at)(kit)], new StandardNormal([D]));
    expect(certify(make).holds).toBe(true);
    const x = Tensor.full([1, D], 17.25);
    const certificate = certify(make, { own: { x } });
    expect(foundAt(certificate, "the whole flow")).toContain("logDet");
    expect(foundAt(certificate, "layer 0 (ElementwiseAffine)")).toContain("logDet");
  });
});
