import { readFileSync } from "node:fs";
import { join } from "node:path";
import ndarray from "ndarray";
import { Random } from "../../../core/index.ts";
import { constant, Ema, emaDecay, Module, oneStepLate, parameter, triStage } from "../../../nn/index.ts";
import { rollout, type Stage } from "../../../vla/eval/rollout.ts";
import { promptFor } from "../../../vla/florence2/prompt.ts";
import { NINA } from "../../../vla/libero/protocols.ts";
import type { Observation } from "../../../vla/observation.ts";
import type { ParityResult } from "../case.ts";
import { Worst } from "../florence2/worst.ts";
import type { GoldenCase } from "./golden.ts";

interface Schedules {
  readonly tri_stage: readonly {
    readonly config: {
      readonly init_lr: number;
      readonly init_lr_scale: number;
      readonly final_lr_scale: number;
      readonly total_steps: number;
      readonly phase_ratio: string;
      readonly lr: number;
    };
    readonly effective_lr_at_optimizer_step: readonly (readonly [step: number, lr: number])[];
  }[];
  readonly ema_decay_at_global_step: readonly (readonly [step: number, decay: number])[];
  readonly ema_trace: readonly {
    readonly step: number;
    readonly weight: readonly number[];
    readonly ema_weight: readonly number[];
    readonly bias: readonly number[];
    readonly ema_bias: readonly number[];
  }[];
  readonly chunk_traces: readonly {
    readonly multistep: number;
    readonly reset_before_call: number;
    readonly first_component: readonly number[];
  }[];
  readonly prompts: readonly { readonly instruction: string; readonly prompt: string }[];
}

/** Learning rates, decay and trace of the running average, how chunks are played, prompts. */
export function schedulesCase(dir: string, one: GoldenCase): () => Promise<ParityResult> {
  return async () => {
    const golden = JSON.parse(readFileSync(join(dir, one.file), "utf8")) as Schedules;
    const worst = new Worst();
    for (const { config, effective_lr_at_optimizer_step: expected } of golden.tri_stage) {
      const phases = config.phase_ratio.match(/[\d.]+/g)?.map(Number) as [number, number, number];
      const schedule = triStage({
        peak: config.init_lr,
        totalSteps: config.total_steps,
        phases,
        startFactor: config.init_lr_scale,
        endFactor: config.final_lr_scale,
      });
      const rate = oneStepLate(schedule, config.lr);
      for (const [step, lr] of expected)
        worst.compare(`learning rate ${step}`, [rate(step)], [lr], 1e-12 * lr);
    }
    for (const [step, decay] of golden.ema_decay_at_global_step) {
      worst.compare(`EMA decay ${step}`, [emaDecay(step)], [decay], 1e-12);
    }
    traceAverage(golden.ema_trace, worst);
    for (const trace of golden.chunk_traces) {
      const played = await playChunks(trace.multistep, trace.reset_before_call, trace.first_component.length);
      worst.compare(`chunks of ${trace.multistep}`, played, trace.first_component, Number.MIN_VALUE);
    }
    for (const { instruction, prompt } of golden.prompts) {
      worst.add(`prompt of "${instruction}"`, promptFor(instruction) === prompt ? 0 : 1, Number.MIN_VALUE);
    }
    return worst.result();
  };
}

function traceAverage(trace: Schedules["ema_trace"], worst: Worst): void {
  class Pair extends Module {
    weight = parameter([trace[0].weight.length], constant(0));
    bias = parameter([trace[0].bias.length], constant(0));
  }
  const pair = new Pair().init(new Random(0));
  const ema = new Ema(pair);
  for (const row of trace) {
    pair.weight.data.set(row.weight);
    pair.bias.data.set(row.bias);
    ema.update(row.step);
    const average = ema.stateDict();
    for (const name of ["weight", "bias"] as const) {
      const got = average.get(name)?.data as Float32Array;
      worst.compare(`EMA ${name} after step ${row.step}`, got, row[`ema_${name}`], 1e-6);
    }
  }
  ema.dispose();
  pair.dispose();
}

/**
 * What is executed when plan k (k = 1, 2, …) consists of the rows 100 k, 100 k + 1, …: `calls` control steps in two
 * episodes, the second beginning before step number `reset`.
 */
async function playChunks(multistep: number, reset: number, calls: number): Promise<number[]> {
  let plans = 0;
  const policy = {
    name: "counter",
    reset() {},
    act: () => {
      const first = 100 * ++plans;
      return { actions: Array.from({ length: 10 }, (_, row) => [first + row, 0, 0, 0, 0, 0, 0]) };
    },
  };
  const start = { init: 0, state: [], seed: 0, policySeed: 0, instruction: "" };
  const protocol = { ...NINA, settle: { ...NINA.settle, steps: 0 }, actionsPerQuery: multistep };
  const watcher = { interrupted: () => false, stepped() {} };
  const played: number[] = [];
  for (const steps of [reset, calls - reset]) {
    const episode = await rollout(stage(), policy, start, protocol, steps, watcher);
    played.push(...(episode?.actions ?? []).map(([first]) => first));
  }
  return played;
}

/** An environment in which nothing happens. */
function stage(): Stage {
  const pixel = ndarray(new Uint8Array(3), [1, 1, 3]);
  const seen = { agentview_image: pixel, robot0_eye_in_hand_image: pixel } as unknown as Observation;
  const idle = { success: false, held: [false] };
  return {
    start: () => idle,
    step: () => ({ ...idle, observation: seen }),
    advance: () => idle,
    observe: () => seen,
    times: { simulate: 0, render: 0, steps: 0 },
    trajectoryHash: () => "",
  };
}
