import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fc, test } from "@fast-check/vitest";
import { afterAll, describe, expect } from "vitest";
import { Lock } from "../../../vla/eval/lock.ts";
import { openFolder, recordFile } from "../../../vla/experiments/record.ts";
import { type Failures, runAll, timeDecoders } from "../../../vla/experiments/runner.ts";
import { type Run, runsOf } from "../../../vla/experiments/runs.ts";
import { DONE, leaveResults, settingsIn, witness, write } from "./fake-runs.ts";

const root = mkdtempSync(join(tmpdir(), "nina-ts-experiments-"));
afterAll(() => rmSync(root, { recursive: true }));
let folders = 0;
const newFolder = (): string => join(root, `${folders++}`);

/** The first runs of a new folder: two stages each, or three. */
const someRuns = (count = 2): readonly Run[] => runsOf(settingsIn(newFolder())).slice(0, count);

describe("runs", () => {
  test("are done stage by stage, and then left alone", async () => {
    const runs = someRuns();
    const first = witness();
    expect(await runAll(runs, first.launch, first.overseer)).toEqual({ failed: 0 });
    expect(first.launched).toEqual(runs.flatMap(({ stages }) => stages.map(({ command }) => command)));
    expect(first.said).toHaveLength(first.launched.length);

    const second = witness();
    expect(await runAll(runs, second.launch, second.overseer)).toEqual({ failed: 0 });
    expect(second).toMatchObject({ launched: [], said: [] });
  });

  // Whatever happens to each command, starting the runner again and again does every stage once, and no more.
  test.prop([fc.array(fc.constantFrom("done", "fails", "killed", "interrupted"), { maxLength: 8 })], {
    numRuns: 20,
  })("come to the same end however they are cut off", async (fates) => {
    const runs = someRuns();
    const finished: string[] = [];
    const left = [...fates];
    for (let starts = 0; ; starts++) {
      expect(starts).toBeLessThanOrEqual(fates.length);
      const { launch, overseer } = witness((command) => {
        const fate = left.shift() ?? "done";
        if (fate === "done") finished.push(command.args.join(" "));
        if (fate !== "fails") leaveResults(command); // whole, as it happens, but nobody said that it ended
        return {
          ...DONE,
          code: { done: 0, fails: 1, killed: null, interrupted: 130 }[fate] as number | null,
        };
      });
      const outcome: Failures = await runAll(runs, launch, overseer);
      if (outcome?.failed === 0) break;
    }
    const expected = runs.flatMap(({ stages }) => stages.map(({ command }) => command.args.join(" ")));
    expect(finished.toSorted()).toEqual(expected.toSorted());
  });

  test("that fail are recorded with what was said, the others go on, and they are tried again", async () => {
    const [bad, good] = someRuns();
    const first = witness((command) =>
      command === bad.stages[0].command
        ? { code: 1, stdout: "", stderr: "Error: step 7: not finite\n" }
        : leaveResults(command),
    );
    expect(await runAll([bad, good], first.launch, first.overseer)).toEqual({ failed: 1 });
    expect(first.said[0]).toBe(`${bad.name}: failed: train: exit code 1: Error: step 7: not finite`);
    expect(first.launched).toHaveLength(1 + good.stages.length);
    expect(JSON.parse(readFileSync(recordFile(bad), "utf8")).train.error).toContain("not finite");

    const second = witness();
    expect(await runAll([bad, good], second.launch, second.overseer)).toEqual({ failed: 0 });
    expect(second.launched).toHaveLength(bad.stages.length);
  });

  test("that were killed while they played begin to play anew, for vla/eval.ts adds to no file", async () => {
    const [run] = someRuns();
    const { file } = run.stages[1];
    write(file, "half of something");
    const { launch, overseer } = witness((command) => {
      if (command === run.stages[1].command) expect(existsSync(file)).toBe(false);
      return leaveResults(command);
    });
    expect(await runAll([run], launch, overseer)).toEqual({ failed: 0 });
  });

  test("are done again where what they made is gone", async () => {
    const [run] = someRuns();
    const first = witness();
    await runAll([run], first.launch, first.overseer);
    rmSync(run.stages[1].file);
    const second = witness();
    await runAll([run], second.launch, second.overseer);
    expect(second.launched).toEqual([run.stages[1].command]);
  });

  test("of another process, and those that another command has done, are not touched", async () => {
    const [taken, changed] = someRuns();
    const first = witness();
    await runAll([changed], first.launch, first.overseer);
    const [train, ...rest] = changed.stages;
    const command = { ...train.command, args: [...train.command.args, "--clip", "1"] };
    const other: Run = { ...changed, stages: [{ ...train, command }, ...rest] };
    write(join(taken.folder, "x"), "");
    using _lock = Lock.take(recordFile(taken));
    const second = witness();
    // A lock of this very process is held as well as another's.
    expect(await runAll([taken, other], second.launch, second.overseer)).toEqual({ failed: 2 });
    expect(second.launched).toEqual([]);
    expect(second.said[0]).toContain("another run writes it");
    expect(second.said[1]).toContain("found it done by npx tsx vla/train.ts");
  });

  test("stop where the runner is interrupted", async () => {
    const { launch, overseer, launched } = witness();
    const interrupted = (): boolean => launched.length === 1;
    expect(await runAll(someRuns(), launch, { ...overseer, interrupted })).toBeNull();
    expect(launched).toHaveLength(1);
  });
});

