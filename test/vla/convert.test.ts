import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, test } from "vitest";
import { f32ToBf16, f32ToF16, readSafetensors } from "../../core/index.ts";
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

test("--list prints names, types and shapes", () => {
  const { status, stdout } = convert(both, "--list");
  expect(status).toBe(0);
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
    ["another kind of input", ["in.txt", out], 2, /^UsageError: expected a .pt, /],
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
