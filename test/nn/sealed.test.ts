/** Weights that were built for inference: sealed once, read by products, and by nothing else. */
import { fc, test as law } from "@fast-check/vitest";
import { beforeAll, describe, expect, it } from "vitest";
import {
  grad,
  type HostTensor,
  heapUsage,
  Plan,
  plainKernels,
  Random,
  Tensor,
  tidy,
  type WeightFormat,
} from "../../core/index.ts";
import { Conv2d, Embedding, forInference, Linear, Mlp, type Module } from "../../nn/index.ts";

const format = fc.constantFrom<WeightFormat>("float32", "bfloat16", "int8");
const size = fc.integer({ min: 1, max: 40 });
const numbers = (shape: number[], seed: number): Tensor => new Random(seed).normals(shape);

/** A module with drawn weights, and the same sealed. */
function both<T extends Module>(make: () => T, format: WeightFormat, seed: number): [T, T] {
  const whole = make().init(new Random(seed));
  return [whole, forInference(format, make).load(whole.stateDict())];
}

/** How far `rounded` may be from `exact`, as a share of the row's largest: half a step of the format. */
const STEP: Readonly<Record<WeightFormat, number>> = { float32: 0, bfloat16: 2 ** -8, int8: 0.501 / 127 };

const distance = (a: ArrayLike<number>, b: ArrayLike<number>): number =>
  Array.from(a).reduce((most, x, i) => Math.max(most, Math.abs(x - b[i])), 0);

const largest = (numbers: ArrayLike<number>): number => distance(numbers, new Float32Array(numbers.length));

describe("a sealed tensor", () => {
  law.prop([fc.integer({ min: 1, max: 3 }), size, size, format, fc.nat()], { numRuns: 30 })(
    "reads back what its rows were rounded to, however they were written",
    async (groups, outputs, inputs, format, seed) => {
      const given = numbers([groups, outputs, inputs], seed);
      const sealed = Tensor.sealed([groups, outputs, inputs], format);
      sealed.write(given.data);
      const kept = await sealed.read();
      for (let row = 0; row < groups * outputs; row++) {
        const [from, to] = [row * inputs, (row + 1) * inputs];
        const own = given.data.slice(from, to);
        expect(distance(kept.slice(from, to), own)).toBeLessThanOrEqual(STEP[format] * largest(own));
      }
      // Rounded numbers are kept as they are; int8 finds its scale again, up to its last bit.
      const again = Tensor.sealed([groups, outputs, inputs], format);
      for (let row = 0; row < groups * outputs; row++)
        again.writePart(row * inputs, kept.slice(row * inputs, (row + 1) * inputs));
      const slack = format === "int8" ? 2 ** -22 * largest(kept) : 0;
      expect(distance(await again.read(), kept)).toBeLessThanOrEqual(slack);
      for (const x of [given, sealed, again]) x.dispose();
    },
  );

  it("shows its numbers to nobody, and is read by products of rows alone", () => {
    const sealed = Tensor.sealed([3, 4], "int8");
    const x = numbers([2, 3], 1);
    const message = "Tensor (3, 4): sealed as int8 for inference";
    expect(() => sealed.data).toThrow(message);
    expect(() => sealed.add(1)).toThrow(message);
    expect(() => x.matmul(sealed)).toThrow(message);
    expect(() => sealed.matmul(sealed, { transposeB: true })).toThrow(message);
    const rows = numbers([2, 4], 1).tracked();
    expect(() => grad(rows.linear(sealed).sum(), [rows])).toThrow(message);
    expect(() => Tensor.sealed([3], "int8")).toThrow("Tensor.sealed: expected a shape (outputs, inputs)");
    for (const tensor of [sealed, x, rows]) tensor.dispose();
  });
});

