import { setTimeout } from "node:timers/promises";
import { fc, test } from "@fast-check/vitest";
import { expect } from "vitest";
import { Batcher } from "../../../vla/policies/batcher.ts";

/** Doubles numbers and notes its batches; even ones and odd ones may not meet. */
function doubler(most: number) {
  const batches: (readonly number[])[] = [];
  const answer = async (numbers: readonly number[]): Promise<number[]> => {
    batches.push(numbers);
    await setTimeout(1);
    if (numbers.includes(13)) throw new Error("13 is out");
    return numbers.map((n) => 2 * n);
  };
  return { batches, batcher: new Batcher(answer, { together: (n: number) => `${n % 2}`, most }) };
}

test.prop([fc.array(fc.nat(12), { minLength: 1, maxLength: 20 }), fc.integer({ min: 1, max: 5 })], {
  numRuns: 30,
})("everyone gets their own answer, in batches that are small and of one kind", async (numbers, most) => {
  const { batcher, batches } = doubler(most);
  expect(await Promise.all(numbers.map((n) => batcher.ask(n)))).toEqual(numbers.map((n) => 2 * n));
  for (const batch of batches) {
    expect(batch.length).toBeLessThanOrEqual(most);
    expect(new Set(batch.map((n) => n % 2)).size).toBe(1);
  }
  expect(batches.flat().toSorted()).toEqual(numbers.toSorted());
  // As few as can be: no two that could have gone together went one after the other half empty.
  const kinds = [0, 1].map((kind) => numbers.filter((n) => n % 2 === kind).length);
  expect(batches.length).toBe(kinds.reduce((sum, count) => sum + Math.ceil(count / most), 0));
});

test("one who comes while others are answered is in the next batch", async () => {
  const { batcher, batches } = doubler(4);
  const first = batcher.ask(2);
  await setTimeout(0);
  await Promise.all([first, batcher.ask(4), batcher.ask(6)]);
  expect(batches).toEqual([[2], [4, 6]]);
});

test("a batch that fails fails those in it, and no others", async () => {
  const { batcher } = doubler(2);
  const [lucky, out, with13] = await Promise.allSettled([batcher.ask(4), batcher.ask(13), batcher.ask(5)]);
  expect(lucky).toMatchObject({ value: 8 });
  expect([out, with13].map(({ status }) => status)).toEqual(["rejected", "rejected"]);
  expect(await batcher.ask(5)).toBe(10);
});
