/** The whole loop of training: what vla/pretrain.ts and vla/train.ts say of themselves when they run. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

export interface LoopResult {
  readonly bench: "training";
  readonly case: string;
  readonly who: "whole loop";
  readonly threads: number;
  readonly samples_per_second: number;
  /** Of the time of an update: waiting for its batch, and making tensors of it. */
  readonly data_share: number;
}

/** Folders that hold what the loops read: see vla/pretrain.ts. */
export interface LoopData {
  readonly data: string;
  readonly scenes: string;
}

const ROOT = fileURLToPath(new URL("..", import.meta.url));

/**
 * Pretraining, training on cached features of its encoder, and training with the encoder, each for some updates: the
 * last line of each run's metrics, by when everything is warm. Our recipe's sizes and batches.
 */
export function* measureLoops({ data, scenes }: LoopData, threads: number): Generator<LoopResult> {
  const folder = mkdtempSync(join(tmpdir(), "nina-ts-loops-"));
  const out = (name: string): string => join(folder, name);
  const decoder = ["--data", data, "--encoder", out("pretraining"), "--episodes", "0"];
  const features = ["--frozen", "--copies", "1", "--features", out("features.safetensors")];
  const runs = {
    pretraining: ["vla/pretrain.ts", "--data", data, "--scenes", scenes],
    "cached features": ["vla/train.ts", ...decoder, ...features],
    "end to end": ["vla/train.ts", ...decoder],
  };
  try {
    for (const [name, [script, ...args]] of Object.entries(runs)) {
      const common = ["--out", out(name), "--steps", "100", "--threads", `${threads}`];
      const { status } = spawnSync(process.execPath, ["--import", "tsx", script, ...args, ...common], {
        cwd: ROOT,
        stdio: ["ignore", "ignore", "inherit"],
      });
      if (status !== 0) throw new Error(`${script}: expected it to end with 0, got ${status}`);
      const lines = readFileSync(join(out(name), "metrics.jsonl"), "utf8")
        .trim()
        .split("\n");
      const last = lines.map((line) => JSON.parse(line)).findLast(({ kind }) => kind === "train");
      yield {
        bench: "training",
        case: name,
        who: "whole loop",
        threads,
        samples_per_second: Number(last.samplesPerSecond.toPrecision(3)),
        data_share: Number(last.dataShare.toPrecision(2)),
      };
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
}
