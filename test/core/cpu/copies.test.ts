import { fc, test } from "@fast-check/vitest";
import { describe, expect } from "vitest";
import { concat, grad, plainKernels, Random, Scope, Tensor } from "../../../core/index.ts";
import { bits, length, numbers } from "./support.ts";

/** Shapes of one to three axes, and one of the axes. */
const places = fc
  .array(length, { minLength: 1, maxLength: 3 })
  .chain((shape) => fc.tuple(fc.constant(shape), fc.nat(shape.length - 1)));

const side = fc.integer({ min: 1, max: 7 });

/** Both kernels move the same bits. */
function expectSame(make: () => Tensor): void {
  using _ = new Scope();
  expect(bits(make())).toEqual(bits(plainKernels(make)));
}

describe("kernels that move numbers agree with the plain ones, bit for bit", () => {
  test.prop([places, length, length])("slice and pad", ([shape, axis], before, after) => {
    using _ = new Scope();
    const wide = numbers(shape.with(axis, before + shape[axis] + after), 1);
    expectSame(() => wide.slice(axis, before, before + shape[axis]));
    expectSame(() => numbers(shape, 2).pad(axis, before, after));
    expectSame(() => numbers(shape, 2).pad(axis, 0, after));
  });

  test.prop([places, fc.array(length, { minLength: 1, maxLength: 4 })])(
    "concat",
    ([shape, axis], lengths) => {
      using _ = new Scope();
      const parts = lengths.map((n, i) => numbers(shape.with(axis, n), i));
      expectSame(() => concat(parts, axis));
    },
  );

  test.prop([
    fc.record({ kernel: side, stride: side, padding: fc.nat(4) }),
    fc.record({ B: fc.integer({ min: 1, max: 2 }), H: side, W: side, C: length }),
  ])("unfold and fold", (window, { B, H, W, C }) => {
    using _ = new Scope();
    fc.pre(Math.min(H, W) + 2 * window.padding >= window.kernel);
    const x = numbers([B, H, W, C], 6).tracked();
    expectSame(() => x.unfold(window));
    // Whole numbers: their sums are the same in any order.
    const dy = x.unfold(window).scale(0).detach();
    for (let i = 0; i < dy.size; i++) dy.data[i] = (i * 7) % 31;
    expectSame(() => grad(x.unfold(window), [x], { dy })[0] as Tensor);
  });

  test.prop([length, fc.boolean()])("triangle", (N, lower) => {
    using _ = new Scope();
    const x = numbers([N, N], 3);
    x.data[0] = Number.NaN; // left out, not multiplied by zero
    expectSame(() => x.triangle({ lower }));
  });

  test.prop([length, length, length, fc.nat()])("gather and scatter", (rows, C, count, seed) => {
    using _ = new Scope();
    const random = new Random(seed);
    const ids = Tensor.empty([count], "int32");
    for (let i = 0; i < count; i++) ids.data[i] = random.integer(rows);
    const table = numbers([rows, C], 4).tracked();
    for (const padding of [undefined, 0]) {
      expectSame(() => table.gatherRows(ids, padding));
      const dy = Tensor.empty([count, C]);
      for (let i = 0; i < dy.size; i++) dy.data[i] = (i * 7) % 31; // whole: their sums are the same in any order
      expectSame(() => grad(table.gatherRows(ids, padding), [table], { dy })[0] as Tensor);
    }
  });

  test.prop([fc.integer({ min: 1, max: 5000 }), fc.nat()])("dropout", (size, seed) => {
    using _ = new Scope();
    const x = Tensor.full([size], 0.5); // times 4/3 rounds once in either kernel
    expectSame(() => x.dropout(0.25, new Random(seed)));
  });
});
