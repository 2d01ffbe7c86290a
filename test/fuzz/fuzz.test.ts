import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { fc, test } from "@fast-check/vitest";
import { afterAll, describe, expect, it } from "vitest";
import { Random } from "../../core/random.ts";
import { campaign } from "./campaign.ts";
import { minimise } from "./minimise.ts";
import { anyBytes, nextInput } from "./mutate.ts";
import { jsonValues, pickleOpcodes, pngChunks, safetensorsHeader, tokens, zipEntries } from "./structure.ts";

const out = mkdtempSync(join(tmpdir(), "fuzz-test-"));
afterAll(() => rmSync(out, { recursive: true }));

describe("a fault that was planted", () => {
  it.each([
    ["throws", /^error of the engine: TypeError: Cannot read properties of undefined/],
    ["hangs", /^no answer after 1000 ms$/],
    ["grows", /^grew by more than 128 MB$/],
  ])("is found, minimised and saved: a reader that %s", async (name, text) => {
    const module = new URL(`planted/${name}.ts`, import.meta.url).href;
    const limits = { milliseconds: 400, bytes: 2 ** 27 };
    const { findings, inputs } = await campaign({ name, module, seed: 1, milliseconds: 1500, out, limits });
    expect(inputs).toBeGreaterThan(0);
    expect(findings.map((finding) => finding.text)).toEqual([expect.stringMatching(text)]);
    const [{ path }] = findings;
    expect(readFileSync(path, "utf8")).toBe("!");
    expect(readdirSync(join(out, name)).sort()).toEqual([
      basename(path),
      basename(path).replace("input.bin", "txt"),
    ]);
    expect(readFileSync(path.replace("input.bin", "txt"), "utf8")).toMatch(/seed 1/);
  });
});

it("goes on from where it was when a process ends before its first input", async () => {
  const module = new URL("planted/dies.ts", import.meta.url).href;
  const tally = await campaign({ name: "dies", module, seed: 2, milliseconds: 4000, out });
  expect(tally.inputs).toBeGreaterThan(0);
  expect(tally.accepted + tally.refused).toBeLessThanOrEqual(tally.inputs);
});

describe("mutations", () => {
  const bytes = fc.uint8Array({ maxLength: 300 }).map((data) => Buffer.from(data));
  const all = [
    anyBytes,
    jsonValues,
    safetensorsHeader,
    zipEntries(pickleOpcodes),
    pickleOpcodes,
    pngChunks,
    tokens(/\w+|\W/g, ["word"]),
  ];

  test.prop([fc.constantFrom(...all), bytes, bytes, fc.nat()])(
    "take any bytes and leave them as they are",
    (mutation, a, b, seed) => {
      const before = [Buffer.from(a), Buffer.from(b)];
      expect(mutation(a, new Random(seed), b)).toBeInstanceOf(Buffer);
      expect([a, b]).toEqual(before);
    },
  );

  it("make the same input of the same seed and number", () => {
    const pool = [{ file: "a.json", bytes: Buffer.from('{"a": [1, 2], "b": "text"}') }];
    const inputs = (seed: number) =>
      Array.from({ length: 50 }, (_, i) => nextInput(pool, [jsonValues], seed, i));
    expect(inputs(3)).toEqual(inputs(3));
    expect(inputs(3)).not.toEqual(inputs(4));
  });
});

describe("minimise", () => {
  test.prop([fc.uint8Array({ maxLength: 60 }), fc.uint8Array({ minLength: 1, maxLength: 3 })])(
    "leaves nothing that does not matter",
    async (noise, needle) => {
      const least = await minimise(
        Buffer.concat([noise, needle, noise]),
        async (candidate) => Buffer.from(candidate).includes(Buffer.from(needle)),
        Number.POSITIVE_INFINITY,
      );
      expect(Array.from(least)).toEqual(Array.from(needle));
    },
  );
});
