import { fc } from "@fast-check/vitest";
import { expect, it } from "vitest";
import { each, Operand, sum } from "../../core/formula/launch.ts";
import type { Gpu } from "../../core/gpu/gpu.ts";
import { recipeOf } from "../../core/gpu/recipe.ts";
import { axes, built, elements, IDS, NUMBERS, PARAM, tree, workedOut } from "../core/formula-trees.ts";
import { describeModes, SLOW } from "./modes.ts";

/** What an op's results come to on a device. */
async function run(gpu: Gpu, results: readonly Operand[], inputs: readonly ArrayLike<number>[]) {
  const { steps, results: places } = recipeOf(
    results,
    inputs.map(({ length }) => length),
    "formula",
  );
  const first = inputs.length;
  const slots = [...inputs, ...steps].map((_, i) => i);
  inputs.forEach((numbers, i) => {
    gpu.upload(i, Float32Array.from(numbers));
  });
  steps.forEach(({ kernel, arrays, params }, i) => {
    const from = arrays.map((from) => (from === null ? 0 : "input" in from ? from.input : first + from.step));
    gpu.launch(
      kernel,
      first + i,
      from,
      params.map(() => PARAM),
    );
  });
  const made = await Promise.all(places.map((place) => gpu.read(first + place)));
  for (const slot of slots) gpu.free(slot);
  return made.map((numbers) => [...numbers].map((x) => x + 0)); // no −0
}

/** Exact in float32, sums on the way included. */
const small = (numbers: readonly number[]): boolean => numbers.every((x) => Math.abs(x) < 2 ** 20);

describeModes("formulas", (gpu, mode) => {
  it("are what they say", SLOW, async () => {
    const property = fc.asyncProperty(axes, tree, async (shape, t) => {
      const expected = elements(shape, (...at) => workedOut(t, at)).map((x) => x + 0);
      fc.pre(small(expected));
      const result = each(shape, (...at) => built(t, at));
      expect(await run(gpu(), [result], [...NUMBERS, IDS])).toEqual([expected]);
    });
    await fc.assert(property, { numRuns: mode === "webasm" ? 60 : 10 });
  });

  it("sum up many numbers in several steps", async () => {
    const [N, M] = [3, 5000];
    const numbers = Array.from({ length: N * M }, (_, i) => (i % 7) - 3);
    const rows = Operand.input(0, [N, M]);
    const results = [
      each([], () => sum(N, (i) => sum(M, (j) => rows.at(i, j)))),
      each([N], (i) => sum(M, (j) => rows.at(i, j)).mul(2)),
    ];
    const sums = elements([N], (i) => numbers.slice(i * M, (i + 1) * M).reduce((a, b) => a + b));
    const [all, each_] = await run(gpu(), results, [numbers]);
    expect(all).toEqual([sums.reduce((a, b) => a + b)]);
    expect(each_).toEqual(sums.map((x) => 2 * x));
  });

  it("read more arrays than a kernel may have", async () => {
    const inputs = Array.from({ length: 20 }, (_, i) => [i, i + 0.5, -i]);
    const operands = inputs.map((_, i) => Operand.input(i, [3]));
    const total = each([3], (i) => operands.map((x) => x.at(i)).reduce((a, b) => a.add(b)));
    const expected = [0, 1, 2].map((i) => inputs.reduce((a, x) => a + x[i], 0));
    expect(await run(gpu(), [total], inputs)).toEqual([expected]);
  });

  it("find the element of a large result by exact division", async () => {
    // Above 2²⁰, where half a unit no longer keeps quotients away from whole numbers.
    const [A, B, C] = [3, 5, 100_003];
    const result = each([A, B, C], (a, b, c) =>
      a.equals(A - 1, b.equals(B - 1, c.equals(C - 1, 4, c.equals(0, 3, 0)), 0), 0),
    );
    // Neighbours of where the counters turn.
    const at = (place: number) => each([6], (i) => result.as([A * B * C]).at(i.add(place - 3)));
    const ends = [at(A * B * C - 3), at((A * B - 1) * C)];
    expect(await run(gpu(), ends, [])).toEqual([
      [0, 0, 0, 0, 0, 4],
      [0, 0, 0, 3, 0, 0],
    ]);
  });
});