describe("times of decoding", () => {
  test("are of all first checkpoints that there are, and measured again when there are more", async () => {
    const out = newFolder();
    const runs = runsOf(settingsIn(out));
    const { launch, overseer, launched } = witness();
    const time = () => timeDecoders(out, runs, launch, overseer);
    expect(await time()).toEqual({ failed: 0 });
    expect(launched).toEqual([]);
    for (const count of [1, 2]) {
      await runAll(runs.slice(0, count), leaving, overseer);
      await time();
      await time();
      expect(launched).toHaveLength(count);
      expect(launched.at(-1)?.args).toEqual([
        ...runs.slice(0, count).map(({ checkpoint }) => checkpoint),
        "--json",
      ]);
    }
  });

  const leaving = async (command: Parameters<typeof leaveResults>[0]) => leaveResults(command);
});

test("a folder keeps its settings", () => {
  const out = newFolder();
  openFolder(settingsIn(out));
  openFolder(settingsIn(out));
  expect(() => openFolder({ ...settingsIn(out), steps: 30 })).toThrow(
    `${out}: expected experiments with steps 30, found some with 20`,
  );
  write(join(out, "experiments.json"), '{"out": 1');
  expect(() => openFolder(settingsIn(out))).toThrow("experiments.json: expected JSON, found");
});

/** Runs vla/experiments.ts for one experiment. */
function command(...flags: string[]) {
  const argv = ["--import", "tsx", "vla/experiments.ts", "--only", "mse", ...flags];
  return spawnSync(process.execPath, argv, { encoding: "utf8" });
}

test("a dry run prints what would be run, and touches nothing", () => {
  const out = newFolder();
  const { status, stdout, stderr } = command("--data", root, "--encoder", root, "--out", out, "--dry-run");
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  expect(stdout.match(/^npx tsx vla\/(train|eval)\.ts .*$/gm)).toHaveLength(6);
  expect(existsSync(out)).toBe(false);
});

test("the command tells of each run that failed, records it, and ends with 1", () => {
  const [folder, empty] = [newFolder(), newFolder()];
  mkdirSync(empty);
  const { status, stdout, stderr } = command("--data", empty, "--encoder", empty, "--out", folder);
  expect({ status, stderr }).toEqual({ status: 1, stderr: "" });
  const lines = stdout.trimEnd().split("\n");
  expect(lines).toHaveLength(3);
  for (const [seed, line] of lines.entries())
    expect(line).toContain(
      `mse-seed-${seed}: failed: train: exit code 1: FormatError: ${empty}: expected config.json`,
    );
  expect(existsSync(join(folder, "mse-seed-2", "run.json"))).toBe(true);
});
