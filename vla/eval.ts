/** Evaluates a policy on LIBERO tasks, in this process: `npx tsx vla/eval.ts --help`. */
import { runMain } from "../cli/index.ts";
import { Crew } from "./eval/crew.ts";
import { INTERRUPTED, Interrupt } from "./eval/interrupt.ts";
import { Ledger } from "./eval/ledger.ts";
import { readOptions } from "./eval/options.ts";
import { labelOf, policyOf, prepareRun, settingOf } from "./eval/prepare.ts";
import { Progress } from "./eval/progress.ts";
import { endPolicies } from "./policies/index.ts";
import { tryReport } from "./report/write-report.ts";
import { Live } from "./watch/live.ts";
import { WatchServer } from "./watch/server.ts";

await runMain(async () => {
  const options = readOptions(process.argv.slice(2), process.env);
  const { policies, setups, manifest } = await prepareRun(options);
  await using _ = { [Symbol.asyncDispose]: () => endPolicies(policies) };
  using ledger = Ledger.open(options, manifest, setups);
  const left = ledger.leftOf(setups);
  const progress = new Progress(ledger.planned, process.stderr, ledger.done);
  const live = new Live(`${manifest.run.policy} on ${manifest.run.suite}`, options.maxSteps, ledger);
  await using watch = options.watch === undefined ? null : await WatchServer.open(live, options.watch);
  if (watch) process.stderr.write(`watch ${watch.url}\n`);
  using interrupt = new Interrupt();
  using crew = new Crew(
    settingOf(options, manifest.run.cameraSize),
    Math.min(options.workers, ledger.planned - ledger.done),
  );
  interrupt.signal.addEventListener("abort", () => crew.interrupt());
  let checked = 0;
  const starts = await crew.check(left, ({ task }) => {
    const note = `checking task ${++checked}/${left.length}  ${task}`;
    progress.note(note);
    live.note(note);
  });
  live.note("");

  ledger.begin();
  try {
    await crew.play(left, starts, {
      policyFor: (job) => live.follow(labelOf(job), policyOf(job, options, policies)),
      stepped(job, steps) {
        progress.step(labelOf(job), steps / options.maxSteps, labelOf(job));
        live.stepped(labelOf(job), steps);
      },
      finished(job, ended, retried) {
        progress.episodeDone(labelOf(job));
        live.finished(labelOf(job));
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
