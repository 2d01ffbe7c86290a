import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readdirSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, test } from "vitest";
import { f32ToBf16, f32ToF16, type HostTensor, readSafetensors, writeSafetensors } from "../../core/index.ts";
import { P, tensor, torchFile } from "../core/formats/build.ts";

const SCRIPT = fileURLToPath(new URL("../../vla/convert.ts", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "convert-"));
afterAll(() => rmSync(folder, { recursive: true }));

const convert = (...argv: string[]) =>
  spawnSync(process.execPath, ["--import", "tsx", SCRIPT, ...argv], { encoding: "utf8" });

// A Lightning checkpoint of our own: a float weight, a strided view of it, a counter, averages, and a foreign object.
const floats = Float32Array.of(1, 1.0009765625, -0.3, 1e-8, 70000, 2.5);
const averages = Float32Array.of(6, 5, 4, 3, 2, 1);
const view = (key: string, shape: number[], stride: number[]): Uint8Array =>
  tensor({ dtype: "F32", key, count: 6, offset: 0, shape, stride });
const counter = tensor({ dtype: "I64", key: "n", count: 1, offset: 0, shape: [], stride: [] });
const names = ["w", "w.transposed", "steps"].map(P.text);
const zipped = (values: Uint8Array[]) =>
  values.map((value, i): [Uint8Array, Uint8Array] => [names[i], value]);
const model = P.dict(...zipped([view("0", [2, 3], [3, 1]), view("0", [3, 2], [1, 3]), counter]));
const ema = P.list(view("1", [2, 3], [3, 1]), view("1", [3, 2], [1, 3]), counter);
const storages = {
  0: new Uint8Array(floats.buffer),
  1: new Uint8Array(averages.buffer),
  n: new Uint8Array(BigInt64Array.of(2n ** 60n).buffer),
};
const both = join(folder, "both.ckpt");
const callbacks = P.dict([P.text("EMA"), P.dict([P.text("ema_weights"), ema])]);
const foreign = P.reduce(P.global("os", "system"), P.tuple(P.text(`touch ${join(folder, "ran")}`)));
const checkpoint = P.dict(
  [P.text("state_dict"), model],
  [P.text("callbacks"), callbacks],
  [P.text("hyper"), foreign],
);
writeFileSync(both, torchFile(P.file(checkpoint), storages));
const bare = join(folder, "bare.bin");
writeFileSync(bare, torchFile(P.file(model), storages));

describe("converting", () => {
  test("keeps element types when not told otherwise, writes views whole, and runs nothing it finds", () => {
    const out = join(folder, "kept.safetensors");
    expect(convert(bare, out)).toMatchObject({ status: 0, stdout: "", stderr: "" });
    const read = readSafetensors(out);
    expect(read.get("w")).toEqual({ dtype: "F32", shape: [2, 3], data: floats });
    const transposed = Float32Array.from([0, 3, 1, 4, 2, 5], (i) => floats[i]);
    expect(read.get("w.transposed")).toEqual({ dtype: "F32", shape: [3, 2], data: transposed });
    expect(read.get("steps")).toEqual({ dtype: "I64", shape: [], data: BigInt64Array.of(2n ** 60n) });

    expect(convert(both, out, "--weights", "ema").status).toBe(0);
    expect(readSafetensors(out).get("w")?.data).toEqual(averages);
    expect(existsSync(join(folder, "ran"))).toBe(false);
    expect(readdirSync(folder).filter((file) => file.endsWith(".tmp"))).toEqual([]);
  });

  test("narrows floats and leaves integers; widening again gives the rounded values", () => {
    const narrow = join(folder, "narrow.safetensors");
    const wide = join(folder, "wide.safetensors");
    for (const [dtype, round] of [
      ["bf16", f32ToBf16],
      ["f16", f32ToF16],
    ] as const) {
      expect(convert(bare, narrow, "--dtype", dtype).status).toBe(0);
      const read = readSafetensors(narrow);
      expect(read.get("w")).toEqual({ dtype: dtype.toUpperCase(), shape: [2, 3], data: round(floats) });
      expect(read.get("steps")?.dtype).toBe("I64");
      expect(convert(narrow, wide, "--dtype", "f32").status).toBe(0);
      expect(round(readSafetensors(wide).get("w")!.data as Float32Array)).toEqual(round(floats));
    }
  });
});

