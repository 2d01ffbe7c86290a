import { fc, test } from "@fast-check/vitest";
import { afterAll, describe, expect } from "vitest";
import { Random, Scope, Tensor } from "../../core/index.ts";
import {
  Conv2d,
  DepthwiseConv2d,
  Embedding,
  inDType,
  LayerNorm,
  Linear,
  type Module,
  MultiheadAttention,
  RMSNorm,
  SwiGlu,
  withMasks,
} from "../../nn/index.ts";

/** In float64 layers must agree with loops over numbers to rounding. */
const CLOSE = 1e-12;

const made: Module[] = [];
afterAll(() => {
  for (const module of made) module.dispose();
});

/** A float64 layer with all parameters random. */
function layer<M extends Module>(make: () => M, seed: number): M {
  const random = new Random(seed);
  const module = inDType("float64", make).init(random);
  for (const tensor of module.parameters()) {
    const { data } = tensor;
    for (let i = 0; i < data.length; i++) data[i] = random.normal();
  }
  made.push(module);
  return module;
}

const input = (shape: number[], seed: number): Tensor => new Random(seed, 1).normals(shape, "float64");
const range = (n: number): number[] => Array.from({ length: n }, (_, i) => i);
const total = (values: number[]): number => values.reduce((sum, v) => sum + v, 0);

function expectClose(got: Tensor, expected: readonly number[]): void {
  expect(got.size).toBe(expected.length);
  const error = Math.max(
    ...expected.map((value, i) => Math.abs(value - got.data[i]) / Math.max(1, Math.abs(value))),
  );
  expect(error).toBeLessThan(CLOSE);
}

const size = fc.integer({ min: 1, max: 6 });
const seed = fc.nat(1000);

describe("layers of the last axis agree with loops", () => {
  test.prop([size, size, size, fc.boolean(), seed])("Linear", (rows, inputs, outputs, bias, s) => {
    using _ = new Scope();
    const linear = layer(() => new Linear(inputs, outputs, { bias }), s);
    const x = input([2, rows, inputs], s);
    const expected = range(2 * rows).flatMap((r) =>
      range(outputs).map(
        (o) =>
          total(range(inputs).map((i) => x.data[r * inputs + i] * linear.weight.data[o * inputs + i])) +
          (linear.bias?.data[o] ?? 0),
      ),
    );
    const y = linear.forward(x);
    expect(y.shape).toEqual([2, rows, outputs]);
    expectClose(y, expected);
  });

  test.prop([size, size, seed])("LayerNorm and RMSNorm", (rows, features, s) => {
    using _ = new Scope();
    const [norm, rms] = [layer(() => new LayerNorm(features), s), layer(() => new RMSNorm(features), s)];
    const x = input([rows, features], s);
    const row = (r: number): number[] => range(features).map((i) => x.data[r * features + i]);
    const mean = (values: number[]): number => total(values) / features;
    expectClose(
      norm.forward(x),
      range(rows).flatMap((r) => {
        const m = mean(row(r));
        const deviation = Math.sqrt(mean(row(r).map((v) => (v - m) ** 2)) + 1e-5);
        return row(r).map((v, i) => ((v - m) / deviation) * norm.weight.data[i] + norm.bias.data[i]);
      }),
    );
    expectClose(
      rms.forward(x),
      range(rows).flatMap((r) => {
        const root = Math.sqrt(mean(row(r).map((v) => v * v)) + 1e-6);
        return row(r).map((v, i) => (v / root) * rms.weight.data[i]);
      }),
    );
  });

  test.prop([size, size, size, seed])("SwiGlu", (rows, features, hidden, s) => {
    using _ = new Scope();
    const glu = layer(() => new SwiGlu(features, hidden), s);
    const x = input([rows, features], s);
    const silu = (v: number): number => v / (1 + Math.exp(-v));
    const dot = (weight: Tensor, out: number, values: number[]): number =>
      total(values.map((v, i) => v * weight.data[out * values.length + i]));
    const expected = range(rows).flatMap((r) => {
      const row = range(features).map((i) => x.data[r * features + i]);
      const gated = range(hidden).map((h) => silu(dot(glu.fc1.weight, h, row)) * dot(glu.fc2.weight, h, row));
      return range(features).map((o) => dot(glu.proj.weight, o, gated));
    });
    expectClose(glu.forward(x), expected);
  });

  test.prop([fc.array(fc.nat(4), { minLength: 1, maxLength: 8 }), seed])("Embedding", (ids, s) => {
    using _ = new Scope();
    const table = layer(() => new Embedding(5, 3), s);
    const expected = ids.flatMap((id) => range(3).map((i) => table.weight.data[id * 3 + i]));
    expectClose(table.forward(Tensor.from(ids, [ids.length], "int32")), expected);
  });
});

