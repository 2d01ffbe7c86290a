import { fc, test } from "@fast-check/vitest";
import { describe, expect, it } from "vitest";
import {
  checkpoint,
  grad,
  heapUsage,
  jacobian,
  jvp,
  noGrad,
  Random,
  Scope,
  Tensor,
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

  it("records nothing under noGrad", () => {
    using _ = new Scope();
    const x = Tensor.ones([1]).tracked();
    expect(noGrad(() => x.exp()).node).toBeNull();
  });

  it("refuses a y that is no scalar without dy", () => {
    expect(() => grad(Tensor.ones([2]).tracked(), [])).toThrow(
      "grad: expected a scalar or a dy, got y of shape (2)",
    );
  });
});