test("numbers that the narrower type cannot hold are counted on stderr", () => {
  const out = join(folder, "lossy.safetensors");
  const host = (data: Float32Array | Float64Array): HostTensor => ({
    dtype: data instanceof Float64Array ? "F64" : "F32",
    shape: [data.length],
    data,
  });
  const from = join(folder, "lossy-in.safetensors");
  const all = new Map([
    ["large\x1b[2J", host(Float32Array.of(70000, -1e5, 65519, Infinity, NaN, 1))],
    ["small", host(Float32Array.of(1e-8, 1e-5, 2 ** -20, 0, 1))],
    ["double", host(Float64Array.of(1e300, 1e-300, 1, 0.1))],
    ["fine", host(Float32Array.of(0.1, 1 / 3))],
  ]);
  writeSafetensors(from, all);
  const warnings = (dtype: string) => convert(from, out, "--dtype", dtype).stderr.trimEnd().split("\n");
  // 1e-8 and 1e-300 become 0, 1e-5 loses digits, 2^-20 is exact though below the normal range.
  expect(warnings("f16")).toEqual([
    "warning: double: 1 of 4 numbers beyond f16's 65504 became infinite",
    "warning: large\\u{1b}[2J: 2 of 6 numbers beyond f16's 65504 became infinite",
    "warning: 3 numbers in 2 tensors below f16's 0.00006103515625 lost digits, 2 of them became 0",
  ]);
  expect(warnings("bf16")).toHaveLength(2);
  expect(warnings("f32")).toEqual([
    "warning: double: 1 of 4 numbers beyond f32's 3.4028234663852886e+38 became infinite",
    "warning: 1 numbers in 1 tensors below f32's 1.1754943508222875e-38 lost digits, 1 of them became 0",
  ]);
  expect(readSafetensors(out).get("double")?.data[0]).toBe(Infinity);
});

test("a damaged storage is refused, also where tensors are parts of it, and nothing is left", () => {
  const damaged = join(folder, "damaged.pt");
  const bytes = torchFile(P.file(model), storages);
  bytes[bytes.indexOf(storages[0]) + 5] ^= 1;
  writeFileSync(damaged, bytes);
  const { status, stderr } = convert(damaged, join(folder, "damaged.safetensors"));
  expect([status, stderr]).toEqual([
    1,
    expect.stringMatching(/^FormatError: .*data\/0: .*the file is damaged\n$/),
  ]);
  expect(readdirSync(folder).filter((file) => file.startsWith("damaged.s"))).toEqual([]);
});

test.each([
  ["SIGINT", 130],
  ["SIGTERM", 143],
] as const)("%s ends it without a temporary file", async (signal, code) => {
  // Sparse: 64 tensors of 32 MiB, of which few are written before the signal.
  const large = join(folder, "large.safetensors");
  const size = 2 ** 25;
  const entries = Array.from({ length: 64 }, (_, i) => [
    `t${i}`,
    { dtype: "U8", shape: [size], data_offsets: [i * size, (i + 1) * size] },
  ]);
  const header = Buffer.from(JSON.stringify(Object.fromEntries(entries)));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(header.length));
  writeFileSync(large, Buffer.concat([length, header]));
  truncateSync(large, 8 + header.length + 64 * size);

  const out = join(folder, "interrupted.safetensors");
  const child = spawn(process.execPath, ["--import", "tsx", SCRIPT, large, out]);
  const ended = once(child, "exit");
  const temporaries = () => readdirSync(folder).filter((file) => file.startsWith("interrupted."));
  while (temporaries().length === 0 && child.exitCode === null) await setTimeout(5);
  child.kill(signal);
  expect(await ended).toEqual([code, null]);
  expect(temporaries()).toEqual([]);
});

test("--list prints names, types and shapes", () => {
  const { status, stdout } = convert(both, "--list");
  expect(status).toBe(0);
  const hostile = join(folder, "hostile.pt");
  writeFileSync(hostile, torchFile(P.file(P.dict([P.text("\x1b]0;x\x07"), counter])), storages));
  expect(convert(hostile, "--list").stdout).toMatch(/^\\u\{1b\}\]0;x\\u\{7\}\tI64/);
  expect(stdout).toBe(
    "w\tF32\t[2, 3]\nw.transposed\tF32\t[3, 2]\nsteps\tI64\t[]\n" +
      "3 tensors, 56 bytes, and as many running averages (--weights ema)\n",
  );
});

describe("refusals are one line on stderr", () => {
  const out = join(folder, "never.safetensors");
  const broken = join(folder, "broken.pt");
  writeFileSync(broken, "no checkpoint");

  test.each<[string, string[], number, RegExp]>([
    ["no output", [bare], 2, /^UsageError: missing OUT.safetensors/],
    ["another kind of output", [bare, "out.pt"], 2, /^UsageError: expected OUT.safetensors, got out.pt/],
    ["another kind of input", ["in.txt", out], 2, /^UsageError: expected .safetensors, .bin, /],
    ["two sets of weights and no choice", [both, out], 2, /^UsageError: .*choose --weights model or ema/],
    ["averages that are not there", [bare, out, "--weights", "ema"], 1, /^FormatError: .*ema_weights/],
    ["a broken file", [broken, out], 1, /^FormatError: .*a ZIP archive/],
    ["no file", [join(folder, "none.pt"), out], 1, /^FormatError: .*a file that can be read, found none/],
  ])("%s", (_, argv, code, message) => {
    const { status, stdout, stderr } = convert(...argv);
    expect(stderr).toMatch(message);
    expect([status, stdout, stderr.trimEnd().split("\n").length]).toEqual([code, "", 1]);
    expect(existsSync(out)).toBe(false);
  });
});
