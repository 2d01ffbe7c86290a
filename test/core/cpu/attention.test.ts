import { fc, test } from "@fast-check/vitest";
import { describe, expect } from "vitest";
import { grad, plainKernels, Random, Scope, Tensor, watchKernels } from "../../../core/index.ts";
import { flavours, largestError, numbers } from "./support.ts";

const call = fc.record({
  B: fc.integer({ min: 1, max: 3 }),
  T: fc.integer({ min: 1, max: 32 }),
  S: fc.integer({ min: 1, max: 32 }),
  heads: fc.integer({ min: 1, max: 3 }),
  d: fc.constantFrom(3, 8, 36), // 3 runs as products, 36 is too wide for going by rows
  /** What is one tensor: queries, keys and values; keys and values; nothing. */
  packed: fc.constantFrom("all", "memory", "none"),
  /** Numbers of each row that are not read. */
  extra: fc.integer({ min: 0, max: 5 }),
  causal: fc.boolean(),
  bias: fc.constantFrom("none", "keys", "queries", "heads", "all"),
  p: fc.constantFrom(0, 0.3),
  /** Size of the logits: large ones make the softmax choose one key. */
  size: fc.constantFrom(1, 30),
  seed: fc.nat(),
});
type Call = typeof call extends fc.Arbitrary<infer T> ? T : never;

/** Queries, keys, values and maybe a bias; a gradient for the output. */
function inputsOf({ B, T, S: keys, heads, d, packed, extra, bias, size, seed }: Call) {
  const E = heads * d;
  const S = packed === "all" ? T : keys;
  const rows = (length: number, parts: number, i: number) =>
    numbers([B, length, parts * E + extra], seed + i);
  const memory = rows(S, 2, 1);
  const all = rows(S, 3, 0);
  const parts =
    packed === "all"
      ? [all, all, all]
      : packed === "memory"
        ? [rows(T, 1, 0), memory, memory]
        : [0, 1, 2].map((i) => rows(i === 0 ? T : S, 1, i));
  const at = packed === "all" ? [0, E, 2 * E] : packed === "memory" ? [extra, 0, E] : [extra, 0, extra];
  const shapes = { none: [], keys: [S], queries: [T, S], heads: [heads, 1, S], all: [B, heads, T, S] };
  const added = bias === "none" ? undefined : numbers(shapes[bias], seed + 3);
  return {
    tensors: [...parts.map((x) => x.scale(Math.sqrt(size))), ...(added ? [added] : [])],
    at,
    E,
    dy: numbers([B, T, E], seed + 4),
  };
}

/** The output, and the gradients for all inputs. */
function both(given: Call, dtype: "float32" | "float64"): Tensor[] {
  const { heads, causal, p, seed } = given;
  const { tensors, at, E, dy } = inputsOf(given);
  const known = new Map(tensors.map((x) => [x, Tensor.from(x.data, x.shape, dtype).tracked()]));
  const [queries, keys, values, bias] = tensors.map((x) => known.get(x) as Tensor);
  const [queriesAt, keysAt, valuesAt] = at;
  const dropout = p > 0 ? { p, random: new Random(seed) } : undefined;
  const options = { heads, width: E, scale: 0.7, queriesAt, keysAt, valuesAt, causal, bias, dropout };
  const y = queries.attention(keys, values, options);
  return [y, ...grad(y, [...known.values()], { dy: Tensor.from(dy.data, dy.shape, dtype) })] as Tensor[];
}

describe.each(flavours)("attention $name", ({ run }) => {
  test.prop([call], { numRuns: 30 })("and its gradients agree with float64", (given) => {
    using _ = new Scope();
    const exact = both(given, "float64");
    // A score of that size, a sum of d products, rounds by a few 2⁻²⁴ of it, and the weights by as much; a gradient for
    // queries or keys holds the other's numbers once more.
    const bound = 5e-6 * given.size;
    const [y, ...gradients] = run(() => both(given, "float32"));
    expect(largestError(y, exact[0].data)).toBeLessThan(bound);
    gradients.forEach((x, i) => {
      expect(largestError(x, exact[i + 1].data)).toBeLessThan(2 * bound * Math.sqrt(given.size));
    });
  });
});

test("no queries: no gradients for keys and values", () => {
  using _ = new Scope();
  const memory = numbers([2, 3, 8], 1).tracked();
  const y = Tensor.zeros([2, 0, 4]).attention(memory, memory, { heads: 1, valuesAt: 4 });
  expect(y.shape).toEqual([2, 0, 4]);
  expect(grad(y, [memory], { dy: Tensor.zeros([2, 0, 4]) })[0]?.toArray()).toEqual(new Array(48).fill(0));
});

test("queries, keys and values that share numbers", () => {
  using _ = new Scope();
  const [x, dy] = [numbers([2, 5, 12], 1), numbers([2, 5, 8], 2)];
  const gradient = (dtype: "float32" | "float64"): Tensor => {
    const own = Tensor.from(x.data, x.shape, dtype).tracked();
    const y = own.attention(own, own, { heads: 2, width: 8, keysAt: 4, valuesAt: 4 });
    return grad(y, [own], { dy: Tensor.from(dy.data, dy.shape, dtype) })[0] as Tensor;
  };
  expect(largestError(gradient("float32"), gradient("float64").data)).toBeLessThan(1e-5);
});

test("a call made of other ops is one call to profiles", () => {
  using _ = new Scope();
  const x = numbers([1, 2, 9], 1).tracked(); // heads of 3 run as products
  const calls: string[] = [];
  watchKernels(
    ({ op }) => calls.push(op.name),
    () =>
      grad(x.attention(x, x, { heads: 1, width: 3, keysAt: 3, valuesAt: 6 }), [x], {
        dy: numbers([1, 2, 3], 2),
      }),
  );
  expect(calls).toEqual(["attention", "attentionSlope"]);
});

test("more keys than fit a thread's scratch memory", () => {
  using _ = new Scope();
  const [q, k, dy] = [numbers([1, 9, 36], 1), numbers([1, 400, 72], 2), numbers([1, 9, 36], 3)];
  const attend = (): [Tensor, Tensor] => {
    const memory = k.detach().tracked();
    const y = q.attention(memory, memory, { heads: 1, valuesAt: 36 });
    return [y, grad(y, [memory], { dy })[0] as Tensor];
  };
  const plain = plainKernels(attend);
  attend().forEach((x, i) => {
    expect(largestError(x, plain[i].data)).toBeLessThan(1e-5);
  });
});
