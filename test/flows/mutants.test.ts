/** Deliberately broken bijectors: each law must catch what it is there for. */
import { describe, expect, test } from "vitest";
import { concat, Random, Scope, Tensor } from "../../core/index.ts";
import {
  ActNorm,
  AdditiveCoupling,
  AffineCoupling,
  type Bijector,
  conditionEffect,
  ElementwiseAffine,
  Flow,
  Inverse,
  InvertiblePLU,
  integrate,
  Logit,
  laws,
  type Mapped,
  Permutation,
  SplineCoupling,
  StandardNormal,
  samplingError,
  sumEvent,
  Tanh,
} from "../../flows/index.ts";
import { type Blindfold, build, type Kit } from "../laws/bijector.ts";

const D = 6;
const C = 4;
type LawName = keyof typeof laws;
type Direction = "forward" | "inverse";

/** Laws broken by more than rounding at random inputs. `scale` keeps inputs in the domain. */
function broken(bijector: Bijector, scale: number): LawName[] {
  using _ = new Scope();
  const random = new Random(3);
  const input = {
    x: random.uniforms([3, D], 0.05 * scale, 0.95 * scale, "float64"),
    z: random.uniforms([3, D], 0.05 * scale, 0.95 * scale, "float64"),
    condition: random.normals([3, C], "float64"),
  };
  return (Object.keys(laws) as LawName[]).filter((name) => !(laws[name].error(bijector, input) < 1e-6));
}

/** Replaces one direction of a bijector by something made from the right result. */
function spoil(
  bijector: Bijector,
  direction: Direction,
  wrong: (right: Mapped, input: Tensor, condition?: Tensor) => Mapped,
): Bijector {
  const right = bijector[direction].bind(bijector);
  bijector[direction] = (input, condition) => wrong(right(input, condition), input, condition);
  return bijector;
}

const halves = (make: (half: number, kit: Kit) => Bijector) => (kit: Kit) => make(kit.D / 2, kit);
const healthy = {
  AffineCoupling: halves(
    (half, kit) => new AffineCoupling(kit.conditioner(half, half), kit.conditioner(half, half)),
  ),
  AdditiveCoupling: halves((half, kit) => new AdditiveCoupling(kit.conditioner(half, half))),
  SplineCoupling: halves(
    (half, kit) => new SplineCoupling(kit.conditioner(half, half * 14), { bins: 5, bound: 3 }),
  ),
  InvertiblePLU: (kit: Kit) => new InvertiblePLU(kit.D),
  Permutation: (kit: Kit) => new Permutation(kit.D),
  ActNorm: (kit: Kit) => new ActNorm(kit.D),
  ElementwiseAffine: (kit: Kit) => new ElementwiseAffine([kit.D]),
  Tanh: () => new Tanh(),
  Logit: () => new Logit(),
  "Inverse of Tanh": () => new Inverse(new Tanh()),
} satisfies Record<string, (kit: Kit) => Bijector>;

