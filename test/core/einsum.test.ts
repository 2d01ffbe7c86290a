import { fc, test } from "@fast-check/vitest";
import { expect, it } from "vitest";
import { einsum, grad, Plan, Random, Scope, Tensor } from "../../core/index.ts";

const LETTERS = ["a", "b", "c", "d"];
/** Lengths of the letters' axes, letters of one to three tensors, and a result that names some of them. */
const equation = fc
  .tuple(
    fc.array(fc.integer({ min: 1, max: 3 }), { minLength: 4, maxLength: 4 }),
    fc.array(fc.array(fc.constantFrom(...LETTERS), { maxLength: 3 }), { minLength: 1, maxLength: 3 }),
    fc.nat(),
  )
  .chain(([lengths, inputs, seed]) =>
    fc.shuffledSubarray([...new Set(inputs.flat())]).map((output) => ({ lengths, inputs, output, seed })),
  );

/** The sum over all letters that the result does not name, number by number. */
function looped(
  { inputs, output }: { inputs: string[][]; output: string[] },
  lengthOf: (letter: string) => number,
  tensors: readonly Tensor[],
): number[] {
  const place = (letters: readonly string[], at: ReadonlyMap<string, number>): number =>
    letters.reduce((flat, letter) => flat * lengthOf(letter) + (at.get(letter) as number), 0);
  const out: number[] = new Array(output.reduce((size, letter) => size * lengthOf(letter), 1)).fill(0);
  const visit = (left: readonly string[], at: ReadonlyMap<string, number>): void => {
    const [letter, ...rest] = left;
    if (letter === undefined) {
      const factors = tensors.map((x, i) => x.data[place(inputs[i], at)]);
      out[place(output, at)] += factors.reduce((a, b) => a * b, 1);
      return;
    }
    for (let i = 0; i < lengthOf(letter); i++) visit(rest, new Map([...at, [letter, i]]));
  };
  visit([...new Set(inputs.flat())], new Map());
  return out;
}

test.prop([equation])("is the sum over all places that the letters say", (drawn) => {
  using _ = new Scope();
  const { inputs, output, lengths, seed } = drawn;
  const random = new Random(seed);
  const lengthOf = (letter: string): number => lengths[LETTERS.indexOf(letter)];
  const tensors = inputs.map((letters) => {
    const size = letters.reduce((product, letter) => product * lengthOf(letter), 1);
    // Small integers: sums are exact in any order.
    return Tensor.from(
      Float64Array.from({ length: size }, () => random.integer(7) - 3),
      letters.map(lengthOf),
      "float64",
    ).tracked();
  });
  const text = `${inputs.map((letters) => letters.join("")).join(", ")} -> ${output.join("")}`;
  const expected = looped(drawn, lengthOf, tensors);
  const got = einsum(text, ...tensors);
  expect(got.shape).toEqual(output.map(lengthOf));
  expect(got.toArray().map((x) => x + 0)).toEqual(expected.map((x) => x + 0));
  // Linear in each: the gradient along a tensor gives the result's sum back.
  grad(got.sum(), tensors).forEach((gradient, i) => {
    const along = (gradient as Tensor).mul(tensors[i]).sum().item();
    expect(along + 0).toBe(got.sum().item() + 0);
  });
});

it("does what its documentation says, in plans too", () => {
  using _ = new Scope();
  const a = Tensor.arange(6).reshape([2, 3]);
  const b = Tensor.arange(12).reshape([3, 4]);
  expect(einsum("ij,jk", a, b).toArray()).toEqual(a.matmul(b).toArray());
  expect(einsum("ba", a).toArray()).toEqual(a.t().toArray());
  expect(einsum("ii", Tensor.eye(3)).item()).toBe(3);
  expect(einsum("ii->i", Tensor.arange(9).reshape([3, 3])).toArray()).toEqual([0, 4, 8]);
  expect(einsum("i,j->ij", Tensor.from([1, 2]), Tensor.from([3, 4])).toArray()).toEqual([3, 4, 6, 8]);
  using plan = new Plan((x) => einsum("ij,jk,lk->il", x, b, b), [a]);
  expect(plan.run(a)[0].toArray()).toEqual(a.matmul(b).matmul(b.t()).toArray());
});
