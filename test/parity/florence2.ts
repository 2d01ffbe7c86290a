import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fill, generate } from "../../benchmarks/generated-weights.ts";
import {
  bf16ToF32,
  f32ToBf16,
  grad,
  type HostTensor,
  readSafetensors,
  Scope,
  Tensor,
} from "../../core/index.ts";
import { inDType } from "../../nn/index.ts";
import type { FlorenceConfig } from "../../vla/florence2/config.ts";
import { Florence2 } from "../../vla/florence2/model.ts";
import { loadFlorence2 } from "../../vla/florence2/weights.ts";
import type { ParityCase, ParityResult } from "./case.ts";
import { tokenizerCases } from "./florence2/tokenizer.ts";
import { Worst } from "./florence2/worst.ts";

/** A golden's configuration: the published names, but for the text encoder's. */
type GoldenConfig = FlorenceConfig & { enc: number; heads: number; ffn: number; max_pos: number };

interface TinyCase {
  readonly file: string;
  readonly ids: readonly (readonly number[])[];
  readonly torch_fp32_max_abs_dev: Readonly<Record<string, number>>;
}

export interface TinyGolden {
  readonly config: GoldenConfig;
  readonly weights: string;
  readonly weights_native: string;
  readonly cases: Readonly<Record<string, TinyCase>>;
}

interface FullGolden {
  readonly config: GoldenConfig;
  readonly seed: number;
  readonly ids: readonly (readonly number[])[];
  readonly acts: Readonly<
    Record<string, { rms: number; torch_fp32_max_abs_dev: number; torch_fp32_rms_dev: number } | undefined>
  >;
  readonly weights: Readonly<
    Record<string, { shape: number[]; first: number[]; last_element: number | null }>
  >;
}

/**
 * float32 against the golden's float64: 5 times what torch's own float32 run deviates, as florence2.md 11 advises.
 */
export const FLOAT32_MARGIN = 5;
/** What belongs to the half of the language model that NinA leaves out. */
const DECODER = /^language_model\.(final_logits_bias|lm_head\.|model\.decoder\.)/;
/** float64 against float64 that was stored as float32 (6e-8 relative): relative to the largest element. */
const FLOAT64_TOLERANCE = 1e-6;

/** Every case that the files in `dir` describe: `<name>.json` with its safetensors beside it. */
export async function cases(dir: string): Promise<ParityCase[]> {
  return readdirSync(dir)
    .filter((file) => file.endsWith(".json") && !file.startsWith("tokenizer"))
    .sort()
    .flatMap((file) => {
      const golden = JSON.parse(readFileSync(join(dir, file), "utf8")) as TinyGolden | FullGolden;
      if ("cases" in golden) return tinyCases(dir, golden);
      if ("acts" in golden) return fullCases(dir, file.slice(0, -".json".length), golden);
      return [{ name: file, kind: "unknown", run: undefined }];
    })
    .concat(tokenizerCases(dir));
}

export function published({ enc, heads, ffn, max_pos, ...rest }: GoldenConfig): FlorenceConfig {
  return {
    ...rest,
    encoder_layers: enc,
    encoder_attention_heads: heads,
    encoder_ffn_dim: ffn,
    max_position_embeddings: max_pos,
  };
}

function tinyCases(dir: string, golden: TinyGolden): ParityCase[] {
  return Object.entries(golden.cases).flatMap(([name, goldenCase]) => {
    const build = (file: string, dtype: "float32" | "float64"): Florence2 => {
      const stored = readSafetensors(join(dir, file));
      const weights = name.endsWith("_bf16w")
        ? new Map([...stored].map(([key, w]) => [key, roundToBf16(w)]))
        : stored;
      const prompt = readSafetensors(join(dir, goldenCase.file)).get("input.prompt_embed") as HostTensor;
      weights.set("prompt_embeds", { ...prompt, shape: [1, 1, prompt.data.length] });
      return inDType(dtype, () => loadFlorence2(published(golden.config), weights));
    };
    const tiny = (kind: string, run: () => ParityResult): ParityCase => ({ name, kind, run });
    return [
      tiny("encoder float32", () => compareActivations(build(golden.weights, "float32"), dir, goldenCase)),
      tiny("encoder float64 and gradients", () =>
        compareGradients(build(golden.weights, "float64"), dir, goldenCase),
      ),
      tiny("encoder native names", () =>
        compareActivations(build(golden.weights_native, "float32"), dir, goldenCase),
      ),
    ];
  });
}

function roundToBf16(tensor: HostTensor): HostTensor {
  if (tensor.dtype !== "F32") return tensor;
  return { ...tensor, data: bf16ToF32(f32ToBf16(tensor.data as Float32Array)) };
}

/** The inputs of a case as tensors. */
export function inputs(
  file: ReadonlyMap<string, HostTensor>,
  ids: TinyCase["ids"],
  dtype: "float32" | "float64",
) {
  const image = (name: string): Tensor => {
    const { data, shape } = file.get(name) as HostTensor;
    return Tensor.from(data as Float32Array, shape, dtype);
  };
  return {
    images: [image("input.image1"), image("input.image2")],
    ids: Tensor.from(ids.flat(), [ids.length, ids[0].length], "int32"),
  };
}

