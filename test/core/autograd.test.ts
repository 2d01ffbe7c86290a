import { fc, test } from "@fast-check/vitest";
import { describe, expect, it } from "vitest";
import { grad, jacobian, jvp, noGrad, Random, Scope, Tensor, vjp } from "../../core/index.ts";

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
