import { fc, test } from "@fast-check/vitest";
import { describe, expect, it } from "vitest";
import {
  concat,
  type DType,
  grad,
  Plan,
  plainKernels,
  Random,
  Scope,
  sizeOf,
  stack,
  Tensor,
  tidy,
} from "../../core/index.ts";

const shapes = fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 3 });
/** A tensor and one of its axes. */
const onAxis = fc.tuple(shapes, fc.nat(), fc.nat()).map(([shape, axis, seed]) => ({
  shape,
  axis: axis % shape.length,
  seed,
}));

/** Small integers as numbers: some are equal. */
function drawn(shape: readonly number[], seed: number, dtype: DType = "float64"): Tensor {
  const random = new Random(seed);
  return Tensor.from(
    Float64Array.from({ length: sizeOf(shape) }, () => random.integer(9) - 4),
    shape,
    dtype,
  );
}

/** int32 places below `bound`. */
function places(shape: readonly number[], bound: number, seed: number): Tensor {
  const random = new Random(seed);
  const ids = Int32Array.from({ length: sizeOf(shape) }, () => random.integer(bound));
  return Tensor.from(ids, shape, "int32");
}

const numbers = (x: Tensor): number[] => x.toArray().map((value) => value + 0);

describe("shapes", () => {
  test.prop([onAxis, fc.integer({ min: -9, max: 9 })], { numRuns: 30 })(
    "what is taken apart, turned or moved comes back together",
    ({ shape, axis, seed }, shift) => {
      using _ = new Scope();
      for (const dtype of ["float32", "int32"] as const) {
        const x = drawn(shape, seed, dtype);
        const same = (y: Tensor): void => {
          expect([y.dtype, y.shape]).toEqual([x.dtype, x.shape]);
          expect(y.toArray()).toEqual(x.toArray());
        };
        same(x.flip([axis]).flip([axis]));
        same(
          x
            .flip(shape.map((_, i) => i))
            .reshape([x.size])
            .flip([0])
            .reshape(shape),
        );
        same(x.roll(shift, axis).roll(-shift, axis));
        same(x.roll(shape[axis] * shift, axis));
        same(x.unsqueeze(axis).squeeze(axis));
        same(x.unsqueeze(-1).squeeze(-1));
        same(concat(x.split(2, axis), axis));
        same(concat(x.split([1, 0, shape[axis] - 1], axis), axis));
        const rows = x.split(1, axis).map((row) => row.squeeze(axis));
        same(stack(rows, axis));
        same(
          x
            .tile([2, ...shape.map(() => 1)])
            .slice(0, 0, 1)
            .squeeze(0),
        );
        same(x.sort(axis).values.gather(axis, x.argsort(axis).argsort(axis)));
      }
    },
  );

  it("is as in PyTorch's documentation", () => {
    using _ = new Scope();
    const x = Tensor.from([1, 2, 3, 4, 5, 6, 7, 8], [4, 2]);
    expect(x.roll(1, 0).toArray()).toEqual([7, 8, 1, 2, 3, 4, 5, 6]);
    expect(x.roll(-1, 0).toArray()).toEqual([3, 4, 5, 6, 7, 8, 1, 2]);
    expect(Tensor.arange(8).reshape([2, 2, 2]).flip([0, 1]).toArray()).toEqual([6, 7, 4, 5, 2, 3, 0, 1]);
    expect(Tensor.from([1, 2, 3]).tile([2]).toArray()).toEqual([1, 2, 3, 1, 2, 3]);
    expect(
      Tensor.from([
        [1, 2],
        [3, 4],
      ])
        .tile([2, 2])
        .toArray(),
    ).toEqual([1, 2, 1, 2, 3, 4, 3, 4, 1, 2, 1, 2, 3, 4, 3, 4]);
    expect(
      Tensor.arange(10)
        .split(4, 0)
        .map((y) => y.size),
    ).toEqual([4, 4, 2]);
    expect(Tensor.zeros([2, 1, 2, 1, 2]).squeeze().shape).toEqual([2, 2, 2]);
    expect(Tensor.zeros([0, 2]).roll(3, 0).shape).toEqual([0, 2]);
    expect(Tensor.zeros([0, 2]).tile([2, 3]).shape).toEqual([0, 6]);
  });
});