function compareActivations(model: Florence2, dir: string, golden: TinyCase): ParityResult {
  using _ = new Scope();
  const file = readSafetensors(join(dir, golden.file));
  const worst = new Worst();
  const { images, ids } = inputs(file, golden.ids, "float32");
  let compared = 0;
  model.forward(images, ids, (name, value) => {
    const expected = file.get(`act.${name}`);
    if (!expected) return;
    compared++;
    const tolerance = FLOAT32_MARGIN * golden.torch_fp32_max_abs_dev[name];
    worst.compare(name, value.data, expected.data as Float32Array, tolerance);
  });
  model.dispose();
  return requireAll(worst, compared, activations(file));
}

function compareGradients(model: Florence2, dir: string, golden: TinyCase): ParityResult {
  using _ = new Scope();
  const file = readSafetensors(join(dir, golden.file));
  const worst = new Worst();
  const { images, ids } = inputs(file, golden.ids, "float64");
  for (const leaf of [...images, model.prompt_embeds]) leaf.tracked();
  const check = (name: string, got: ArrayLike<number>): void => {
    const expected = file.get(name)?.data as Float32Array;
    const size = expected.reduce((max, x) => Math.max(max, Math.abs(x)), 1);
    worst.compare(name, got, expected, FLOAT64_TOLERANCE * size);
  };
  let compared = 0;
  const output = model.forward(images, ids, (name, value) => {
    if (!file.has(`act.${name}`)) return;
    compared++;
    check(`act.${name}`, value.data);
  });
  const { data, shape } = file.get("loss.R") as HostTensor;
  const loss = output.mul(Tensor.from(data as Float32Array, shape, "float64")).sum();
  const named = new Map<string, Tensor>([
    ...model.namedParameters(),
    ["input.image1", images[0]],
    ["input.image2", images[1]],
    ["input.prompt_embed", model.prompt_embeds],
  ]);
  const wanted = [...file.keys()].filter((key) => key.startsWith("grad."));
  const targets = wanted.map((key) => {
    const tensor = named.get(key.slice("grad.".length));
    if (!tensor) throw new Error(`the golden has ${key}, the model has no such tensor`);
    return tensor;
  });
  grad(loss, targets).forEach((g, i) => {
    check(wanted[i], g ? g.data : new Float64Array(targets[i].size));
  });
  model.dispose();
  return requireAll(worst, compared, activations(file));
}

/** How many activations a golden file holds. */
const activations = (file: ReadonlyMap<string, HostTensor>): number =>
  [...file.keys()].filter((key) => key.startsWith("act.")).length;

/** An activation that nobody looked at has not passed. */
function requireAll(worst: Worst, compared: number, expected: number): ParityResult {
  const result = worst.result();
  if (compared === expected) return result;
  return { ...result, pass: false, note: `compared ${compared} of ${expected} tensors` };
}

/** Real sizes with weights rebuilt from their names: whole outputs, and samples of the other activations. */
function fullCases(dir: string, name: string, golden: FullGolden): ParityCase[] {
  return [{ name, kind: "encoder full size", run: () => compareFull(dir, name, golden) }];
}

function compareFull(dir: string, name: string, golden: FullGolden): ParityResult {
  using _ = new Scope();
  const path = join(dir, `${name}.safetensors`);
  if (!existsSync(path)) throw new Error(`${path}: missing beside ${name}.json`);
  const file = readSafetensors(path);
  const model = generate(new Florence2(published(golden.config)), golden.seed);
  const worst = new Worst();

  const own = new Map(model.namedTensors());
  for (const [key, expected] of Object.entries(golden.weights)) {
    if (DECODER.test(key)) continue;
    const data = own.get(key)?.data;
    if (!data) throw new Error(`the golden has the weight ${key}, the model has no such tensor`);
    worst.compare(`weights ${key}`, [data[0], data[1]], expected.first, 1e-12);
    // null where only the rows that the prompt touches were generated
    if (expected.last_element !== null) {
      worst.compare(`weights ${key}`, [data[data.length - 1]], [expected.last_element], 1e-12);
    }
  }

  const size = Number(/_(\d+)$/.exec(name)?.[1]);
  const batch = golden.ids.length;
  const images = [1, 2].map((camera) => {
    const image = Tensor.empty([batch, 3, size, size]);
    fill(image, `${golden.seed}:input.image${camera}.${size}`, 1);
    return image;
  });
  const ids = Tensor.from(golden.ids.flat(), [batch, golden.ids[0].length], "int32");
  let compared = 0;
  model.forward(images, ids, (key, value) => {
    const stated = golden.acts[key];
    if (!stated) return;
    compared++;
    const tolerance = FLOAT32_MARGIN * stated.torch_fp32_max_abs_dev;
    const whole = file.get(`act.${key}`);
    if (whole) worst.compare(key, value.data, whole.data as Float32Array, tolerance);
    const at = file.get(`idx.${key}`);
    if (at) {
      const samples = Array.from(at.data as Int32Array, (i) => value.data[i]);
      worst.compare(key, samples, file.get(`val.${key}`)?.data as Float32Array, tolerance);
    }
    const rms = Math.sqrt(value.square().mean().item());
    worst.add(`rms of ${key}`, Math.abs(rms - stated.rms), FLOAT32_MARGIN * stated.torch_fp32_rms_dev);
  });
  model.dispose();
  return requireAll(worst, compared, Object.keys(golden.acts).length);
}
