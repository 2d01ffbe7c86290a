import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fc, test } from "@fast-check/vitest";
import ndarray from "ndarray";
import { afterAll, describe, expect } from "vitest";
import {
  type HostTensor,
  type LazyTensor,
  openTensors,
  Random,
  readSafetensors,
  toHost,
  writeSafetensors,
} from "../../core/index.ts";
import { outline } from "../../nn/index.ts";
import { type Checkpoint, loadCheckpoint } from "../../vla/checkpoint.ts";
import { type DecoderConfig, makeDecoder } from "../../vla/decoders.ts";
import { publishedConfig } from "../../vla/florence2/config-file.ts";
import { Florence2 } from "../../vla/florence2/model.ts";
import { Tokenizer } from "../../vla/florence2/tokenizer.ts";
import { flowerPresets } from "../../vla/flower/flower.ts";
import { importCheckpoint } from "../../vla/import/import-checkpoint.ts";
import { readDecoder } from "../../vla/import/read-decoder.ts";
import type { Observation } from "../../vla/observation.ts";
import { publishedPerception } from "../../vla/perception.ts";
import { NinaModel } from "../../vla/policies/nina-model.ts";
import { P, torchFile } from "../core/formats/build.ts";
import { FLOW, pickled, smallest, type Tensors, vocabulary, writeFolder } from "./florence2/folders.ts";

const folder = mkdtempSync(join(tmpdir(), "import-"));
afterAll(() => rmSync(folder, { recursive: true }));
let count = 0;
const fresh = (end = ""): string => join(folder, `${count++}${end}`);

/** One token of a picture of 112 pixels, and room for two of them and the longest prompt. */
const florence = { ...smallest, patch_size: [16, 7], patch_stride: [16, 7] };
const vlm = writeFolder(fresh(), { config: publishedConfig(florence) });

const chunk = { steps: 4, actionWidth: 7, features: florence.d_model, tokenDropout: 0.1 };
const nina = { ...chunk, condition: 6, blocks: 2, width: 8, plu: true, actionNoise: 0.05 };
const attention = { heads: 2, depth: 2, dropout: 0.2 };
const decoders: DecoderConfig[] = [
  { kind: "mlp", ...nina },
  { kind: "transformer", ...nina, ...attention },
  { kind: "mse", ...nina, ...attention },
  { kind: "flower", ...flowerPresets.small, ...chunk, width: 8, layers: 2, heads: 2 },
];

/** What the reference's hyper-parameters say of a decoder. */
function settingsOf(decoder: DecoderConfig): Map<string, unknown> {
  const common: [string, unknown][] = [
    ["act_window_size", decoder.steps],
    ["multistep", decoder.steps],
    ["action_dim", decoder.actionWidth],
    ["token_dropout", decoder.tokenDropout],
    ["vlm_prompt_style", "default"],
    ["use_second_view", true],
    ["n_layers", 1],
  ];
  if (decoder.kind === "flower") {
    const sampling = decoder.timeSampling === "ln" ? "ln" : "uniform";
    common.push(["rope_theta", decoder.rotary?.theta], ["num_sampling_steps", decoder.samplingSteps]);
    common.push(["attn_pdrop", decoder.dropout], ["sampling_type", sampling]);
  } else {
    common.push(["action_noise_mult", decoder.actionNoise]);
    if ("heads" in decoder) common.push(["n_heads", decoder.heads], ["attn_pdrop", decoder.dropout]);
  }
  return new Map(common);
}

/** A policy as the reference trains it, with the table's last row for the task token, and its state dict. */
function policy(decoder: DecoderConfig, seed = 1): { checkpoint: Checkpoint; state: Tensors } {
  const random = new Random(seed);
  const encoder = new Florence2({ ...florence, vocab_size: FLOW + 1 }).init(random);
  const made = makeDecoder(decoder).init(random);
  const table = encoder.language_model.model.shared.weight.data;
  encoder.prompt_embeds.write(table.slice(-florence.d_model));
  const state: Tensors = new Map();
  for (const [name, x] of encoder.namedTensors())
    if (name !== "prompt_embeds") state.set(`vlm.${name}`, toHost(x));
  for (const [name, x] of made.namedTensors()) state.set(name, toHost(x));
  const config = {
    florence: encoder.config,
    decoder,
    perception: publishedPerception,
    untrained: false,
    sampling: { temperature: 1, actionsPerQuery: decoder.steps },
  };
  return {
    checkpoint: { config, florence: encoder, decoder: made, tokenizer: new Tokenizer(vocabulary) },
    state,
  };
}

