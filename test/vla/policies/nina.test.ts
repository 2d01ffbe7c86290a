import { cpSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import ndarray from "ndarray";
import { afterAll, describe, expect, it } from "vitest";
import { heapUsage, readSafetensors, Scope, Tensor, writeSafetensors } from "../../../core/index.ts";
import { loadCheckpoint } from "../../../vla/checkpoint.ts";
import { processImage } from "../../../vla/florence2/image-processor.ts";
import { promptFor } from "../../../vla/florence2/prompt.ts";
import type { Image, Observation } from "../../../vla/observation.ts";
import { NinaPolicy } from "../../../vla/policies/nina.ts";
import { makeMiniCheckpoint, miniCheckpoint } from "../../../vla/suites/mini/make-checkpoint.ts";

const folder = mkdtempSync(join(tmpdir(), "nina-policy-"));
afterAll(() => rmSync(folder, { recursive: true }));

const checkpoint = loadCheckpoint(miniCheckpoint);
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

describe("NinaPolicy", () => {
  it("plans ten actions in [−1, 1] and knows how likely they are", () => {
    const policy = new NinaPolicy("test", checkpoint);
    policy.reset(5);
    const { actions, logProb, logProbTerms } = policy.act(seen(picture(128, 3)), "push the drawer shut", {
      logProb: true,
    });
    expect(actions.length).toBe(10);
    for (const action of actions) {
      expect(action.length).toBe(7);
      for (const value of Array.from(action)) expect(Math.abs(value)).toBeLessThanOrEqual(1);
    }
    expect(logProb).toBeTypeOf("number");
    expect(logProb).not.toBeNaN();
    const { base, layers } = logProbTerms!;
    expect(layers.length).toBe(3 * 6); // permutation, coupling and PLU in each of 6 blocks
    expect(logProb).toBeCloseTo(
      layers.reduce((sum, x) => sum + x, base),
      9,
    );
  });

  it("is a function of seed, pictures and words", () => {
    const plan = (seed: number, image = picture(128, 3), words = "push the drawer shut"): number[][] => {
      const policy = new NinaPolicy("test", checkpoint);
      policy.reset(seed);
      return policy.act(seen(image), words).actions.map((action) => Array.from(action));
    };
    expect(plan(5)).toEqual(plan(5));
    expect(plan(5)).not.toEqual(plan(6));
    expect(plan(5)).not.toEqual(plan(5, picture(128, 5)));
    expect(plan(5)).not.toEqual(plan(5, undefined, "open the drawer"));
  });

  it("does in its captured pass what encoder and decoder do one by one", () => {
    using _ = new Scope();
    const policy = new NinaPolicy("test", checkpoint);
    policy.reset(5);
    const { actions } = policy.act(seen(picture(128, 3)), "push the drawer shut");
    policy.reset(5);
    policy.act(seen(picture(128, 5)), "push the drawer shut"); // a replay, on other pictures
    policy.reset(5);
    expect(policy.act(seen(picture(128, 3)), "push the drawer shut").actions).toEqual(actions);

    const { florence, decoder, tokenizer } = checkpoint;
    const pixels = [picture(128, 3), picture(128, 7)].map((p) =>
      Tensor.from(processImage(p, 112), [1, 3, 112, 112]),
    );
    const list = tokenizer.encode(promptFor("push the drawer shut"));
    const features = florence.forward(pixels, Tensor.from(list, [1, list.length], "int32"));
    policy.reset(5);
    expect(features.shape).toEqual([1, 2 * 17 + 1 + list.length, florence.config.d_model]);
    expect(decoder.condition(features).shape).toEqual([1, 32]);
  });

  it("takes no more memory from call to call", () => {
    const policy = new NinaPolicy("test", checkpoint);
    policy.act(seen(picture(128, 3)), "push the drawer shut");
    const { live } = heapUsage();
    for (let i = 0; i < 3; i++) policy.act(seen(picture(128, i + 1)), "push the drawer shut");
    expect(heapUsage().live).toBe(live);
  });

  it("refuses pictures it cannot use, and says which", () => {
    const policy = new NinaPolicy("test", checkpoint);
    const wide = ndarray(new Uint8Array(128 * 96 * 3), [128, 96, 3]);
    expect(() => policy.act({ ...seen(picture(128, 3)), robot0_eye_in_hand_image: wide }, "x")).toThrow(
      /test: robot0_eye_in_hand_image: .*\(?128.*96/,
    );
  });
});

describe("a checkpoint folder", () => {
  const damaged = (name: string): string => {
    const dir = join(folder, name);
    cpSync(miniCheckpoint, dir, { recursive: true });
    return dir;
  };

  it("is written again byte for byte from its seed", () => {
    const dir = join(folder, "again");
    makeMiniCheckpoint(dir, 0);
    for (const file of ["config.json", "model.safetensors", "tokenizer.json"]) {
      expect(readFileSync(join(dir, file)).equals(readFileSync(join(miniCheckpoint, file))), file).toBe(true);
    }
  });

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