describe("gather and scatter", () => {
  test.prop([onAxis, fc.integer({ min: 0, max: 5 })], { numRuns: 50 })(
    "are adjoint, and what loops over numbers say",
    ({ shape, axis, seed }, count) => {
      using _ = new Scope();
      const x = drawn(shape, seed);
      const ids = places(shape.with(axis, count), shape[axis], seed + 1);
      const y = drawn(ids.shape, seed + 2);
      const got = x.gather(axis, ids);
      const back = x.zerosLike().scatterAdd(axis, ids, y);
      expect(got.mul(y).sum().item() + 0).toBe(x.mul(back).sum().item() + 0);
      const inner = sizeOf(shape.slice(axis + 1));
      const at = (flat: number, id: number): number =>
        (Math.floor(flat / (count * inner)) * shape[axis] + id) * inner + (flat % inner);
      const values = x.toArray();
      expect(got.toArray()).toEqual(ids.toArray().map((id, flat) => values[at(flat, id)]));
      const sums = values.map(() => 0);
      ids.toArray().forEach((id, flat) => {
        sums[at(flat, id)] += y.data[flat];
      });
      expect(numbers(back)).toEqual(sums.map((v) => v + 0));
      // Tuned and plain kernels in float32, and plans; integers are exact in any order.
      const [narrow, source] = [x.to("float32"), y.to("float32")];
      const add = (a: Tensor): Tensor => a.scatterAdd(axis, ids, source);
      expect(add(narrow).toArray()).toEqual(x.scatterAdd(axis, ids, y).toArray());
      expect(plainKernels(() => add(narrow)).toArray()).toEqual(add(narrow).toArray());
      using plan = new Plan((a) => [add(a), a.gather(axis, ids)], [narrow]);
      const [sum, taken] = plan.run(narrow).map((out) => out.toArray());
      expect([sum, taken]).toEqual([add(narrow).toArray(), got.toArray()]);
    },
  );

  test.prop([onAxis, fc.nat()], { numRuns: 50 })(
    "scatter overwrites what gather then finds, and what is overwritten has no slope",
    ({ shape, axis, seed }, some) => {
      using _ = new Scope();
      // Each place at most once: the order of a row of numbers, cut off.
      const order = drawn(shape, seed + 1).argsort(axis);
      const ids = order.slice(axis, 0, some % (shape[axis] + 1));
      const [x, y] = [drawn(shape, seed).tracked(), drawn(ids.shape, seed + 2).tracked()];
      const out = x.scatter(axis, ids, y);
      expect(out.gather(axis, ids).toArray()).toEqual(y.toArray());
      const rest = order.slice(axis, some % (shape[axis] + 1), shape[axis]);
      expect(out.gather(axis, rest).toArray()).toEqual(x.gather(axis, rest).toArray());
      const dy = drawn(shape, seed + 3);
      const [dx, dSource] = grad(out, [x, y], { dy }) as Tensor[];
      expect(dSource.toArray()).toEqual(dy.gather(axis, ids).toArray());
      expect(numbers(dx)).toEqual(numbers(dy.scatter(axis, ids, y.zerosLike())));
    },
  );

  test.prop([onAxis, fc.array(fc.integer({ min: 0, max: 3 }), { maxLength: 2 })])(
    "indexSelect takes what gather takes with the same places for all",
    ({ shape, axis, seed }, list) => {
      using _ = new Scope();
      const x = drawn(shape, seed);
      const ids = places(list, shape[axis], seed);
      const got = x.indexSelect(axis, ids);
      expect(got.shape).toEqual(shape.toSpliced(axis, 1, ...list));
      const wide = ids.reshape(shape.map((_, i) => (i === axis ? ids.size : 1)));
      const same = x.gather(axis, wide.broadcastTo(shape.with(axis, ids.size)));
      expect(got.toArray()).toEqual(same.toArray());
    },
  );

  it("have the examples of PyTorch's documentation", () => {
    using _ = new Scope();
    const t = Tensor.from([
      [1, 2],
      [3, 4],
    ]);
    expect(t.gather(1, Tensor.from([0, 0, 1, 0], [2, 2], "int32")).toArray()).toEqual([1, 1, 4, 3]);
    const ids = Tensor.from([0, 1, 2, 0, 0], [1, 5], "int32");
    expect(
      Tensor.zeros([3, 5])
        .scatterAdd(0, ids, Tensor.ones([1, 5]))
        .toArray(),
    ).toEqual([1, 0, 0, 1, 1, 0, 1, 0, 0, 0, 0, 0, 1, 0, 0]);
    const labels = Tensor.from([0, 1, 2, 0, 1], [5], "int32");
    expect(labels.oneHot(3).argmax(1).toArray()).toEqual(labels.toArray());
    expect(labels.oneHot(3, "int32").sum([0]).toArray()).toEqual([2, 2, 1]);
  });
});

const value = fc.oneof(fc.integer({ min: -2, max: 2 }), fc.constantFrom(Infinity, -Infinity, NaN, -0, 0.5));