describe("MultiheadAttention", () => {
  /** Eq. 1 of arXiv:1706.03762 head by head, with packed weights. */
  function naive(attention: MultiheadAttention, q: Tensor, memory: Tensor): number[] {
    const [B, T, E] = q.shape;
    const S = memory.shape[1];
    const D = E / attention.heads;
    const projected = (part: number, source: Tensor, row: number, e: number): number =>
      attention.in_proj_bias.data[part * E + e] +
      total(
        range(E).map((i) => source.data[row * E + i] * attention.in_proj_weight.data[(part * E + e) * E + i]),
      );
    return range(B).flatMap((b) =>
      range(T).flatMap((t) => {
        const joined = range(E).map((e) => {
          const head = range(D).map((d) => Math.floor(e / D) * D + d);
          const logits = range(S).map(
            (s) =>
              total(head.map((i) => projected(0, q, b * T + t, i) * projected(1, memory, b * S + s, i))) /
              Math.sqrt(D),
          );
          const weights = logits.map(Math.exp);
          const values = range(S).map((s) => projected(2, memory, b * S + s, e));
          return total(weights.map((w, s) => w * values[s])) / total(weights);
        });
        return range(E).map(
          (o) =>
            attention.out_proj.bias!.data[o] +
            total(joined.map((v, i) => v * attention.out_proj.weight.data[o * E + i])),
        );
      }),
    );
  }

  const heads = fc.constantFrom([1, 3], [2, 1], [2, 2], [3, 2]);
  test.prop([heads, fc.integer({ min: 1, max: 3 }), fc.integer({ min: 1, max: 4 }), seed])(
    "agrees with the formula, of itself and of a memory",
    ([H, D], T, S, s) => {
      using _ = new Scope();
      const attention = layer(() => new MultiheadAttention(H * D, H), s);
      const [x, memory] = [input([2, T, H * D], s), input([2, S, H * D], s + 1)];
      expectClose(attention.forward(x), naive(attention, x, x));
      expectClose(attention.forward(x, memory), naive(attention, x, memory));
    },
  );

  test("drops whole heads of single queries when there is one key", () => {
    using _ = new Scope();
    const [B, T, H, D] = [3, 4, 2, 3];
    const attention = layer(() => new MultiheadAttention(H * D, H, { dropout: 0.5 }), 1);
    // The output projection made the identity: what is left are the values, weighted by 0 or 2 per query and head.
    attention.out_proj.weight.data.forEach((_, i) => {
      attention.out_proj.weight.data[i] = i % (H * D + 1) === 0 ? 1 : 0;
    });
    attention.out_proj.bias!.data.fill(0);
    const memory = input([B, 1, H * D], 2);
    const values = attention.forward(input([B, T, H * D], 3), memory);
    attention.train();
    const dropped = withMasks(new Random(4), () => attention.forward(input([B, T, H * D], 3), memory));
    const weights = dropped.div(values).reshape([B * T * H, D]);
    const rows = range(B * T * H).map((row) => weights.slice(0, row, row + 1).toArray());
    for (const row of rows) for (const w of row) expect(w).toBeCloseTo(row[0] > 1 ? 2 : 0, 9);
    expect(new Set(rows.map((row) => Math.round(row[0]))).size).toBe(2);
  });

  test("refuses heads that do not divide the features", () => {
    expect(() => new MultiheadAttention(6, 4)).toThrow("4 heads do not divide 6 features");
  });
});

describe("convolutions agree with loops", () => {
  const window = fc.record({
    kernel: fc.integer({ min: 1, max: 3 }),
    stride: fc.integer({ min: 1, max: 2 }),
    padding: fc.integer({ min: 0, max: 1 }),
  });
  const at = (x: Tensor, b: number, row: number, column: number, channel: number): number => {
    const [, H, W, C] = x.shape;
    const inside = row >= 0 && row < H && column >= 0 && column < W;
    return inside ? x.data[((b * H + row) * W + column) * C + channel] : 0;
  };

  test.prop([window, fc.integer({ min: 3, max: 5 }), fc.integer({ min: 1, max: 3 }), seed])(
    "Conv2d",
    (w, side, outputs, s) => {
      using _ = new Scope();
      const conv = layer(() => new Conv2d(2, outputs, w), s);
      const x = input([2, side, side + 1, 2], s);
      const count = (length: number): number =>
        Math.floor((length + 2 * w.padding - w.kernel) / w.stride) + 1;
      const expected = range(2).flatMap((b) =>
        range(count(side)).flatMap((r) =>
          range(count(side + 1)).flatMap((c) =>
            range(outputs).map((o) => {
              let sum = conv.bias!.data[o];
              for (const i of range(2))
                for (const ky of range(w.kernel))
                  for (const kx of range(w.kernel)) {
                    const [row, column] = [r * w.stride + ky - w.padding, c * w.stride + kx - w.padding];
                    const weight = conv.weight.data[((o * 2 + i) * w.kernel + ky) * w.kernel + kx];
                    sum += weight * at(x, b, row, column, i);
                  }
              return sum;
            }),
          ),
        ),
      );
      expectClose(conv.forward(x), expected);
    },
  );

  test.prop([fc.integer({ min: 1, max: 5 }), fc.integer({ min: 1, max: 3 }), seed])(
    "DepthwiseConv2d",
    (side, channels, s) => {
      using _ = new Scope();
      const conv = layer(() => new DepthwiseConv2d(channels), s);
      const x = input([1, side, side, channels], s);
      const expected = range(side).flatMap((r) =>
        range(side).flatMap((c) =>
          range(channels).map(
            (o) =>
              conv.bias.data[o] +
              total(
                range(9).map((k) => {
                  const [ky, kx] = [Math.floor(k / 3), k % 3];
                  return conv.weight.data[o * 9 + k] * at(x, 0, r + ky - 1, c + kx - 1, o);
                }),
              ),
          ),
        ),
      );
      expectClose(conv.forward(x), expected);
    },
  );
});
