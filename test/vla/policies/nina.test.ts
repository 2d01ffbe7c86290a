import { cpSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import ndarray from "ndarray";
import { afterAll, describe, expect, it } from "vitest";
import { heapUsage, Random, readSafetensors, Scope, Tensor, writeSafetensors } from "../../../core/index.ts";
import {
  type Checkpoint,
  loadCheckpoint,
  type SamplingConfig,
  saveCheckpoint,
} from "../../../vla/checkpoint.ts";
import { type DecoderConfig, makeDecoder } from "../../../vla/decoders.ts";
import { EMBEDDED } from "../../../vla/eval/options.ts";
import { processImage } from "../../../vla/florence2/image-processor.ts";
import { flowerPresets } from "../../../vla/flower/flower.ts";
import type { Image, Observation } from "../../../vla/observation.ts";
import { Perception } from "../../../vla/perception.ts";
import type { EpisodeKey } from "../../../vla/policies/index.ts";
import { ninaPolicy } from "../../../vla/policies/nina.ts";
import { NinaModel } from "../../../vla/policies/nina-model.ts";
import type { ActionChunk, Policy } from "../../../vla/policies/policy.ts";

const folder = mkdtempSync(join(tmpdir(), "nina-policy-"));
afterAll(() => rmSync(folder, { recursive: true }));

const checkpoint = loadCheckpoint(EMBEDDED.checkpoint);
const picture = (side: number, seed: number): Image =>
  ndarray(
    Uint8Array.from({ length: side * side * 3 }, (_, i) => (i * seed) % 251),
    [side, side, 3],
  );
const seen = (image: Image): Observation => ({
  agentview_image: image,
  robot0_eye_in_hand_image: picture(image.shape[0], 7),
  robot0_joint_pos: new Float64Array(7),
  robot0_eef_pos: new Float64Array(3),
  robot0_eef_quat: new Float64Array(4),
  robot0_gripper_qpos: new Float64Array(2),
});

describe("NinaModel", () => {
  it("plans ten actions in [−1, 1] and knows how likely they are", async () => {
    const policy = new NinaModel("test", checkpoint).policy();
    policy.reset(5);
    const { actions, logProb, logProbTerms } = await policy.act(
      seen(picture(128, 3)),
      "push the drawer shut",
      {
        logProb: true,
      },
    );
    expect(actions.length).toBe(10);
    for (const action of actions) {
      expect(action.length).toBe(7);
      for (const value of Array.from(action)) expect(Math.abs(value)).toBeLessThanOrEqual(1);
    }
    expect(logProb).toBeTypeOf("number");
    expect(logProb).not.toBeNaN();
    const { base, layers } = logProbTerms!;
    expect(layers.length).toBe(3 * 10); // permutation, coupling and PLU in each of 10 blocks
    expect(logProb).toBeCloseTo(
      layers.reduce((sum, x) => sum + x, base),
      9,
    );
  });

  it("is a function of seed, pictures and words", async () => {
    const plan = async (seed: number, image = picture(128, 3), words = "push the drawer shut") => {
      const policy = new NinaModel("test", checkpoint).policy();
      policy.reset(seed);
      return (await policy.act(seen(image), words)).actions.map((action) => Array.from(action));
    };
    expect(await plan(5)).toEqual(await plan(5));
    expect(await plan(5)).not.toEqual(await plan(6));
    expect(await plan(5)).not.toEqual(await plan(5, picture(128, 5)));
    expect(await plan(5)).not.toEqual(await plan(5, undefined, "open the drawer"));
  });

  it("does in its captured pass what encoder and decoder do one by one", async () => {
    const policy = new NinaModel("test", checkpoint).policy();
    policy.reset(5);
    const { actions } = await policy.act(seen(picture(128, 3)), "push the drawer shut");
    policy.reset(5);
    await policy.act(seen(picture(128, 5)), "push the drawer shut"); // a replay, on other pictures
    policy.reset(5);
    expect((await policy.act(seen(picture(128, 3)), "push the drawer shut")).actions).toEqual(actions);

    using _ = new Scope();
    const { florence, decoder, tokenizer, config } = checkpoint;
    const pixels = [picture(128, 3), picture(128, 7)].map((p) =>
      Tensor.from(processImage(p, 64), [1, 3, 64, 64]),
    );
    const list = new Perception(florence, tokenizer, config.perception).tokens("push the drawer shut");
    const features = florence.forward(pixels, Tensor.from(list, [1, list.length], "int32"));
    policy.reset(5);
    expect(features.shape).toEqual([1, 2 * 65 + 1 + list.length, florence.config.d_model]);
    expect(decoder.condition(features).shape).toEqual([1, 128]);
  });

  it("plans the same whether it is asked for the log-probability or not", async () => {
    const policy = new NinaModel("test", checkpoint).policy();
    const plan = async (logProb: boolean): Promise<ActionChunk> => {
      policy.reset(5);
      return policy.act(seen(picture(128, 3)), "push the drawer shut", { logProb });
    };
    const [quiet, telling] = [await plan(false), await plan(true)];
    expect(quiet.actions).toEqual(telling.actions);
    expect(quiet).not.toHaveProperty("logProb");
    using _ = new Scope();
    const perception = new Perception(
      checkpoint.florence,
      checkpoint.tokenizer,
      checkpoint.config.perception,
    );
    const pixels = [picture(128, 3), picture(128, 7)].map((p) =>
      Tensor.from(perception.pixels(p), [1, 3, 64, 64]),
    );
    const ids = perception.tokens("push the drawer shut");
    const features = perception.features(pixels[0], pixels[1], Tensor.from(ids, [1, ids.length], "int32"));
    const { decoder } = checkpoint;
    const chunk = Tensor.from(
      telling.actions.flatMap((action) => [...Array.from(action)]),
      [1, 10, 7],
    );
    const [exact] = decoder.logProb!(chunk, decoder.condition(features)).data;
    // The inference decoder's condition differs in its last digits; 30 layers of this flow make at most 1e-4 of it.
    expect(Math.abs((telling.logProb as number) - exact)).toBeLessThan(1e-3);
  });

  it("samples at the checkpoint's temperature and hands out as many actions as it says", async () => {
    const plan = async (sampling: Partial<SamplingConfig>): Promise<number[][]> => {
      const { config } = checkpoint;
      const policy = new NinaModel("test", {
        ...checkpoint,
        config: { ...config, sampling: { ...config.sampling, ...sampling } },
      }).policy();
      policy.reset(5);
      const { actions } = await policy.act(seen(picture(128, 3)), "push the drawer shut");
      return actions.map((a) => Array.from(a));
    };
    const whole = await plan({});
    expect(await plan({ actionsPerQuery: 3 })).toEqual(whole.slice(0, 3));
    expect(await plan({ temperature: 1 })).not.toEqual(whole);

    const { decoder, florence, tokenizer, config } = checkpoint;
    const policy = new NinaModel("test", checkpoint, { temperature: 0, actionsPerQuery: 10 }).policy();
    const at = async (seed: number): Promise<ActionChunk["actions"]> => {
      policy.reset(seed);
      return (await policy.act(seen(picture(128, 3)), "push the drawer shut")).actions;
    };
    const first = await at(1);
    expect(first).toEqual(await at(2)); // at 0 the sample is what z = 0 becomes
    using _ = new Scope();
    const perception = new Perception(florence, tokenizer, config.perception);
    const pixels = [picture(128, 3), picture(128, 7)].map((p) =>
      Tensor.from(perception.pixels(p), [1, 3, 64, 64]),
    );
    const ids = perception.tokens("push the drawer shut");
    const features = perception.features(pixels[0], pixels[1], Tensor.from(ids, [1, ids.length], "int32"));
    const mode = decoder.sample(Tensor.zeros([1, 10, 7]), decoder.condition(features));
    first
      .flatMap((action) => Array.from(action))
      .forEach((value, i) => {
        expect(Math.abs(value - mode.data[i])).toBeLessThan(1e-4); // as above
      });
  });

  it("takes no more memory from call to call", async () => {
    const policy = new NinaModel("test", checkpoint).policy();
    await policy.act(seen(picture(128, 3)), "push the drawer shut");
    const { live } = heapUsage();
    for (let i = 0; i < 3; i++) await policy.act(seen(picture(128, i + 1)), "push the drawer shut");
    expect(heapUsage().live).toBe(live);
  });

  it.each(["float32", "bfloat16", "int8"] as const)(
    "holds weights in %s once, however many prompt lengths it plays",
    async (format) => {
      const before = heapUsage().live;
      const sealed = loadCheckpoint(EMBEDDED.checkpoint, format);
      const weights = heapUsage().live - before;
      const perception = { ...sealed.config.perception, promptLength: null };
      const model = new NinaModel("test", { ...sealed, config: { ...sealed.config, perception } });
      const policy = model.policy();
      const act = async (words: number): Promise<ActionChunk> =>
        policy.act(seen(picture(128, 3)), Array.from({ length: words }, () => "push").join(" "));
      await act(12);
      const first = heapUsage().live;
      for (let words = 1; words < 12; words++) await act(words);
      // A plan for each of eleven more lengths: an arena for some tokens of text, and no weights.
      expect(heapUsage().live - first).toBeLessThan(11 * 0.06 * weights);
      model[Symbol.dispose]();
      for (const module of [sealed.florence, sealed.decoder]) module.dispose();
      // int8 rounds rows in a room that all products share.
      expect(heapUsage().live - before).toBeLessThan(format === "int8" ? 2 ** 20 : 1);
    },
  );

  it("plans the same after more lengths of prompts than it keeps captures of", async () => {
    const perception = { ...checkpoint.config.perception, promptLength: null };
    using model = new NinaModel("test", { ...checkpoint, config: { ...checkpoint.config, perception } });
    const policy = model.policy();
    const act = async (words: number, logProb: boolean): Promise<ActionChunk> => {
      policy.reset(words);
      return policy.act(seen(picture(64, 3)), "go ".repeat(words), { logProb });
    };
    const first = await act(1, false);
    const { live } = heapUsage();
    // 34 captures, of which 32 are kept.
    for (let words = 1; words <= 17; words++) for (const logProb of [false, true]) await act(words, logProb);
    const { live: full } = heapUsage();
    expect(full).toBeGreaterThan(live);
    expect(await act(1, false)).toEqual(first);
    expect(heapUsage().live).toBeLessThanOrEqual(full);
  });

  it("does in float32 what it does on weights that can be trained, to the last bit", async () => {
    const act = async (from: Checkpoint): Promise<number[][]> => {
      using model = new NinaModel("test", from);
      const policy = model.policy();
      policy.reset(5);
      const { actions } = await policy.act(seen(picture(128, 3)), "push the drawer shut");
      return actions.map((action) => Array.from(action));
    };
    const sealed = loadCheckpoint(EMBEDDED.checkpoint, "float32");
    expect(await act(sealed)).toEqual(await act(checkpoint));
    for (const module of [sealed.florence, sealed.decoder]) module.dispose();
  });

  it("refuses pictures it cannot use, and says which", async () => {
    const policy = new NinaModel("test", checkpoint).policy();
    const wide = ndarray(new Uint8Array(128 * 96 * 3), [128, 96, 3]);
    const unfit = { ...seen(picture(128, 3)), robot0_eye_in_hand_image: wide };
    await expect(policy.act(unfit, "x")).rejects.toThrow(/test: robot0_eye_in_hand_image: .*\(?128.*96/);
  });
});

describe("every kind of decoder", () => {
  const chunk = { steps: 4, actionWidth: 7, features: checkpoint.config.florence.d_model, tokenDropout: 0.1 };
  const nina = { ...chunk, condition: 6, blocks: 2, width: 8, plu: true, actionNoise: 0.03 };
  const flower = { ...flowerPresets.small, ...chunk, width: 8, layers: 1, heads: 2 };
  const configs: DecoderConfig[] = [
    { kind: "mlp", ...nina },
    { kind: "transformer", ...nina, heads: 2, depth: 1, dropout: 0.1 },
    { kind: "mse", ...nina, heads: 2, depth: 1, dropout: 0.1 },
    { kind: "flower", ...flower },
  ];

  it.each(configs)("$kind is saved, loaded and played", async (decoder) => {
    const dir = join(folder, decoder.kind);
    const { florence, config } = checkpoint;
    const sampling = { temperature: 0.5, actionsPerQuery: 2 };
    const saved = {
      config: { ...config, decoder, sampling },
      florence,
      decoder: makeDecoder(decoder).init(new Random(3)),
    };
    await saveCheckpoint(
      dir,
      saved,
      JSON.parse(readFileSync(join(EMBEDDED.checkpoint, "tokenizer.json"), "utf8")),
    );
    const source = ninaPolicy(dir);
    expect(source).toMatchObject({ name: `nina ${decoder.kind}`, sampling });
    expect(source.hasDensity).toBe(decoder.kind === "mlp" || decoder.kind === "transformer");
    const plan = async (policy: Policy): Promise<ActionChunk> => {
      policy.reset(1);
      return policy.act(seen(picture(128, 3)), "push the drawer shut", { logProb: true });
    };
    const played = await plan(source.forEpisode({ instruction: "push the drawer shut" } as EpisodeKey));
    expect(played.actions).toHaveLength(2);
    expect(played).toEqual(await plan(new NinaModel("test", { ...checkpoint, ...saved }).policy()));
    expect(played.logProb !== undefined).toBe(source.hasDensity);
    expect(() => ninaPolicy(dir, { actionsPerQuery: 5 })).toThrow("expected at most 4 actions per query");
  });

  it.each(configs)(
    "$kind plans for episodes that ask together what it plans for each alone",
    async (decoder) => {
      const { config } = checkpoint;
      const sampling = { temperature: 0.5, actionsPerQuery: 4 };
      const saved = {
        config: { ...config, decoder, sampling },
        decoder: makeDecoder(decoder).init(new Random(3)),
      };
      const ask = (policy: Policy, seed: number, logProb: boolean): Promise<ActionChunk> | ActionChunk => {
        policy.reset(seed);
        return policy.act(seen(picture(128, seed)), seed % 2 === 0 ? "open the drawer" : "push it", {
          logProb,
        });
      };
      const both = async (logProb: boolean): Promise<ActionChunk[][]> => {
        using model = new NinaModel("test", { ...checkpoint, ...saved });
        const alone: ActionChunk[] = [];
        for (let seed = 3; seed < 8; seed++) alone.push(await ask(model.policy(), seed, logProb));
        const seeds = alone.map((_, i) => 3 + i);
        return [alone, await Promise.all(seeds.map((seed) => ask(model.policy(), seed, logProb)))];
      };
      for (const logProb of [false, true]) {
        const [alone, together] = await both(logProb);
        expect(together).toEqual(alone);
      }
    },
  );

  it("refuses an instruction that is longer than its prompts, before it plays", () => {
    const dir = join(folder, "short");
    cpSync(EMBEDDED.checkpoint, dir, { recursive: true });
    const path = join(dir, "config.json");
    const config = JSON.parse(readFileSync(path, "utf8"));
    config.perception = { ...config.perception, prompt: "instruction", promptLength: 15 };
    writeFileSync(path, JSON.stringify(config));
    const source = ninaPolicy(dir);
    expect(() => source.forEpisode({ instruction: "push the drawer shut" } as EpisodeKey)).not.toThrow();
    expect(() =>
      source.forEpisode({ instruction: "push the drawer shut and open it" } as EpisodeKey),
    ).toThrow(/at most 15 tokens, got \d+ for "push the drawer shut and open it"/);
  });
});

describe("a checkpoint folder", () => {
  const damaged = (name: string): string => {
    const dir = join(folder, name);
    cpSync(EMBEDDED.checkpoint, dir, { recursive: true });
    return dir;
  };

  it("names the file that is missing", () => {
    const dir = damaged("missing");
    rmSync(join(dir, "tokenizer.json"));
    expect(() => loadCheckpoint(dir)).toThrow(`checkpoint ${dir}: expected config.json`);
    expect(() => loadCheckpoint(dir)).toThrow("found no tokenizer.json");
  });

  it("refuses truncated weights", () => {
    const dir = damaged("truncated");
    truncateSync(join(dir, "model.safetensors"), 1_000_000);
    expect(() => loadCheckpoint(dir)).toThrow(/model\.safetensors/);
  });

  it("lists the tensors that are missing", () => {
    const dir = damaged("incomplete");
    const path = join(dir, "model.safetensors");
    const tensors = readSafetensors(path);
    tensors.delete("nf.layers.2.s");
    tensors.delete("cond_proj.bias");
    writeSafetensors(path, tensors);
    expect(() => loadCheckpoint(dir)).toThrow(/missing \(2\): cond_proj\.bias; nf\.layers\.2\.s/);
  });

  it("refuses a permutation that is none", () => {
    const dir = damaged("unordered");
    const path = join(dir, "model.safetensors");
    const tensors = readSafetensors(path);
    const perm = tensors.get("nf.layers.3.perm")!.data as BigInt64Array;
    const first = perm[0];
    for (const wrong of [perm[1], 4108n, -1n]) {
      perm[0] = wrong;
      writeSafetensors(path, tensors);
      expect(() => loadCheckpoint(dir)).toThrow(
        /^checkpoint .*: model\.safetensors, a permutation: expected inv_perm\[perm\[0\]\] = 0, found /,
      );
    }
    perm[0] = first;
    writeSafetensors(path, tensors);
    expect(loadCheckpoint(dir).decoder.config.steps).toBe(10);
  });

  it("refuses a configuration that is none", () => {
    const dir = damaged("config");
    writeFileSync(join(dir, "config.json"), "{}");
    expect(() => loadCheckpoint(dir)).toThrow(
      "expected florence, decoder, perception, sampling and untrained",
    );
  });
});
