import { fc, test } from "@fast-check/vitest";
import { describe, expect } from "vitest";
import { Scope, Tensor } from "../../core/index.ts";

type Rows = number | readonly Rows[];

/** The numbers of a row-major list as nested arrays of that shape. */
function nest(numbers: readonly number[], [length, ...rest]: readonly number[]): Rows {
  if (length === undefined) return numbers[0];
  const each = numbers.length / length;
  return Array.from({ length }, (_, i) => nest(numbers.slice(i * each, (i + 1) * each), rest));
}

const shape = fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 4 });

describe("Tensor.from", () => {
  test.prop([shape, fc.constantFrom("float32", "float64", "int32")])(
    "takes nested arrays: the shape is theirs, the numbers are row-major",
    (axes, dtype) => {
      using _ = new Scope();
      const numbers = Array.from({ length: axes.reduce((a, b) => a * b) }, (_, i) => i);
      const nested = nest(numbers, axes) as readonly number[];
      for (const given of [undefined, axes]) {
        const x = Tensor.from(nested, given, dtype);
        expect({ shape: x.shape, dtype: x.dtype }).toEqual({ shape: axes, dtype });
        expect(x.toArray()).toEqual(numbers);
      }
    },
  );

  test("takes rows that are typed arrays, and rows without numbers", () => {
    using _ = new Scope();
    expect(Tensor.from([Float32Array.of(1, 2), Float64Array.of(3, 4)]).toArray()).toEqual([1, 2, 3, 4]);
    expect(Tensor.from([[], []]).shape).toEqual([2, 0]);
    expect(Tensor.from([]).shape).toEqual([0]);
  });

  test("names the row that is odd", () => {
    expect(() => Tensor.from([[1, 2], [3, 4], [5]])).toThrow(
      "Tensor.from: expected rows of one shape, got (2) at [0] and (1) at [2]",
    );
    // biome-ignore lint/suspicious/noSparseArray: a hole is what is tested
    expect(() => Tensor.from([[1], , [2]] as never)).toThrow("expected an array of numbers, got undefined");
    expect(() => Tensor.from(["1"] as never)).toThrow('Tensor.from: expected a number at [0], got "1"');
    expect(() => Tensor.from([[1, 2]], [2])).toThrow("expected arrays nested as (2), got (1, 2)");
  });
});

test("a product over no terms is 0, and linear then gives its bias, whatever the memory held", () => {
  for (const dtype of ["float32", "float64"] as const) {
    for (let i = 0; i < 3; i++) Tensor.full([64], 7, dtype).dispose();
    const [x, weight] = [Tensor.empty([2, 3, 0], dtype), Tensor.empty([4, 0], dtype)];
    expect(x.linear(weight, Tensor.from([1, 2, 3, 4], [4], dtype)).toArray()).toEqual(
      Array.from({ length: 24 }, (_, j) => 1 + (j % 4)),
    );
    expect(x.linear(weight).toArray()).toEqual(new Array(24).fill(0));
    expect(x.matmul(Tensor.empty([2, 0, 5], dtype)).toArray()).toEqual(new Array(30).fill(0));
  }
});
