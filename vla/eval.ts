/** Evaluates a policy on LIBERO tasks, in this process: `npx tsx vla/eval.ts --help`. */
import { join } from "node:path";
import { runMain, UsageError } from "../cli/index.ts";
import { tileSetting } from "../core/index.ts";
import { Crew } from "./eval/crew.ts";
import { describeRun } from "./eval/describe-run.ts";
import { INTERRUPTED, Interrupt } from "./eval/interrupt.ts";
import { Ledger } from "./eval/ledger.ts";
import { manifestOf } from "./eval/manifest.ts";
import { type Options, readOptions } from "./eval/options.ts";
import { planRun } from "./eval/plan.ts";
import type { Setting } from "./eval/player.ts";
import { Progress } from "./eval/progress.ts";
import type { Job } from "./eval/schedule.ts";
import { partOf } from "./eval/shard.ts";
import { MUJOCO_VERSION } from "./libero/mujoco.ts";
import type { Protocol } from "./libero/protocols.ts";
import { findTasks, loadSuite } from "./libero/suites.ts";
import { adapted } from "./policies/adapter.ts";
import { endPolicies, loadPolicy, type PolicySource } from "./policies/index.ts";
import type { Policy } from "./policy.ts";
import { tryReport } from "./report/write-report.ts";

await runMain(async () => {
  const options = readOptions(process.argv.slice(2), process.env);
  const { protocol, maxSteps, shard } = options;
  const suite = loadSuite(options.libero, options.suite);
  const tasks = options.tasks === null ? suite.tasks : findTasks(suite, options.tasks);

  // Whatever can be refused is refused before the first step of the first task.
  tileSetting(); // throws for a bad one, which is no fault of the policy
  const policies = await loadPolicy(options.policy, options);
  await using _ = { [Symbol.asyncDispose]: () => endPolicies(policies) };
  checkOverlap(protocol, policies);
  if (options.logProb && !policies.hasDensity)
    throw new UsageError(`--log-prob: expected a policy with a density, got ${policies.name}`);
  const whole = planRun(options, suite, tasks);
  const plans = shard ? partOf(whole, shard) : whole;
  for (const plan of plans)
    for (const episode of plan.episodes) {
      // Words that a perturbation chose may break their own episodes only.
      if (!episode.language) policyOf({ plan, episode }, options, policies)[Symbol.dispose]?.();
    }

  const run = describeRun(options, policies);
  using ledger = Ledger.open(options, manifestOf(run, options, policies, whole), plans);
  const left = ledger.leftOf(plans);
  const progress = new Progress(ledger.planned, process.stderr, ledger.done);
  using interrupt = new Interrupt();
  using crew = new Crew(
    settingOf(options, run.cameraSize),
    Math.min(options.workers, ledger.planned - ledger.done),
  );
  interrupt.signal.addEventListener("abort", () => crew.interrupt());
  let checked = 0;
  const starts = await crew.check(left, ({ task }) =>
    progress.note(`checking task ${++checked}/${left.length}  ${task}`),
  );

  ledger.begin();
  try {
    await crew.play(left, starts, {
      policyFor: (job) => policyOf(job, options, policies),
      stepped: (job, steps) => progress.step(labelOf(job), steps / maxSteps, labelOf(job)),
      finished(job, ended, retried) {
        progress.episodeDone(labelOf(job));
        ledger.finished(job, ended, retried);
      },
    });
  } finally {
    // A run that breaks off has found out something that is worth seeing.
    progress.clear();
    ledger.close();
    if (options.out !== undefined) tryReport(options.out);
  }
  process.exitCode = ledger.complete ? Number(ledger.errors > 0) : INTERRUPTED;
});

/** An episode's name for readers. */
function labelOf({ plan, episode }: Job): string {
  return `${plan.task} ${episode.init}${plan.perturb === undefined ? "" : ` (${plan.perturb})`}`;
}

/** What the players of a run need to know of it. */
function settingOf(options: Options, cameraSize: number): Setting {
  const { libero, robosuite, suite, seed, protocol, maxSteps, contacts, logProb, out, frames, video } =
    options;
  return {
    ...{ libero, robosuite, suite, seed, protocol, maxSteps, contacts, cameraSize, logProb },
    ...(frames && { frames: join(out!, "frames") }),
    ...(video && { videos: join(out!, "videos") }),
  };
}

/** A policy for an episode, which sees what the protocol shows. @throws Error where its source has none. */
function policyOf({ plan, episode }: Job, options: Options, policies: PolicySource): Policy {
  const { suite, seed, protocol, contacts } = options;
  const { init, told, instruction } = episode;
  const { task, perturb } = plan;
  const key = {
    suite,
    task,
    told,
    instruction,
    init,
    seed,
    protocol,
    contacts,
    mujoco: MUJOCO_VERSION,
    perturb,
  };
  return adapted(policies.forEpisode(key), protocol);
}

/** A plan must have actions left to execute when the next one takes over, and one more before that is asked for. */
function checkOverlap({ overlap, actionsPerQuery }: Protocol, { name, sampling }: PolicySource): void {
  const handedOut = Math.min(sampling?.actionsPerQuery ?? Infinity, actionsPerQuery ?? Infinity);
  if (2 * overlap >= handedOut)
    throw new UsageError(
      `--overlap: expected less than half of the ${handedOut} actions that ${name} hands out, got ${overlap}`,
    );
}
