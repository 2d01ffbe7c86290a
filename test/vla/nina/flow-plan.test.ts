import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { Random } from "../../../core/index.ts";
import { certify } from "../../../flows/index.ts";
import { type DecoderConfig, makeDecoder } from "../../../vla/nina/checkpoint.ts";
import flowPlan from "../../../vla/nina/flow-plan.ts";

const dir = mkdtempSync(join(tmpdir(), "flow-plan-"));
afterAll(() => rmSync(dir, { recursive: true }));

const sizes = {
  steps: 4,
  actionWidth: 2,
  features: 6,
  condition: 5,
  blocks: 2,
  width: 8,
  plu: true,
  actionNoise: 0,
};

const configs: DecoderConfig[] = [
  { kind: "mlp", ...sizes },
  { kind: "transformer", ...sizes, heads: 2, depth: 1, dropout: 0.1 },
];

test.each(configs)("the flow of a $kind decoder is certified by its checkpoint's config", (config) => {
  writeFileSync(join(dir, "config.json"), JSON.stringify({ decoder: config }));
  const { make, prefix, condition } = flowPlan(null, join(dir, "model.safetensors"));
  const state = makeDecoder(config).init(new Random(1)).stateDict();
  const certificate = certify(make, { state, prefix, condition, points: 2 });
  expect(certificate.laws.filter(({ holds }) => !holds)).toEqual([]);
  expect(certificate.layers).toHaveLength(6);
});

test("a decoder without a flow is refused", () => {
  const { kind: _, ...rest } = configs[1];
  writeFileSync(join(dir, "config.json"), JSON.stringify({ decoder: { kind: "mse", ...rest } }));
  const { make } = flowPlan(null, join(dir, "model.safetensors"));
  expect(make).toThrow('expected a decoder with a flow, got "mse"');
});
