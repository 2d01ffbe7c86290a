import { fc, test } from "@fast-check/vitest";
import { describe, expect, it } from "vitest";
import {
  checkpoint,
  eachGradient,
  grad,
  heapUsage,
  jacobian,
  jvp,
  noGrad,
  Random,
  Scope,
  Tensor,
  tidy,
  vjp,
} from "../../core/index.ts";

const f = (x: Tensor): Tensor => x.matmul(x.tanh(), { transposeB: true }).softmax().exp();

describe("autograd", () => {
  test.prop([fc.nat(), fc.integer({ min: 1, max: 4 }), fc.integer({ min: 1, max: 4 })])(
    "jvp and vjp are the two sides of the Jacobian: u · (J v) = (uᵀ J) · v",
    (seed, rows, columns) => {
      using _ = new Scope();
      const random = new Random(seed);
      const x = random.normals([rows, columns], "float64");
      const v = random.normals([rows, columns], "float64");
      const forward = jvp(f, x, v);
      const u = random.normals(forward.y.shape, "float64");
      const backward = vjp(f, x, u);
      const left = u.mul(forward.dy).sum().item();
      const right = backward.dx.mul(v).sum().item();
      expect(left).toBeCloseTo(right, 9); // a few hundred float64 operations
      const J = jacobian(f, x);
      const product = J.matmul(v.reshape([v.size, 1]));
      product.data.forEach((value, i) => {
        expect(value).toBeCloseTo(forward.dy.data[i], 9);
      });
    },
  );

  it("returns null where y does not depend on x", () => {
    using _ = new Scope();
    const [x, z] = [Tensor.ones([2]).tracked(), Tensor.ones([2]).tracked()];
    const [dx, dz] = grad(x.sum(), [x, z]);
    expect(dx?.toArray()).toEqual([1, 1]);
    expect(dz).toBeNull();
  });

  it("adds up the ways in which x reaches y", () => {
    using _ = new Scope();
    const x = Tensor.from([3], [1], "float64").tracked();
    const [dx] = grad(x.mul(x).add(x.scale(5)).sum(), [x]);
    expect(dx?.toArray()).toEqual([11]);
  });

  it("differentiates a chain of ten thousand ops without exhausting the stack", () => {
    using _ = new Scope();
    const x = Tensor.ones([1]).tracked();
    let y = x;
    for (let i = 0; i < 10_000; i++) y = y.shift(1);
    expect(grad(y.sum(), [x])[0]?.item()).toBe(1);
  });

  describe("checkpoint", () => {
    const chain = (x: Tensor, w: Tensor, wrap: (f: (h: Tensor) => Tensor, h: Tensor) => Tensor): Tensor => {
      let h = x;
      for (let i = 0; i < 8; i++) h = wrap((y) => y.matmul(w).tanh().add(y.sin()).mul(y).gelu(), h);
      return h.square().sum();
    };
    const plain = (f: (h: Tensor) => Tensor, h: Tensor): Tensor => f(h);

    it("gives the gradients and second derivatives of what it wraps", () => {
      using _ = new Scope();
      const random = new Random(1);
      const [x, w] = [
        random.normals([3, 4], "float64").tracked(),
        random.normals([4, 4], "float64").tracked(),
      ];
      const wrapped = (f: (h: Tensor) => Tensor, h: Tensor): Tensor => checkpoint(f, [h], [w]);
      for (const createGraph of [false, true]) {
        const [a, b] = [plain, wrapped].map((wrap) => {
          const first = grad(chain(x, w, wrap), [x, w], { createGraph }) as Tensor[];
          if (!createGraph) return first.map((g) => g.toArray());
          return grad(first[0].square().sum().add(first[1].sum()), [x, w]).map((g) =>
            (g as Tensor).toArray(),
          );
        });
        // Sums are taken in another order: equal up to float64 rounding, relative to the largest number.
        a.flat().forEach((value, i) => {
          expect(Math.abs(b.flat()[i] - value)).toBeLessThan(1e-12 * Math.max(...a.flat().map(Math.abs)));
        });
      }
    });

    it("has second derivatives for an input that the first were not asked for", () => {
      using _ = new Scope();
      const [x, w] = [0, 1].map((i) => new Random(2, i).normals([3, 3], "float64").tracked());
      const [expected, got] = [plain, (f: (h: Tensor) => Tensor, h: Tensor) => checkpoint(f, [h], [w])].map(
        (wrap) => {
          const [dw] = grad(wrap((h) => h.matmul(w).tanh(), x).sum(), [w], { createGraph: true });
          return grad((dw as Tensor).square().sum(), [x])[0]?.toArray() ?? [];
        },
      );
      expect(got).toHaveLength(9);
      got.forEach((value, i) => {
        expect(value).toBeCloseTo(expected[i], 12); // sums in another order
      });
    });

    it("holds less memory", () => {
      const [x, w] = [Tensor.ones([64, 64]).tracked(), Tensor.full([64, 64], 0.01).tracked()];
      const held = (wrap: (f: (h: Tensor) => Tensor, h: Tensor) => Tensor): number => {
        using _ = new Scope();
        const before = heapUsage().live;
        chain(x, w, wrap);
        return heapUsage().live - before;
      };
      expect(held((f, h) => checkpoint(f, [h], [w]))).toBeLessThan(held(plain) / 4); // one block per piece, not six
    });
  });

  describe("eachGradient", () => {
    /** How each link of a chain is made of the results so far and of the weights. */
    const chains = fc.array(
      fc.record({ from: fc.nat(), weight: fc.nat(2), kind: fc.constantFrom("mul", "add", "matmul", "view") }),
      { minLength: 1, maxLength: 12 },
    );
    type Chain = typeof chains extends fc.Arbitrary<infer T> ? T : never;
    const run = (chain: Chain, weights: readonly Tensor[]): Tensor => {
      const made = [Tensor.full([3, 3], 0.5)];
      for (const { from, weight, kind } of chain) {
        const [x, w] = [made[from % made.length], weights[weight]];
        if (kind === "view") made.push(x.add(w.reshape([9]).reshape([3, 3])));
        else made.push(x[kind](w).tanh());
      }
      return made.reduce((sum, x) => sum.add(x)).sum();
    };
    const weightsOf = (seed: number): Tensor[] =>
      [0, 1, 2].map((i) => new Random(seed, i).normals([3, 3]).tracked());

    test.prop([chains, fc.nat()])(
      "gives what grad gives, and lets each x be updated in place at once, bit for bit",
      (chain, seed) => {
        using _ = new Scope();
        const [together, apart] = [weightsOf(seed), weightsOf(seed)];
        const expected = grad(run(chain, together), together);
        const got: (number[] | null)[] = [null, null, null];
        const before = heapUsage().live;
        const y = run(chain, apart);
        const held = heapUsage().live;
        eachGradient(y, apart, (gradient, at) => {
          expect(got[at]).toBeNull();
          got[at] = gradient.toArray();
          apart[at].data.fill(Number.NaN); // as an update would: nobody reads it any more
          gradient.exp(); // freed with the call
        });
        expect(got).toEqual(expected.map((gradient) => gradient?.toArray() ?? null));
        expect(heapUsage().live).toBe(held);
        expect(held).toBeGreaterThan(before);
      },
    );

    it("gives y's own gradient and those of results on the way", () => {
      using _ = new Scope();
      const x = Tensor.from([1, 2]).tracked();
      const z = x.square();
      const y = z.sum();
      const got: Record<number, number[]> = {};
      eachGradient(y, [y, z, x, x, Tensor.ones([1]).tracked()], (gradient, at) => {
        got[at] = gradient.toArray();
      });
      expect(got).toEqual({ 0: [1], 1: [1, 1], 2: [2, 4], 3: [2, 4] });
    });

    it("holds one gradient at a time", () => {
      using _ = new Scope();
      const weights = Array.from({ length: 8 }, () => Tensor.full([64, 64], 0.01).tracked());
      let most = 0;
      const y = weights.reduce((x, w) => x.matmul(w), Tensor.ones([1, 64])).sum();
      const before = heapUsage().live;
      eachGradient(y, weights, () => (most = Math.max(most, heapUsage().live - before)));
      expect(most).toBeLessThan(2 * 4 * 64 * 64);
    });

    it("throws before it gives any where a history was cut", () => {
      using _ = new Scope();
      const [x, z] = [Tensor.ones([2]).tracked(), Tensor.ones([2]).tracked()];
      const cut = tidy(() => x.exp());
      expect(() => eachGradient(cut.mul(z).sum(), [z, x], () => expect.unreachable())).toThrow(
        "no gradient for tensor 1, (2)",
      );
    });
  });

  it("records nothing under noGrad", () => {
    using _ = new Scope();
    const x = Tensor.ones([1]).tracked();
    expect(noGrad(() => x.exp()).node).toBeNull();
  });

  it("refuses a y that is no scalar without dy", () => {
    expect(() => grad(Tensor.ones([2]).tracked(), [])).toThrow(
      "grad: expected a scalar or a dy, got y of shape (2)",
    );
    expect(() => eachGradient(Tensor.ones([2]).tracked(), [], () => {})).toThrow(
      "eachGradient: expected a scalar or a dy, got y of shape (2)",
    );
  });
});
