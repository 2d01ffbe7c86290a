import { spawn } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { fc, test } from "@fast-check/vitest";
import { decode } from "fast-png";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openSafetensors } from "../../../core/index.ts";
import { train } from "../../../vla/train/run.ts";
import { RunFolder } from "../../../vla/train/run-folder.ts";
import { tinyRun } from "./tiny-run.ts";

const root = mkdtempSync(join(tmpdir(), "nina-ts-train-"));
afterAll(() => rmSync(root, { recursive: true }));
let serial = 0;
const fresh = (): string => join(root, `${serial++}`);
const SCRIPT = fileURLToPath(new URL("tiny-run.ts", import.meta.url));
const STEPS = 20;

interface Ended {
  readonly code: number | null;
  readonly signal: string | null;
}

/** Runs the tiny run in a process of its own; `interrupt`: sends Ctrl-C when it is at work. */
function start(
  folder: string,
  { killAt, interrupt = false }: { killAt?: number; interrupt?: boolean },
): Promise<Ended> {
  const args = [folder, `${STEPS}`, ...(killAt === undefined ? [] : [`${killAt}`])];
  const child = spawn(process.execPath, ["--import", "tsx", SCRIPT, ...args], {
    stdio: ["ignore", "pipe", "ignore"],
  });
  child.stdout.on("data", () => {
    if (interrupt) child.kill("SIGINT");
  });
  return new Promise((resolve) => child.on("close", (code, signal) => resolve({ code, signal })));
}

/** What a run leaves, times aside. */
function remains(folder: string): unknown {
  const weights = (name: string): string =>
    readFileSync(join(folder, name, "model.safetensors")).toString("base64");
  const metrics = readFileSync(join(folder, "metrics.jsonl"), "utf8").trim().split("\n");
  using state = openSafetensors(join(folder, "state.safetensors"));
  const tensors = [...state.tensors.keys()].map((name) => [name, state.read(name).data]);
  return {
    last: weights("last"),
    best: weights("best"),
    tensors,
    metrics: metrics.map((line) => {
      const { seconds: _, samplesPerSecond: __, dataShare: ___, ...rest } = JSON.parse(line);
      return rest;
    }),
  };
}

describe("a run", () => {
  const whole = fresh();
  beforeAll(async () => {
    using run = tinyRun(whole, STEPS);
    expect(await train(run)).toBe("done");
  });

  it("leaves weights, metrics, events and curves, and no temporary file", () => {
    expect(
      readdirSync(whole)
        .map((name) => name.replace(/(tfevents).*/, "$1"))
        .sort(),
    ).toEqual([
      ...["best", "config.json", "curves.png", "events.out.tfevents", "last"],
      ...["metrics.jsonl", "state.safetensors"],
    ]);
    const { metrics, last, best } = remains(whole) as Record<string, never[]>;
    expect(metrics.map(({ kind, step }) => `${kind} ${step}`)).toEqual([
      ...["train 7", "evaluation 10", "train 14", "train 20", "evaluation 20"],
    ]);
    expect(metrics[0]).toMatchObject({
      samples: 56,
      gradientNorm: expect.any(Number),
      loss: expect.any(Number),
    });
    expect(best).not.toEqual(last);
    const { width, height } = decode(readFileSync(join(whole, "curves.png")));
    expect([width, height]).toEqual([960, 3 * 260]); // loss, gradientNorm, learningRate, samplesPerSecond, dataShare, success
  });

  it("is over when it is started again, and changes nothing", async () => {
    const before = remains(whole);
    using run = tinyRun(whole, STEPS);
    expect(await train({ ...run, update: () => expect.unreachable() })).toBe("done");
    expect(remains(whole)).toEqual(before);
  });

  it("of another configuration is refused, and what differs is named", async () => {
    using run = tinyRun(whole, STEPS);
    const config = {
      decoder: { ...(run.config as { decoder: object }).decoder, width: 9 },
      seed: 1,
      steps: STEPS,
    };
    await expect(train({ ...run, config })).rejects.toThrow(
      `${whole}: expected a run of the same configuration, found another (decoder.width: 8, and 9; seed: nothing, and 1)`,
    );
  });

  it("belongs to one process at a time", () => {
    using _ = RunFolder.open(join(root, "held"), {});
    expect(() => RunFolder.open(join(root, "held"), {})).toThrow("another run writes it");
  });

  test.prop([fc.array(fc.integer({ min: 1, max: 600 }), { minLength: 2, maxLength: 2 })], { numRuns: 1 })(
    "ends with the same bytes when it was killed at any operation on files, several times",
    async (kills) => {
      const folder = fresh();
      const [first, ...others] = kills;
      expect((await start(folder, { killAt: first })).signal).toBe("SIGKILL");
      for (const killAt of others) await start(folder, { killAt }); // may be done before
      using run = tinyRun(folder, STEPS);
      expect(await train(run)).toBe("done");
      expect(remains(folder)).toEqual(remains(whole));
      expect(readdirSync(folder, { recursive: true }).filter((name) => `${name}`.endsWith(".tmp"))).toEqual(
        [],
      );
    },
    60_000,
  );

  it("stops at a batch whose loss is not finite, keeps it, and tells which parameter is to blame", async () => {
    const folder = fresh();
    {
      using run = tinyRun(folder, STEPS);
      const { update } = run;
      const poisoned: typeof update = (step, lr) => {
        const [[, first]] = run.module.namedParameters();
        if (step === 12) first.data[3] = Number.NaN;
        return update(step, lr);
      };
      await expect(train({ ...run, update: poisoned })).rejects.toThrow(
        /^step 12: TrainingStep: expected a finite loss, got NaN: parameter cond_proj.weight holds NaN at 3; .*bad-batch.safetensors$/,
      );
    }
    using batch = openSafetensors(join(folder, "bad-batch.safetensors"));
    expect(batch.metadata.get("step")).toBe("12");
    expect(batch.read("input.0").shape).toEqual([4, 1, 3]);
    using run = tinyRun(folder, STEPS);
    expect(await train(run)).toBe("done"); // the state before it was sound
    expect(remains(folder)).toEqual(remains(whole));
  });

  it("saves and ends with 130 on Ctrl-C, then goes on to the same bytes", async () => {
    const folder = fresh();
    expect(await start(folder, { interrupt: true })).toEqual({ code: 130, signal: null });
    using run = tinyRun(folder, STEPS);
    expect(await train(run)).toBe("done");
    expect(remains(folder)).toEqual(remains(whole));
  });

  it("stops at the end of its minutes, then goes on to the same bytes", async () => {
    const folder = fresh();
    {
      using run = tinyRun(folder, STEPS);
      expect(await train({ ...run, update: () => expect.unreachable(), minutes: 0 })).toBe("paused");
    }
    using run = tinyRun(folder, STEPS);
    expect(await train(run)).toBe("done");
    expect(remains(folder)).toEqual(remains(whole));
  });
});