describe("sort", () => {
  test.prop([
    fc.array(value, { minLength: 1, maxLength: 8 }),
    fc.boolean(),
    fc.constantFrom<DType>("float32", "float64"),
  ])("is stable, ascending or descending, with NaN as the largest", (xs, descending, dtype) => {
    using _ = new Scope();
    const x = Tensor.from(xs, [xs.length, 1], dtype);
    const rank = (v: number): number => (Number.isNaN(v) ? 4 : v === Infinity ? 3 : v === -Infinity ? -3 : v);
    const sign = descending ? -1 : 1;
    const expected = xs.map((_, i) => i).sort((i, j) => sign * (rank(xs[i]) - rank(xs[j])) || i - j);
    for (const { values, indices } of [x.sort(0, descending), plainKernels(() => x.sort(0, descending))]) {
      expect(indices.dtype).toBe("int32");
      expect(indices.toArray()).toEqual(expected);
      expect(values.toArray()).toEqual(expected.map((i) => xs[i]));
    }
    const k = xs.length >> 1;
    const top = x.topk(k, 0, descending);
    expect(top.indices.toArray()).toEqual(expected.slice(0, k));
    expect(top.values.shape).toEqual([k, 1]);
    using plan = new Plan((y) => y.sort(0, descending).values, [x]);
    expect(plan.run(x)[0].toArray()).toEqual(expected.map((i) => xs[i]));
  });

  it("sends each gradient where its number came from", () => {
    const gradient = (f: (x: Tensor) => Tensor): number[] =>
      tidy(() => {
        const x = Tensor.from([3, 1, 2], [3], "float64").tracked();
        const y = f(x);
        return grad(y.mul(Tensor.arange(1, y.size + 1, 1, "float64")).sum(), [x])[0] as Tensor;
      }).toArray();
    expect(gradient((x) => x.sort().values)).toEqual([3, 1, 2]);
    expect(gradient((x) => x.topk(2).values)).toEqual([1, 0, 2]);
    expect(gradient((x) => x.indexSelect(0, Tensor.from([2, 2], [2], "int32")))).toEqual([0, 0, 3]);
  });
});

describe("dtypes", () => {
  test.prop([fc.array(fc.double({ min: -1e9, max: 1e9, noNaN: true }), { minLength: 1, maxLength: 9 })])(
    "to rounds as the arrays of JavaScript do, and to int32 towards 0",
    (xs) => {
      using _ = new Scope();
      const x = Tensor.from(xs, [xs.length], "float64");
      expect(x.to("float32").toArray()).toEqual([...Float32Array.from(xs)]);
      expect(x.to("int32").toArray()).toEqual([...Int32Array.from(xs)]);
      expect(x.to("int32").to("float64").toArray()).toEqual([...Int32Array.from(xs)]);
      const ints = x.to("int32");
      expect(ints.to("float32").toArray()).toEqual([...Float32Array.from(ints.data)]);
      expect(x.to("float64")).toBe(x);
    },
  );

  it("to lets gradients of every order through, in the dtype of what they are of", () => {
    using _ = new Scope();
    const x = Tensor.from([1, 2], [2], "float64").tracked();
    const y = x.to("float32").pow(3);
    const [first] = grad(y.sum(), [x], { createGraph: true });
    const [second] = grad((first as Tensor).sum(), [x]);
    expect([first?.dtype, first?.toArray()]).toEqual(["float64", [3, 12]]);
    expect([second?.dtype, second?.toArray()]).toEqual(["float64", [6, 12]]);
    expect(x.to("int32").node).toBeNull();
    expect(() => Tensor.from([NaN]).to("int32")).toThrow("cast: expected integers that fit int32, got NaN");
  });
});

describe("creation", () => {
  test.prop([
    fc.integer({ min: -9, max: 9 }),
    fc.integer({ min: -9, max: 9 }),
    fc.constantFrom(1, 2, 0.5, -1, -0.25),
  ])("arange goes by steps, and leaves the end out", (start, end, step) => {
    using _ = new Scope();
    const expected: number[] = [];
    for (let v = start; step > 0 ? v < end : v > end; v += step) expected.push(v);
    expect(Tensor.arange(start, end, step).toArray()).toEqual(expected);
  });

  it("arange, linspace, eye and forms like others", () => {
    using _ = new Scope();
    expect(Tensor.arange(3, undefined, 1, "int32").toArray()).toEqual([0, 1, 2]);
    expect(Tensor.linspace(-10, 10, 5).toArray()).toEqual([-10, -5, 0, 5, 10]);
    expect(Tensor.linspace(-10, 10, 1).toArray()).toEqual([-10]);
    expect(Tensor.linspace(0, 1, 8, "float64").data[7]).toBe(1);
    expect(Tensor.eye(2).toArray()).toEqual([1, 0, 0, 1]);
    const x = Tensor.ones([2, 3], "int32");
    expect([x.zerosLike(), x.onesLike(), x.fullLike(7)].map((y) => [y.dtype, y.shape, y.data[5]])).toEqual([
      ["int32", [2, 3], 0],
      ["int32", [2, 3], 1],
      ["int32", [2, 3], 7],
    ]);
  });
});