describe.each(Object.entries(healthy))("%s", (name, make) => {
  const scale = ["Tanh", "Logit", "Inverse of Tanh"].includes(name) ? 1 : 2;
  const spoiled = (direction: Direction, wrong: Parameters<typeof spoil>[2]): LawName[] =>
    broken(spoil(build(make, D, C, 1), direction, wrong), scale);

  test("as it is breaks no law", () => {
    expect(broken(build(make, D, C, 1), scale)).toEqual([]);
  });

  const preserves = name === "Permutation" || name === "AdditiveCoupling"; // volume: its log-determinant is zero
  test.skipIf(preserves)("with the wrong sign of the log-determinant", () => {
    const wrong = ({ out, logDet }: Mapped): Mapped => ({ out, logDet: logDet.neg() });
    expect(spoiled("forward", wrong)).toEqual(["logDet", "cancellation"]);
    expect(spoiled("inverse", wrong)).toEqual(["inverseLogDet", "cancellation"]);
  });

  test.skipIf(preserves)("with the wrong sign in both directions, so that they still cancel", () => {
    const wrong = ({ out, logDet }: Mapped): Mapped => ({ out, logDet: logDet.neg() });
    const both = spoil(spoil(build(make, D, C, 1), "forward", wrong), "inverse", wrong);
    expect(broken(both, scale)).toEqual(["logDet", "inverseLogDet"]);
  });

  test("with a term missing from the log-determinant", () => {
    const wrong = ({ out, logDet }: Mapped): Mapped => ({ out, logDet: logDet.shift(-0.01) });
    expect(spoiled("forward", wrong)).toEqual(["logDet", "cancellation"]);
  });

  test("with an inverse that forgets one entry", () => {
    const wrong = ({ out, logDet }: Mapped, input: Tensor): Mapped => {
      const mask = Tensor.ones(out.shape, out.dtype);
      for (let i = D - 1; i < mask.size; i += D) mask.data[i] = 0;
      return { out: out.mul(mask).add(input.mul(mask.neg().shift(1))), logDet };
    };
    expect(spoiled("inverse", wrong)).toEqual(expect.arrayContaining(["roundTrip"]));
  });

  test("with entries in the wrong order", () => {
    const wrong = ({ out, logDet }: Mapped): Mapped => ({ out: reversed(out), logDet });
    expect(spoiled("forward", wrong)).toEqual(expect.arrayContaining(["roundTrip", "roundTripBack"]));
  });

  test("that normalises over the batch", () => {
    const wrong = ({ out, logDet }: Mapped): Mapped => ({ out: out.sub(out.mean([0], true)), logDet });
    expect(spoiled("forward", wrong)).toContain("batch");
  });

  test("that gives NaN", () => {
    const wrong = ({ out, logDet }: Mapped): Mapped => ({ out: out.scale(Number.NaN), logDet });
    expect(spoiled("forward", wrong)).toEqual(
      expect.arrayContaining(["roundTrip", "roundTripBack", "logDet", "batch"]),
    );
  });
});

/** Entries along axis 1 in reverse order. */
const reversed = (x: Tensor): Tensor => concat(x.chunk(D, 1).reverse(), 1);

