import { fc, test } from "@fast-check/vitest";
import { describe, expect, it } from "vitest";
import { fromFormula } from "../../../core/cpu/from-formula.ts";
import { nestKernel } from "../../../core/cpu/kernels/nest.ts";
import { addressOf } from "../../../core/cpu/storage.ts";
import { compile } from "../../../core/formula/js.ts";
import { each, type Launch, max, Operand, sum } from "../../../core/formula/launch.ts";
import { nestOf } from "../../../core/formula/loops.ts";
import { plainKernels, Tensor, tidy } from "../../../core/index.ts";
import { allOps, apply } from "../../../core/op.ts";
import { sampleInputs } from "../../laws/ops.ts";
import {
  axes,
  built,
  elements,
  IDS,
  NUMBERS,
  PARAM,
  SHAPES,
  tree,
  twoLaunches,
  workedOut,
} from "../formula-trees.ts";
import { numbers } from "./support.ts";

/** What the host draws is no formula. */
const HOSTED = ["dropout", "frozenLinear"];

describe("the default kernel", () => {
  it.each(allOps.filter(({ name }) => !HOSTED.includes(name)).map((op) => [op.name, op] as const))(
    "of %s agrees with the plain one",
    (_name, op) => {
      for (const sample of op.samples) {
        tidy(() => {
          const ins = sampleInputs(sample, "float32", 9);
          const plain = plainKernels(() => apply(op, ins, sample.attrs));
          const out = Tensor.full(plain.shape, Number.NaN);
          const run = fromFormula(op, out, ins, sample.attrs);
          if (!run) throw new Error(`${op.name}: no kernel`);
          run();
          const scale = Math.max(1, ...plain.toArray().map(Math.abs));
          plain.data.forEach((value, i) => {
            // The plain kernel computes in double precision and rounds once, this one rounds at each step.
            expect(Math.abs(out.data[i] - value)).toBeLessThanOrEqual(2 ** -20 * scale);
          });
        });
      }
    },
  );
});

/** What the default kernel computes for a formula over the operands of formula-trees.ts. */
function computed(result: Operand): number[] {
  return tidy(() => {
    const floats = NUMBERS.map((x, i) => Tensor.from([...x], SHAPES[i]));
    const ins = [...floats, Tensor.from([...IDS], [IDS.length], "int32")];
    const out = Tensor.full(result.shape, Number.NaN);
    const op = { name: "formula", formula: () => result, params: () => [PARAM] };
    fromFormula(op, out, ins, undefined)?.();
    return out.toArray().map((x) => x + 0); // no −0
  });
}

/** Whole numbers that float32 holds: sums are exact in any order. */
const small = (numbers: readonly number[]): boolean => numbers.every((x) => Math.abs(x) < 2 ** 18);

describe("the default kernel of any formula", () => {
  test.prop([axes, tree], { numRuns: 100 })("is what it says", (shape, t) => {
    const expected = elements(shape, (...at) => workedOut(t, at)).map((x) => x + 0);
    fc.pre(small(expected));
    expect(computed(each(shape, (...at) => built(t, at)))).toEqual(expected);
  });

  test.prop([axes, tree, tree], { numRuns: 30 })("may read an earlier launch", (shape, first, second) => {
    const { values, expected, result } = twoLaunches(shape, first, second);
    fc.pre(small([...values, ...expected]));
    expect(computed(result)).toEqual(expected);
  });
});

describe("tiles", () => {
  const x = Operand.input(0, [67, 50]);
  const y = Operand.input(0, [3350]);
  it.each([
    ["of rows", each([67], (r) => sum(50, (j) => x.at(r, j)))],
    ["of columns", each([50], (c) => max(67, (j) => x.at(j, c)))],
    ["of a matrix", each([50, 67], (c, r) => x.at(r, c).add(1))],
    ["of one long row", each([3350], (i) => y.at(i).mul(2))],
  ])("%s cover everything, whoever does them when", (_name, result) => {
    tidy(() => {
      const input = numbers([67, 50], 1);
      const out = Tensor.full(result.shape, Number.NaN);
      const nest = nestOf(result.source.launch as Launch);
      const { kernel, numbers: own, tiles } = nestKernel(nest, [{ size: input.size, integers: false }], 0);
      expect(tiles).toBeGreaterThan(1);
      for (let tile = tiles - 1; tile >= 0; tile--)
        kernel.run([addressOf(out), addressOf(input), ...own], tile, tile + 1);
      const plain = new Float64Array(result.size);
      compile(result, ["float64", "float32"], "formula")(plain, [input.data], []);
      // Sums of 67 numbers below 1, each addition rounded.
      out.data.forEach((value, i) => {
        expect(Math.abs(value - plain[i])).toBeLessThan(1e-5);
      });
    });
  });
});
