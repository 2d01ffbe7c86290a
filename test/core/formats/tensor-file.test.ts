import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { FormatError, type HostTensor, openTensors, writeSafetensors } from "../../../core/index.ts";
import { P, tensor, torchFile } from "./build.ts";

const folder = mkdtempSync(join(tmpdir(), "tensor-file-"));
afterAll(() => rmSync(folder, { recursive: true }));
const place = (name: string): string => join(folder, name);

const scalar = (value: number): HostTensor => ({ dtype: "F32", shape: [], data: Float32Array.of(value) });
const bytes = (...values: number[]): Uint8Array => new Uint8Array(Float32Array.from(values).buffer);
const stored = (key: string, offset: number): Uint8Array =>
  tensor({ dtype: "F32", key, count: 2, offset, shape: [], stride: [] });

writeSafetensors(
  place("one.safetensors"),
  new Map([
    ["a", scalar(1)],
    ["b", scalar(2)],
  ]),
);
const state = P.dict([P.text("c"), stored("0", 0)], [P.text("d"), stored("0", 1)]);
writeFileSync(place("two.bin"), torchFile(P.file(state), { 0: bytes(3, 4) }));

/** All tensors of a file, whole and in pieces, which must be the same. */
function read(path: string, averages = false): [string, number][] {
  using file = openTensors(path);
  return [...(averages ? file.averages() : file.tensors)].map(([name, lazy]) => {
    const pieces = [...(lazy.pieces?.(1) ?? [])].map((piece) => [...piece]);
    expect(pieces).toEqual([[...lazy.read()]]);
    return [name, Number(lazy.read()[0])];
  });
}

describe("shards behind an index", () => {
  const index = place("model.safetensors.index.json");
  const writeIndex = (weight_map: unknown): void =>
    writeFileSync(index, JSON.stringify({ metadata: {}, weight_map }));

  test("of one format or several read as one file, in the order of the index", () => {
    writeIndex({ d: "two.bin", a: "one.safetensors", c: "two.bin" });
    expect(read(index)).toEqual([
      ["d", 4],
      ["a", 1],
      ["c", 3],
    ]);
  });

  test.each<[string, unknown, RegExp]>([
    ["no map", [], /a weight_map/],
    ["a tensor its file lacks", { a: "two.bin" }, /a tensor in two.bin, found none/],
    ["a file elsewhere", { a: "../one.safetensors" }, /a file of tensors beside the index/],
    ["an absolute path", { a: "/etc/passwd" }, /a file of tensors beside the index/],
    ["itself", { a: "model.safetensors.index.json" }, /a file of tensors beside the index/],
    ["a file as a number", { a: 1 }, /a file of tensors beside the index/],
    ["a file that is not there", { a: "three.safetensors" }, /a file that can be read, found none/],
    ["a file of another kind", { a: "three.txt" }, /a file of tensors: .safetensors, .*found another name/],
  ])("%s is refused", (_, map, message) => {
    writeIndex(map);
    expect(() => openTensors(index)).toThrow(FormatError);
    expect(() => openTensors(index)).toThrow(message);
  });
});

describe("a training checkpoint", () => {
  const settings = P.dict([P.text("n_heads"), P.int(16)], [P.text("backbone"), P.text("mlp")]);
  const checkpoint = (ema?: Uint8Array): string => {
    const callbacks = P.dict([P.text("EMA"), P.dict([P.text("cur_step"), P.int(7)])]);
    const withAverages = P.dict([P.text("EMA"), P.dict([P.text("ema_weights"), ema ?? P.none])]);
    const root = P.dict(
      [P.text("state_dict"), state],
      [P.text("callbacks"), ema ? withAverages : callbacks],
      [P.text("hyper_parameters"), settings],
    );
    writeFileSync(place("run.ckpt"), torchFile(P.file(root), { 0: bytes(3, 4), 1: bytes(5, 6) }));
    return place("run.ckpt");
  };

  test("has averages beside its weights, and what it was trained with", () => {
    const path = checkpoint(P.list(stored("1", 0), stored("1", 1)));
    expect(read(path)).toEqual([
      ["c", 3],
      ["d", 4],
    ]);
    expect(read(path, true)).toEqual([
      ["c", 5],
      ["d", 6],
    ]);
    using file = openTensors(path);
    expect([file.hasAverages, [...file.settings]]).toEqual([
      true,
      [
        ["n_heads", 16],
        ["backbone", "mlp"],
      ],
    ]);
  });

  test("may have been told to keep no averages", () => {
    using file = openTensors(checkpoint());
    expect(file.hasAverages).toBe(false);
    expect(() => file.averages()).toThrow("callbacks.EMA.ema_weights: expected a list of 2 tensors");
  });

  test("a file of tensors alone has none of it", () => {
    using file = openTensors(place("one.safetensors"));
    expect([file.hasAverages, file.settings.size]).toEqual([false, 0]);
    expect(() => file.averages()).toThrow("expected running averages, found a file of one set of tensors");
  });
});