describe("a module built for inference", () => {
  law.prop([size, size, fc.integer({ min: 1, max: 70 }), fc.boolean(), fc.nat()], { numRuns: 15 })(
    "computes in float32 what it computes otherwise, bit for bit",
    (inputs, outputs, rows, bias, seed) => {
      const [whole, sealed] = both(() => new Linear(inputs, outputs, { bias }), "float32", seed);
      const x = numbers([rows, inputs], seed + 1);
      tidy(() => {
        expect(sealed.forward(x).toArray()).toEqual(whole.forward(x).toArray());
        expect(plainKernels(() => sealed.forward(x).toArray())).toEqual(
          plainKernels(() => whole.forward(x).toArray()),
        );
      });
      for (const each of [whole, sealed, x]) each.dispose();
    },
  );

  law.prop([fc.constantFrom(1, 2, 3), fc.constantFrom(1, 2), size, format, fc.nat()], { numRuns: 20 })(
    "convolves, looks up and joins what follows a product as its plain kernels do",
    (kernel, stride, channels, format, seed) => {
      const window = { kernel, stride, padding: kernel - 1 };
      const [conv, sealedConv] = both(() => new Conv2d(3, channels, window), format, seed);
      const [table, sealedTable] = both(() => new Embedding(9, channels, { large: true }), format, seed);
      const [mlp, sealedMlp] = both(() => new Mlp(channels, 20), format, seed);
      const [x, ids] = [
        numbers([2, 5, 4, 3], seed),
        Tensor.from(
          [
            [8, 0],
            [3, 3],
          ],
          [2, 2],
          "int32",
        ),
      ];
      const run = (c: Conv2d, e: Embedding, m: Mlp) => (): number[][] =>
        tidy(() => {
          const y = c.forward(x);
          return [y, e.forward(ids), y.add(m.forward(y))].map((each) => each.toArray());
        });
      const sealed = run(sealedConv, sealedTable, sealedMlp);
      const [seen, plain] = [sealed(), plainKernels(sealed)];
      // Sums of at most 27 products of numbers below 4; int8 rounds those to a 32767th of the row's largest first.
      const slack = format === "int8" ? 4e-3 : 1e-4;
      seen.forEach((each, i) => {
        expect(distance(each, plain[i])).toBeLessThan(slack);
      });
      if (format === "float32") expect(seen).toEqual(run(conv, table, mlp)());
      const plan = new Plan(
        (pixels) => {
          const y = sealedConv.forward(pixels);
          return y.add(sealedMlp.forward(y));
        },
        [x],
      );
      tidy(() => expect(plan.run(x)[0].toArray()).toEqual(seen[2]));
      plan[Symbol.dispose]();
      for (const each of [conv, sealedConv, table, sealedTable, mlp, sealedMlp, x, ids]) each.dispose();
    },
  );

  it("is neither drawn nor saved, and says so", async () => {
    const linear = forInference("bfloat16", () => new Linear(4, 3));
    const message = /expected a module that was built to be trained, found weight sealed for inference/;
    expect(() => linear.stateDict()).toThrow(message);
    await expect(linear.readStateDict()).rejects.toThrow(message);
    expect(() => linear.init(new Random(0))).toThrow(message);
    expect(linear.namedParameters().map(([name]) => name)).toEqual(["bias"]);
    linear.dispose();
  });

  it("refuses state dicts by the shapes that files have", () => {
    const conv = forInference("int8", () => new Conv2d(3, 2, { kernel: 2, stride: 1, padding: 0 }));
    const dict = new Map<string, HostTensor>([
      ["weight", { dtype: "F32", shape: [2, 12], data: new Float32Array(24) }],
      ["bias", { dtype: "F32", shape: [2], data: new Float32Array(2) }],
    ]);
    expect(() => conv.load(dict)).toThrow("weight: expected (2, 3, 2, 2), got (2, 12)");
    conv.dispose();
  });
});

describe("plans over sealed weights", () => {
  const open = (rows: number, mlp: Mlp): Plan =>
    tidy(() => new Plan((x) => x.add(mlp.forward(x)), [Tensor.zeros([rows, mlp.fc1.weight.shape[1]])]));

  // int8 rounds rows in a room that all products share: it grows to the largest need and stays.
  beforeAll(() => {
    const mlp = forInference("int8", () => new Mlp(64, 256));
    open(100, mlp)[Symbol.dispose]();
    mlp.dispose();
  });

  law.prop([format, fc.array(fc.nat(99), { minLength: 1, maxLength: 12 }), fc.array(fc.nat(11))], {
    numRuns: 20,
  })("own their arenas alone, whatever is disposed of first", (format, lengths, order) => {
    const before = heapUsage().live;
    const mlp = forInference(format, () => new Mlp(64, 256));
    const weights = heapUsage().live - before;
    const plans = lengths.map((length) => open(1 + length, mlp));
    const arenas = plans.reduce((sum, { arenaBytes }) => sum + arenaBytes, 0);
    // Blocks of the heap are rounded up to 64 bytes, or to a quarter of a power of two.
    expect(heapUsage().live - before).toBeLessThanOrEqual(weights + 1.25 * arenas + 64 * plans.length);
    const owners: Disposable[] = [...plans, { [Symbol.dispose]: () => mlp.dispose() }];
    for (const at of order) owners.splice(at % owners.length, 0, ...owners.splice(0, 1));
    for (const owner of owners) owner[Symbol.dispose]();
    expect(heapUsage().live).toBe(before);
  });
});
