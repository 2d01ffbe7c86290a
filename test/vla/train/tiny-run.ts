/**
 * A training run of a second, with everything that a run can have, for tests that kill it:
 *
 *     node --import tsx test/vla/train/tiny-run.ts FOLDER STEPS [N]
 *
 * With N it kills itself at its N-th operation on files: the N-th opening, writing, flushing or renaming.
 */
import fs from "node:fs";
import { syncBuiltinESMExports } from "node:module";
import { Random, type Tensor, tidy, writeSafetensors } from "../../../core/index.ts";
import { AdamW, Ema, TrainingStep, triStage } from "../../../nn/index.ts";
import { INTERRUPTED } from "../../../vla/eval/interrupt.ts";
import { MlpDecoder } from "../../../vla/nina/mlp.ts";
import { type TrainingRun, train } from "../../../vla/train/run.ts";

/** A decoder that learns from noise: batch number k is a function of k. */
export function tinyRun(folder: string, steps: number): TrainingRun & Disposable {
  const config = {
    steps: 2,
    actionWidth: 2,
    features: 3,
    condition: 4,
    blocks: 2,
    width: 8,
    plu: true,
    tokenDropout: 0.1,
    actionNoise: 0.03,
  };
  const decoder = new MlpDecoder(config).init(new Random(1)).train();
  const optimizer = new AdamW(decoder.namedParameters());
  const ema = new Ema(decoder);
  const randoms = { masks: new Random(2), noise: new Random(3) };
  const batch = (number: number): Tensor[] => {
    const random = new Random(4, number);
    return [
      random.normals([4, 1, 3]),
      random.uniforms([4, 2, 2], -1, 1),
      decoder.drawNoise(4, randoms.noise).action,
    ];
  };
  let captured: TrainingStep | null = null;
  return {
    folder,
    config: { decoder: config, steps },
    module: decoder,
    optimizer,
    ema,
    randoms,
    steps,
    samplesPerStep: 8,
    schedule: triStage({
      peak: 0.01,
      totalSteps: steps,
      phases: [0.2, 0.3, 0.5],
      startFactor: 0,
      endFactor: 0,
    }),
    async update(step, lr) {
      const batches = tidy(() => [batch(2 * step), batch(2 * step + 1)]);
      captured ??= new TrainingStep(
        (features, actions, action) => decoder.loss(actions, decoder.condition(features), { action }),
        optimizer,
        batches[0],
        { masks: randoms.masks, clip: 1 },
      );
      await captured.accumulate(batches[0]);
      const result = await captured.run(batches[1], lr);
      for (const x of batches.flat()) x.dispose();
      return { ...result, waited: 0 };
    },
    // Near the end it is worse again, so that `best` is not `last`.
    evaluate: async (step) => ({
      score: -Math.abs(step - 0.6 * steps),
      values: { "success/all": step / steps },
    }),
    write: (to) => writeSafetensors(`${to}/model.safetensors`, decoder.stateDict()),
    every: { metrics: 7, evaluation: 10, save: 1e-9 },
    [Symbol.dispose]() {
      captured?.[Symbol.dispose]();
      for (const owner of [optimizer, ema, decoder]) owner.dispose();
    },
  };
}

/** Kills the process at its n-th operation on files, before or after it is done. */
function killAt(n: number): void {
  let count = 0;
  const functions = fs as unknown as Record<string, (...args: unknown[]) => unknown>;
  for (const name of ["openSync", "writeSync", "fsyncSync", "renameSync"]) {
    const original = functions[name];
    functions[name] = (...args) => {
      const last = ++count === n;
      if (last && n % 2 === 0) process.kill(process.pid, "SIGKILL");
      const result = original(...args);
      if (last) process.kill(process.pid, "SIGKILL");
      return result;
    };
  }
  syncBuiltinESMExports();
}

if (process.argv[1]?.endsWith("tiny-run.ts")) {
  const [folder, steps, n] = process.argv.slice(2);
  if (n !== undefined) killAt(Number(n));
  using run = tinyRun(folder, Number(steps));
  const { update } = run;
  const ending = await train({
    ...run,
    update(step, lr) {
      if (step === 5) process.stdout.write("working\n");
      return update(step, lr);
    },
  });
  process.exitCode = ending === "interrupted" ? INTERRUPTED : 0;
}
