import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { Random } from "../../core/index.ts";
import { certify } from "../../flows/index.ts";
import type { PolicyConfig } from "../../vla/checkpoint.ts";
import { type DecoderConfig, makeDecoder } from "../../vla/decoders.ts";
import flowOutline from "../../vla/flow-outline.ts";

const dir = mkdtempSync(join(tmpdir(), "flow-outline-"));
afterAll(() => rmSync(dir, { recursive: true }));

const mini = JSON.parse(readFileSync("vla/suites/mini/checkpoint/config.json", "utf8")) as PolicyConfig;
const sampling = { ...mini.sampling, actionsPerQuery: 4 };
/** Writes the embedded checkpoint's configuration with another decoder. */
const write = (decoder: DecoderConfig): void =>
  writeFileSync(join(dir, "config.json"), JSON.stringify({ ...mini, decoder, sampling }));

const sizes = {
  steps: 4,
  actionWidth: 2,
  features: mini.florence.d_model,
  condition: 5,
  blocks: 2,
  width: 8,
  plu: true,
  tokenDropout: 0.1,
  actionNoise: 0,
};

const configs: DecoderConfig[] = [
  { kind: "mlp", ...sizes },
  { kind: "transformer", ...sizes, heads: 2, depth: 1, dropout: 0.1 },
];

test.each(configs)("the flow of a $kind decoder is certified by its checkpoint's config", (config) => {
  write(config);
  const { make, prefix, condition } = flowOutline(null, join(dir, "model.safetensors"));
  const state = makeDecoder(config).init(new Random(1)).stateDict();
  const certificate = certify(make, { state, prefix, condition, points: 2 });
  expect(certificate.laws.filter(({ holds }) => !holds)).toEqual([]);
  expect(certificate.layers).toHaveLength(6);
});

test("a decoder without a flow, a damaged configuration and a missing checkpoint are refused", () => {
  write({ kind: "mse", ...sizes, heads: 2, depth: 1, dropout: 0.1 });
  const path = join(dir, "model.safetensors");
  expect(() => flowOutline(null, path)).toThrow('config.json: expected a decoder with a flow, found "mse"');
  write({ kind: "mlp", ...sizes, condition: -1 });
  expect(() => flowOutline(null, path)).toThrow("config.json: decoder.condition: expected");
  writeFileSync(join(dir, "config.json"), "{");
  expect(() => flowOutline(null, path)).toThrow("config.json: expected JSON");
  expect(() => flowOutline()).toThrow("flowOutline: expected a checkpoint folder");
});