/** A checkpoint as Lightning saves it with the reference's callback. */
function writeLightning(state: Tensors, settings: ReadonlyMap<string, unknown>, averages?: Tensors): string {
  const model = pickled(state);
  const ema = averages && pickled(averages, state.size);
  const list = ema ? P.list(...ema.values.map(([, value]) => value)) : P.none;
  const opcodes = (value: unknown): Uint8Array => {
    if (typeof value === "boolean") return P.bool(value);
    if (typeof value === "number") return Number.isInteger(value) ? P.int(value) : P.float(value);
    return value === undefined ? P.none : P.text(String(value));
  };
  const config = P.reduce(P.global("omegaconf.dictconfig", "DictConfig"), P.tuple());
  const root = P.dict(
    [P.text("epoch"), P.int(99)],
    [
      P.text("state_dict"),
      P.dict(...model.values.map(([name, x]): [Uint8Array, Uint8Array] => [P.text(name), x])),
    ],
    [P.text("callbacks"), P.dict([P.text("EMA"), P.dict([P.text("ema_weights"), list])])],
    [
      P.text("hyper_parameters"),
      P.dict(
        [P.text("optimizer"), config],
        ...[...settings].map(([name, x]): [Uint8Array, Uint8Array] => [P.text(name), opcodes(x)]),
      ),
    ],
  );
  const path = fresh(".ckpt");
  writeFileSync(path, torchFile(P.file(root), { ...model.storages, ...ema?.storages }));
  return path;
}

const seen = (): Observation => {
  const image = ndarray(
    Uint8Array.from({ length: 128 * 128 * 3 }, (_, i) => (7 * i) % 256),
    [128, 128, 3],
  );
  return { agentview_image: image, robot0_eye_in_hand_image: image } as unknown as Observation;
};

async function act(checkpoint: Checkpoint): Promise<ArrayLike<number>[]> {
  using model = new NinaModel("test", checkpoint);
  const playing = model.policy();
  playing.reset(3);
  const { actions } = await playing.act(seen(), "lift the block");
  checkpoint.florence.dispose();
  checkpoint.decoder.dispose();
  return [...actions];
}

describe("a training checkpoint", () => {
  test.each(decoders)("with a decoder of kind $kind plays as it was trained", async (decoder) => {
    const { checkpoint, state } = policy(decoder);
    const other = policy(decoder, 2);
    const path = writeLightning(state, settingsOf(decoder), other.state);
    const [trained, averaged] = [fresh(), fresh()];
    expect(await importCheckpoint({ path, vlm, out: trained, weights: "model" })).toEqual({
      decoder,
      averaged: false,
    });
    expect(await importCheckpoint({ path, vlm, out: averaged })).toEqual({ decoder, averaged: true });

    expect(loadCheckpoint(trained).config).toEqual(checkpoint.config);
    expect(await act(loadCheckpoint(trained))).toEqual(await act(checkpoint));
    const written = readSafetensors(join(averaged, "model.safetensors"));
    const prompt = toHost(other.checkpoint.florence.prompt_embeds);
    expect(written).toEqual(new Map([...other.state, ["vlm.prompt_embeds", prompt]]));
  });

  test("of weights alone is sized by its shapes, and by what is told", async () => {
    const decoder = decoders[1];
    const { checkpoint, state } = policy(decoder);
    const path = fresh(".safetensors");
    // As pretrained FLOWER spells them.
    const spelt = [...state].map(([name, x]): [string, HostTensor] => [
      `agent.${name.replace("language_model.model.encoder.", "language_encoder.")}`,
      x,
    ]);
    writeSafetensors(path, new Map(spelt));
    const out = fresh();
    await expect(importCheckpoint({ path, vlm, out })).rejects.toThrow(
      /decoder.heads: .*width = 8, found 16/,
    );
    expect(existsSync(out)).toBe(false);
    const found = await importCheckpoint({ path, vlm, out, told: { heads: 2 } });
    // Training alone uses these: as published where nothing says otherwise.
    expect(found.decoder).toEqual({ ...decoder, actionNoise: 0.03, dropout: 0.1 });
    expect(await act(loadCheckpoint(out))).toEqual(await act(checkpoint));
  });

  test("that does not fit is refused with a list, and nothing is written", async () => {
    const { checkpoint, state } = policy(decoders[0]);
    checkpoint.florence.dispose();
    checkpoint.decoder.dispose();
    const out = fresh();
    const fails = async (
      change: (state: Tensors) => void,
      message: RegExp,
      settings = new Map<string, unknown>(),
    ) => {
      const changed = new Map(state);
      change(changed);
      const path = writeLightning(changed, new Map([...settingsOf(decoders[0]), ...settings]));
      await expect(importCheckpoint({ path, vlm, out })).rejects.toThrow(message);
      await expect(importCheckpoint({ path, vlm, out })).rejects.toThrow(path);
      expect(existsSync(out)).toBe(false);
    };
    await fails((all) => {
      all.delete("vlm.image_proj_norm.bias");
      all.delete("cond_proj.bias");
      all.set("nf.layers.1.shift_net.net.6.bias", all.get("nf.layers.0.perm") as HostTensor);
      all.set("proprio_encoders.x", all.get("nf.layers.0.perm") as HostTensor);
    }, /missing \(1\): image_proj_norm.bias.*missing \(1\): cond_proj.bias.*misshapen \(1\): nf.layers.1.shift_net.net.6.bias: .*extra \(1\): proprio_encoders.x/s);
    await fails((all) => {
      for (const name of state.keys()) if (!name.startsWith("vlm.")) all.delete(name);
    }, /expected a decoder of NinA \(nf.layers.…\) or FLOWER \(dit.…\), found an encoder alone/);
    await fails(
      () => {},
      /use_second_view: expected true, found false; multistep: expected at most 4 actions of a chunk, found 9/,
      new Map<string, unknown>([
        ["use_second_view", false],
        ["multistep", 9],
      ]),
    );
    const short = writeFolder(fresh(), { config: publishedConfig({ ...florence, max_pos_embeddings: 4 }) });
    rmSync(join(short, "tokenizer.json"));
    const path = writeLightning(state, settingsOf(decoders[0]));
    await expect(importCheckpoint({ path, vlm: short, out })).rejects.toThrow("found no tokenizer.json");
    await expect(importCheckpoint({ path, vlm, out, weights: "ema" })).rejects.toThrow("ema_weights");
  });
});

