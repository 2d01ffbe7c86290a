import { execFile } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { isDeepStrictEqual } from "node:util";
import ndarray from "ndarray";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { readSafetensors } from "../../../core/index.ts";
import { loadCheckpoint } from "../../../vla/checkpoint.ts";
import type { Observation } from "../../../vla/observation.ts";
import { NinaModel } from "../../../vla/policies/nina-model.ts";
import { INSTRUCTIONS, writeTinyData, writeTinyEncoder } from "./tiny-encoder.ts";

const root = mkdtempSync(join(tmpdir(), "nina-ts-train-script-"));
const [data, encoder] = [join(root, "data"), join(root, "encoder")];
beforeAll(async () => {
  mkdirSync(data);
  await writeTinyEncoder(encoder);
  await writeTinyData(data);
});
afterAll(() => rmSync(root, { recursive: true }));

const ROOT = fileURLToPath(new URL("../../..", import.meta.url));

/** Runs vla/train.ts; stdout, or an error with what it printed. */
function train(...args: string[]): Promise<string> {
  const command = ["--import", "tsx", "vla/train.ts", "--encoder", encoder, "--episodes", "0", ...args];
  return new Promise((resolve, reject) =>
    execFile(process.execPath, command, { cwd: ROOT }, (error, stdout, stderr) =>
      error ? reject(new Error(stderr)) : resolve(stdout),
    ),
  );
}

const picture = ndarray(
  Uint8Array.from({ length: 16 * 16 * 3 }, (_, i) => (7 * i) % 251),
  [16, 16, 3],
);
const seen: Observation = {
  agentview_image: picture,
  robot0_eye_in_hand_image: picture,
  robot0_joint_pos: new Float64Array(7),
  robot0_eef_pos: new Float64Array(3),
  robot0_eef_quat: new Float64Array(4),
  robot0_gripper_qpos: new Float64Array(2),
};

const FREEZE = "vlm.vision_tower.convs.*,vlm.image*";

/** Names of the encoder's tensors that a run in `out` has not changed. */
function unchanged(out: string): string[] {
  const [before, after] = [encoder, join(out, "last")].map((folder) =>
    readSafetensors(join(folder, "model.safetensors")),
  );
  return [...before.keys()].filter(
    (name) => name.startsWith("vlm.") && isDeepStrictEqual(after.get(name)?.data, before.get(name)?.data),
  );
}

describe("vla/train.ts", () => {
  test.each([
    [
      "with its encoder but what --freeze names",
      "nina-mlp",
      ["--accumulate", "2", "--clip", "100", "--hold-out", "--checkpointing", "--freeze", FREEZE],
    ],
    ["on a frozen encoder's tokens", "flower", ["--frozen", "--heads", "2", "--time-sampling", "ln"]],
  ])(
    "lowers the loss and writes a checkpoint that plays: %s, %s",
    async (_, decoder, flags) => {
      const out = join(root, `${decoder}${flags.length}`);
      const sizes = ["--blocks", "2", "--width", "16", "--steps", "100", "--batch", "16"];
      const held = flags.includes("--hold-out");
      const printed = await train("--data", data, "--out", out, "--decoder", decoder, ...sizes, ...flags);
      expect(printed).toBe(
        `${out}: done; npx tsx vla/eval.ts --checkpoint ${join(out, held ? "best" : "last")} plays it\n`,
      );
      const lines = readFileSync(join(out, "metrics.jsonl"), "utf8").trim().split("\n");
      const metrics = lines.map((line) => JSON.parse(line));
      expect(metrics.map(({ kind, step }) => `${kind} ${step}`)).toEqual([
        ...["train 50", "train 100"],
        ...(held ? ["evaluation 100"] : []),
      ]);
      expect(metrics[1].loss).toBeLessThan(metrics[0].loss);
      if (held) expect(metrics[2]["loss/heldOut"]).toBeLessThan(metrics[0].loss);

      const names = [...readSafetensors(join(encoder, "model.safetensors")).keys()];
      const { freeze } = JSON.parse(readFileSync(join(out, "config.json"), "utf8"));
      if (flags.includes("--freeze")) {
        expect(freeze).toEqual(FREEZE.split(","));
        // The task token and the table of times are no parameters.
        const still = /^vlm\.(vision_tower\.convs\.|image|prompt_embeds$|visual_temporal_embed\.)/;
        expect(unchanged(out)).toEqual(names.filter((name) => still.test(name)));
      } else expect(freeze).toBeUndefined();

      const checkpoint = loadCheckpoint(join(out, "last"));
      expect(checkpoint.config).toMatchObject({
        untrained: false,
        perception: { imageSize: 16, cameraSize: 16 },
      });
      using model = new NinaModel("trained", checkpoint);
      const policy = model.policy();
      policy.reset(1);
      const { actions } = await policy.act(seen, INSTRUCTIONS[0]);
      expect(actions).toHaveLength(checkpoint.config.sampling.actionsPerQuery);
      expect(actions.flatMap((action) => Array.from(action)).every((value) => Math.abs(value) <= 1)).toBe(
        true,
      );
    },
    300_000,
  );

  test("refuses to freeze what there is not", async () => {
    const flags = ["--data", data, "--out", join(root, "half"), "--freeze", "vlm.image*,vlm.tower.*"];
    await expect(train(...flags)).rejects.toThrow(
      /--freeze: expected .*, found "vlm\.tower\.\*"; there are \d+, such as decoder\..*, vlm\./,
    );
  }, 120_000);

  test("trains on a device as on cpu", async () => {
    const flags = ["--data", data, "--frozen", "--hold-out", "--steps", "4", "--batch", "4"];
    const sizes = ["--blocks", "1", "--width", "8", "--condition", "4"];
    const run = async (device: string) => {
      const folder = join(root, device.replace(":", "-"));
      await train(...flags, ...sizes, "--out", folder, "--device", device);
      const lines = readFileSync(join(folder, "metrics.jsonl"), "utf8").trim().split("\n");
      const config = JSON.parse(readFileSync(join(folder, "config.json"), "utf8"));
      const [{ loss }, { "loss/heldOut": heldOut }] = lines.map((line) => JSON.parse(line));
      return { loss, heldOut, device: config.device };
    };
    const expected = await run("cpu");
    const got = await run("gpu:webasm");
    expect(got.device).toBe("gpu:webasm"); // part of the configuration: no other goes on with this run
    // Both in float32, summed up in another order.
    expect(got.loss).toBeCloseTo(expected.loss, 4);
    expect(got.heldOut).toBeCloseTo(expected.heldOut, 4);
  }, 300_000);

  test("encodes demonstrations once for the runs of all seeds", async () => {
    const own = join(root, "features");
    mkdirSync(own);
    await writeTinyData(own);
    const files = (): string[] => readdirSync(own).filter((name) => name.startsWith("features-"));
    const flags = [
      "--data",
      own,
      "--frozen",
      "--blocks",
      "1",
      "--width",
      "8",
      "--steps",
      "1",
      "--batch",
      "4",
    ];
    for (const seed of ["0", "1"]) {
      await train(...flags, "--out", join(root, `seed-${seed}`), "--seed", seed);
      expect(files()).toHaveLength(1);
    }
  }, 120_000);
});
