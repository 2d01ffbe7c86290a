/** Modules that save and load themselves. */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fc, test } from "@fast-check/vitest";
import { afterAll, expect } from "vitest";
import { Random, readSafetensors } from "../../core/index.ts";
import { buffer, constant, inDType, Linear, Module, parameter, Sequential } from "../../nn/index.ts";

const folder = mkdtempSync(join(tmpdir(), "nn-files-"));
afterAll(() => rmSync(folder, { recursive: true }));

class Net extends Module {
  layers: Sequential;
  order = buffer([3], constant(2), "int32");
  tied = parameter([2], constant(1));
  twin = this.tied;

  constructor(width: number) {
    super();
    this.layers = new Sequential(new Linear(2, width), new Linear(width, 1));
  }
}

test.prop([fc.nat(), fc.integer({ min: 1, max: 5 }), fc.constantFrom("float32", "float64")], { numRuns: 10 })(
  "a saved module loads with the same numbers",
  async (seed, width, dtype) => {
    const path = join(folder, "model.safetensors");
    const make = (): Net => inDType(dtype, () => new Net(width));
    const net = make().init(new Random(seed));
    await net.save(path);
    expect(readSafetensors(path)).toEqual(net.stateDict());
    expect(make().load(path).stateDict()).toEqual(net.stateDict());
  },
);

test("loading a file lists everything that does not fit, names the file, and changes nothing", async () => {
  const path = join(folder, "other.safetensors");
  await new Linear(3, 4).init(new Random(1)).save(path);
  const linear = new Linear(2, 4, { bias: false }).init(new Random(2));
  const before = linear.stateDict();
  expect(() => linear.load(path)).toThrow(
    `Linear.load: ${path}: the state dict does not fit\n` +
      "  misshapen (1): weight: expected (4, 2), got (4, 3)\n  extra (1): bias",
  );
  expect(linear.stateDict()).toEqual(before);
});

test("a file that cannot be written leaves the old one, and nothing beside it", async () => {
  const own = mkdtempSync(join(folder, "own-"));
  const path = join(own, "model.safetensors");
  const net = new Net(2).init(new Random(3));
  await net.save(path);
  const bytes = readFileSync(path);
  net.layers[0].dispose();
  await expect(net.save(path)).rejects.toThrow("used after it was freed");
  expect(readFileSync(path).equals(bytes)).toBe(true);
  expect(readdirSync(own)).toEqual(["model.safetensors"]);
  await expect(new Linear(1, 1).save(join(own, "none", "x.safetensors"))).rejects.toThrow();
  expect(existsSync(join(own, "none"))).toBe(false);
  await expect(new Linear(1, 1).save(7 as never)).rejects.toThrow("Linear.save: expected a path, got 7");
});