describe("the sizes of a decoder", () => {
  const even = fc.integer({ min: 1, max: 6 }).map((half) => 2 * half);
  const small = fc.integer({ min: 1, max: 5 });
  const common = fc.record({
    blocks: small,
    plu: fc.boolean(),
    condition: small,
    features: small,
    steps: even,
  });
  const flow = fc.record({
    sizes: common,
    heads: small,
    depth: small,
    each: small,
  });
  const ninas = fc
    .tuple(fc.constantFrom("mlp", "transformer", "mse"), flow)
    .map(([kind, { sizes, heads, depth, each }]) => ({
      kind,
      ...sizes,
      actionWidth: 7,
      tokenDropout: 0.2,
      actionNoise: 0.01,
      width: heads * each,
      ...(kind !== "mlp" && { heads, depth, dropout: 0.3 }),
    }));
  const flowers = fc
    .record({
      steps: small,
      features: small,
      layers: small,
      heads: small,
      samplingSteps: small,
      each: small,
      rotary: fc.option(fc.constant({ theta: 32, length: 100 })),
      timeSampling: fc.constantFrom("ln", "stratified"),
      crossAttention: fc.boolean(),
    })
    .map(({ each, ...sizes }) => ({
      kind: "flower",
      ...sizes,
      actionWidth: 7,
      tokenDropout: 0,
      dropout: 0,
      width: 2 * each * sizes.heads,
      norm: "mean square",
    }));

  test.prop([fc.oneof(ninas, flowers)], { numRuns: 200 })(
    "are those it was built with, from names, shapes and settings",
    (drawn) => {
      const decoder = drawn as DecoderConfig;
      const module = outline(() => makeDecoder(decoder));
      const shapes = new Map<string, LazyTensor>();
      for (const [name, { shape }] of module.namedTensors())
        shapes.set(name, { dtype: "F32", shape, read: () => expect.unreachable() });
      expect(readDecoder("test", shapes, settingsOf(decoder))).toEqual(decoder);
    },
  );
});

const goldens = process.env.NINA_GOLDENS ? join(process.env.NINA_GOLDENS, "nina") : undefined;

describe.skipIf(!goldens)("checkpoints that the reference's code saved (need NINA_GOLDENS)", () => {
  test.each(["mlp", "trans"])("%s: the decoder of both sets of weights is recognised", (backbone) => {
    using file = openTensors(join(goldens as string, `checkpoint_${backbone}.ckpt`));
    expect(file.hasAverages).toBe(true);
    for (const all of [file.tensors, file.averages()]) {
      const tensors = new Map([...all].filter(([name]) => !name.startsWith("vlm.")));
      const told = {
        heads: 2,
        steps: (all.get("nf.layers.0.perm")?.shape[0] as number) / (backbone === "mlp" ? 3 : 1),
      };
      const decoder = readDecoder("golden", tensors, new Map([["action_dim", 3]]), told);
      expect(decoder.kind).toBe(backbone === "mlp" ? "mlp" : "transformer");
      outline(() => makeDecoder(decoder)).checkFit(tensors);
    }
  });
});