describe("mistakes that are easily made", () => {
  test("an affine coupling that scales by s, not eˢ, in its log-determinant", () => {
    const coupling = build(healthy.AffineCoupling, D, C, 1) as AffineCoupling;
    const wrong = spoil(coupling, "forward", ({ out }, x, condition) => {
      const [kept] = coupling.split.apart(x);
      return { out, logDet: sumEvent(coupling.scale_net.forward(kept, condition).tanh().exp()) };
    });
    expect(broken(wrong, 2)).toEqual(["logDet", "cancellation"]);
  });

  test("an affine coupling whose inverse conditions on the changed half", () => {
    const coupling = build(healthy.AffineCoupling, D, C, 1) as AffineCoupling;
    const right = coupling.inverse.bind(coupling);
    coupling.inverse = (z, condition) => {
      const [kept, changed] = coupling.split.apart(z);
      const other = right(coupling.split.join(changed, kept), condition);
      const [, undone] = coupling.split.apart(other.out);
      return { out: coupling.split.join(kept, undone), logDet: other.logDet };
    };
    expect(broken(coupling, 2)).toEqual(
      expect.arrayContaining(["roundTrip", "roundTripBack", "cancellation"]),
    );
  });

  test("a matrix multiplied from the other side", () => {
    const plu = build(healthy.InvertiblePLU, D, C, 1) as InvertiblePLU;
    const lower = plu.L.t();
    const wrong = spoil(plu, "forward", ({ logDet }, x) => {
      const b = x.matmul(plu.P);
      const c = b.add(b.matmul(lower.triangle({ lower: false })));
      return { out: c.mul(plu.s).add(c.matmul(plu.U.triangle({ lower: false }))), logDet };
    });
    expect(broken(wrong, 2)).toEqual(expect.arrayContaining(["roundTrip", "roundTripBack"]));
  });

  test("a stored inverse that is the permutation itself", () => {
    const plu = build(healthy.InvertiblePLU, D, C, 1) as InvertiblePLU;
    plu.P_inv.data.set(plu.P.data);
    expect(broken(plu, 2)).toEqual(["roundTrip", "roundTripBack"]);
    const permutation = build(healthy.Permutation, D, C, 1) as Permutation;
    permutation.inv_perm.data.set(permutation.perm.data);
    expect(broken(permutation, 2)).toEqual(["roundTrip", "roundTripBack"]);
  });

  test("a log-determinant of s where it should be of |s|", () => {
    const plu = build(healthy.InvertiblePLU, D, C, 1) as InvertiblePLU;
    plu.s.data[0] = -Math.abs(plu.s.data[0]);
    const wrong = spoil(plu, "forward", ({ out }, x) => ({
      out,
      logDet: plu.s.log().sum().broadcastTo([x.shape[0]]),
    }));
    expect(broken(wrong, 2)).toEqual(["logDet", "cancellation", "batch"]); // NaN everywhere
  });

  test("junk in the other triangles and on the diagonals changes nothing", () => {
    const plu = build(healthy.InvertiblePLU, D, C, 1) as InvertiblePLU;
    for (let i = 0; i < D; i++)
      for (let j = 0; j < D; j++) {
        if (j >= i) plu.L.data[i * D + j] = 7;
        if (j <= i) plu.U.data[i * D + j] = 7;
      }
    expect(broken(plu, 2)).toEqual([]);
  });

  test("a base density without its constant does not integrate to one", () => {
    using _ = new Scope();
    const flow = new Flow([], new StandardNormal([2]));
    expect(Math.abs(integrate(flow).total - 1)).toBeLessThan(1e-9);
    const right = flow.base.logProb.bind(flow.base);
    flow.base.logProb = (z) => right(z).shift(0.5 * Math.log(2 * Math.PI));
    expect(Math.abs(integrate(flow).total - 1)).toBeGreaterThan(1);
  });

  test("samples from noise that is too wide disagree with the integrals", () => {
    using _ = new Scope();
    const flow = new Flow([build(healthy.ElementwiseAffine, 1, 0, 2)], new StandardNormal([1]));
    const integrals = integrate(flow);
    expect(samplingError(flow, integrals, new Random(4))).toBeLessThan(4.5);
    const right = flow.base.shape.bind(flow.base);
    flow.base.shape = (noise, temperature) => right(noise, 1.2 * temperature);
    expect(samplingError(flow, integrals, new Random(4))).toBeGreaterThan(6);
  });
});

describe("conditions", () => {
  const effectOf = (coupling: Bijector): number => {
    using _ = new Scope();
    const random = new Random(3);
    const condition = random.normals([2, C], "float64");
    const [x, z] = [random.normals([2, D], "float64"), random.normals([2, D], "float64")];
    return conditionEffect(coupling, { x, z, condition }, condition.shift(1));
  };

  test("that a coupling ignores have no effect; those it uses have one, until its conditioner is blind", () => {
    const nets: Blindfold[] = [];
    const coupling = build(healthy.AffineCoupling, D, C, 1, nets);
    expect(effectOf(coupling)).toBeGreaterThan(1e-3);
    for (const net of nets) net.blind = true;
    expect(effectOf(coupling)).toBe(0);
  });

  test("that leak past the conditioner show when it is blind", () => {
    const nets: Blindfold[] = [];
    const leaking = spoil(
      build(healthy.AffineCoupling, D, C, 1, nets),
      "forward",
      (right, _x, condition) => ({
        out: right.out.add(condition!.mean([1], true)),
        logDet: right.logDet,
      }),
    );
    for (const net of nets) net.blind = true;
    expect(effectOf(leaking)).toBeGreaterThan(0.1);
  });
});
