import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fc, test } from "@fast-check/vitest";
import { afterAll, describe, expect } from "vitest";
import {
  bf16ToF32,
  f16ToF32,
  f32ToBf16,
  f32ToF16,
  floatPieces,
  type HostTensor,
  type LazyTensor,
  lazyTensors,
  openSafetensors,
  openTorch,
  piecesOf,
  setHost,
  Tensor,
  type TensorRef,
  withScales,
  writeSafetensors,
} from "../../../core/index.ts";
import { P, tensor, torchFile } from "./build.ts";

const folder = mkdtempSync(join(tmpdir(), "lazy-tensor-"));
afterAll(() => rmSync(folder, { recursive: true }));
const path = join(folder, "file.safetensors");

/** All numbers of pieces that may overwrite each other. */
const numbers = (pieces: Iterable<ArrayLike<number | bigint>>): number[] => {
  const all: number[] = [];
  for (const piece of pieces) for (let i = 0; i < piece.length; i++) all.push(Number(piece[i]));
  return all;
};

const rows = fc
  .record({ count: fc.integer({ min: 1, max: 5 }), width: fc.integer({ min: 1, max: 7 }) })
  .chain(({ count, width }) =>
    fc.record({
      shape: fc.constant([count, width]),
      data: fc.int8Array({ minLength: count * width, maxLength: count * width }),
      scales: fc.float32Array({ minLength: count, maxLength: count, noNaN: true }),
    }),
  );

describe("pieces", () => {
  // 2^19 and some float32 are more than two pieces of a megabyte.
  const data = Float32Array.from({ length: 3 * 7 * 29_959 }, (_, i) => i);
  const shape = [3 * 29_959, 7];

  test.each([1, 7, 7 * 29_959, data.length])("of whole units of %i follow one another", (unit) => {
    writeSafetensors(path, new Map([["x", { dtype: "F32", shape, data }]]));
    using file = openSafetensors(path);
    const x = lazyTensors(file).get("x") as LazyTensor;
    let at = 0;
    for (const piece of piecesOf(x, unit)) {
      expect(piece.length % unit).toBe(0);
      expect(Buffer.compare(bytes(piece as Float32Array), bytes(data.subarray(at, at + piece.length)))).toBe(
        0,
      );
      at += piece.length;
    }
    expect(at).toBe(data.length);
  });

  test("of a PyTorch storage end with its checksum", () => {
    const ref = tensor({ dtype: "F32", key: "0", count: data.length, offset: 0, shape, stride: [7, 1] });
    const file = torchFile(P.file(ref), { 0: bytes(data) });
    const read = (): number => {
      const at = join(folder, "file.pt");
      writeFileSync(at, file);
      using opened = openTorch(at);
      let count = 0;
      for (const piece of opened.pieces(opened.root as TensorRef, 1)) count += piece.length;
      return count;
    };
    expect(read()).toBe(data.length);
    file[file.length >> 1] ^= 1;
    expect(read).toThrow("the file is damaged");
  });

  test.prop([fc.float32Array({ maxLength: 40, noNaN: true })])(
    "as float32 are the numbers of any float type",
    (values) => {
      const host = (dtype: HostTensor["dtype"], data: HostTensor["data"]): HostTensor => ({
        dtype,
        shape: [values.length],
        data,
      });
      const half = f32ToF16(values);
      const brain = f32ToBf16(values);
      for (const [given, expected] of [
        [host("F32", values), values],
        [host("F64", Float64Array.from(values)), values],
        [host("F16", half), f16ToF32(half)],
        [host("BF16", brain), bf16ToF32(brain)],
      ] as const)
        expect(numbers(floatPieces("x", given))).toEqual([...expected]);
      const integers = host("I32", new Int32Array(values.length));
      expect(() => numbers(floatPieces("x", integers))).toThrow(/x: expected a tensor of F64, .* found I32/);
    },
  );
});

describe("numbers of int8 with scales", () => {
  test.prop([rows])("stand for their products, in files and in tensors", ({ shape, data, scales }) => {
    writeSafetensors(
      path,
      new Map<string, HostTensor>([
        ["x.weight", { dtype: "I8", shape, data }],
        ["x.weight.scales", { dtype: "F32", shape: [shape[0]], data: scales }],
        ["x.bias", { dtype: "F32", shape: [shape[0]], data: scales }],
      ]),
    );
    using file = openSafetensors(path);
    const tensors = withScales(lazyTensors(file), path);
    expect([...tensors.keys()].sort()).toEqual(["x.bias", "x.weight"]);
    const weight = tensors.get("x.weight") as LazyTensor;
    expect([weight.read(), weight.scales?.read()]).toEqual([data, scales]);
    const products = Float32Array.from(data, (n, i) => n * scales[Math.floor(i / shape[1])]);
    expect(numbers(floatPieces("x", weight))).toEqual([...products]);

    const target = Tensor.zeros(shape);
    setHost(target, weight, "x");
    expect(target.data).toEqual(products);
    expect(() => setHost(target, { ...weight, scales: undefined }, "x")).toThrow("expected one of F32");
    target.dispose();
  });

  const lazy = (dtype: LazyTensor["dtype"], shape: number[]): LazyTensor => ({
    dtype,
    shape,
    read: () => new Int8Array(0),
  });
  test.each<[string, LazyTensor, LazyTensor]>([
    ["too few", lazy("I8", [3, 2]), lazy("F32", [2])],
    ["of another type", lazy("I8", [3, 2]), lazy("F16", [3])],
    ["of a matrix", lazy("I8", [3, 2]), lazy("F32", [3, 1])],
    ["of a vector", lazy("I8", [3]), lazy("F32", [3])],
    ["of floats", lazy("F32", [3, 2]), lazy("F32", [3])],
  ])("are refused with scales %s", (_, weight, scales) => {
    const tensors = new Map([
      ["w", weight],
      ["w.scales", scales],
    ]);
    expect(() => withScales(tensors, "file")).toThrow(
      /^file, w.scales: expected one F32 for each row of a matrix of I8, found /,
    );
  });

  test("and a name of its own keep what only looks like scales", () => {
    const tensors = new Map([["y.scales", lazy("F32", [3])]]);
    expect([...withScales(tensors, "file").keys()]).toEqual(["y.scales"]);
  });
});

function bytes({ buffer, byteOffset, byteLength }: Float32Array): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}
