/**
 * The script as its users run it. Arguments alone are tested in eval/options.test.ts, episodes alone in
 * eval/rollout.test.ts.
 */
import { type ChildProcess, type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, test } from "vitest";
import { engineInfo, readSafetensors, writeSafetensors } from "../../core/index.ts";
import type { EpisodeResult, Results } from "../../vla/eval/results.ts";
import { composeScene } from "../../vla/libero/compose/scene.ts";
import { LiberoEnv } from "../../vla/libero/env.ts";
import { readInitStates } from "../../vla/libero/init-states.ts";
import { writeInitStates } from "../../vla/libero/init-states-writer.ts";
import { NINA } from "../../vla/libero/protocols.ts";
import { findTask, loadSuite } from "../../vla/libero/suites.ts";
import { Expert } from "../../vla/suites/mini/expert.ts";
import { picturesOf } from "../../vla/webp/animation.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const SUITES = join(ROOT, "vla", "suites", "mini");
const MINI = { libero: join(SUITES, "LIBERO"), robosuite: join(SUITES, "robosuite") };
const { LIBERO_ROOT, ROBOSUITE_ROOT, NINA_GOLDENS } = process.env;

/** Whole episodes on a busy machine. */
const EPISODES = { timeout: 240_000 };

const folder = mkdtempSync(join(tmpdir(), "nina-eval-"));
afterAll(() => rmSync(folder, { recursive: true }));

interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

const SCRIPT = ["--import", "tsx", "vla/eval.ts"];

function start(
  args: readonly string[],
  env: NodeJS.ProcessEnv = {},
): { child: ChildProcess; ended: Promise<Ended> } {
  return follow(
    spawn(process.execPath, [...SCRIPT, ...args], { cwd: ROOT, env: { ...process.env, ...env } }),
  );
}

/** The script within a line of bash, there called "$@". */
const shell = (line: string, ...args: string[]) =>
  follow(spawn("bash", ["--norc", "-c", line, "bash", process.execPath, ...SCRIPT, ...args], { cwd: ROOT }))
    .ended;

function follow(child: ChildProcessWithoutNullStreams): { child: ChildProcess; ended: Promise<Ended> } {
  let [stdout, stderr] = ["", ""];
  child.stdout.on("data", (part) => (stdout += part));
  child.stderr.on("data", (part) => (stderr += part));
  const ended = new Promise<Ended>((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code) => resolve({ code, stdout, stderr }));
  });
  return { child, ended };
}

const run = (...args: string[]) => start(args).ended;
const readResults = (path: string): Results => JSON.parse(readFileSync(path, "utf8"));
const readLines = (path: string) =>
  readFileSync(path, "utf8")
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));

/** Waits for a line of a running script. */
async function firstEpisode(child: ChildProcess, lines: string): Promise<void> {
  while (!existsSync(lines) && child.exitCode === null)
    await new Promise((resolve) => setTimeout(resolve, 50));
}

/** What must not depend on the machine or on what ran before. */
const lasting = ({ init, policySeed, outcome, steps, trajectoryHash }: EpisodeResult) => ({
  init,
  policySeed,
  outcome,
  steps,
  trajectoryHash,
});

/** Lets the scripted expert of the embedded suite solve a task, without pictures; its actions up to success. */
async function recordExpert(taskName: string, init: number) {
  const task = findTask(loadSuite(MINI.libero, "mini"), taskName);
  using env = await LiberoEnv.open(composeScene({ ...MINI, task }));
  env.start({ seed: 0, state: readInitStates(task.initPath)[init] });
  for (let i = 0; i < NINA.settle.steps; i++) env.advance(NINA.settle.action);
  const expert = new Expert(taskName, env.sim, 0);
  const actions: number[][] = [];
  do actions.push(expert.act());
  while (!env.advance(actions.at(-1)!).success);
  return { suite: "mini", task: taskName, init, seed: 0, actions };
}

describe("vla/eval.ts", () => {
  const task = "BLOCKS_SCENE1_put_the_red_block_on_the_plate";
  const json = join(folder, "results.json");
  const out = join(folder, "out");

  test("evaluates the embedded suite: table, JSON, lines", EPISODES, async () => {
    const { code, stdout, stderr } = await run(
      ...[
        "--policy",
        "zero",
        "--tasks",
        task,
        "--episodes",
        "2",
        "--seed",
        "7",
        "--json",
        json,
        "--out",
        out,
      ],
    );
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout).toMatch(
      new RegExp(
        `^${task} +2 +0 +0 +0\\.0 \\[0\\.0, 65\\.8\\] +300\\.0( +\\d+\\.\\d\\d){3} +\\d+\\.\\d$`,
        "m",
      ),
    );
    expect(stdout).toContain("suite mini, policy zero, protocol nina, seed 7");

    const results = readResults(json);
    expect(results).toMatchObject({
      suite: "mini",
      policy: "zero",
      seed: 7,
      protocol: "nina",
      complete: true,
    });
    expect(results.engine).toEqual({
      node: process.versions.node,
      mujoco: "3.14.0",
      contacts: "mujoco-2.3",
      fma: engineInfo().fma,
    });
    expect(results.tasks).toHaveLength(1);
    expect(results.tasks[0]).toMatchObject({ task, instruction: "put the red block on the plate" });
    const { episodes } = results.tasks[0];
    expect(episodes.map(({ init, outcome, steps }) => ({ init, outcome, steps }))).toEqual([
      { init: 0, outcome: "failure", steps: 300 },
      { init: 1, outcome: "failure", steps: 300 },
    ]);
    for (const episode of episodes) expect(episode.trajectoryHash).toMatch(/^[0-9a-f]{64}$/);
    expect(episodes[0].trajectoryHash).not.toBe(episodes[1].trajectoryHash);

    const lines = readLines(join(out, "episodes.jsonl"));
    expect(lines).toMatchObject(
      episodes.map((episode) => ({ suite: "mini", task, seed: 7, ...lasting(episode) })),
    );
    expect(lines.map((line) => line.actions.length)).toEqual([300, 300]);
    // Nothing of the clock is in them: the same run has the same bytes.
    expect(
      lines.map(({ policyMs, simMs, renderMs, controlHz }) => [policyMs, simMs, renderMs, controlHz]),
    ).toEqual(lines.map(() => [undefined, undefined, undefined, undefined]));
    for (const { trace } of lines) {
      expect(trace.gripper).toHaveLength(300);
      expect(trace.goal).toEqual([{ term: "on red_block_1 white_plate_1", held: [] }]);
    }
    expect(readLines(join(out, "timings.jsonl"))).toHaveLength(2);
    expect(readFileSync(join(out, "report.html"), "utf8")).toContain(
      "<strong>0 of 2</strong> episodes succeeded",
    );
  });

  test("parts of a run, put together, are what one machine wrote", EPISODES, async () => {
    const parts = ["0/2", "1/2"].map((shard) => ({ shard, out: join(folder, shard.replace("/", "-of-")) }));
    const args = ["--policy", "zero", "--tasks", task, "--episodes", "2", "--seed", "7", "--workers", "1"];
    const ended = await Promise.all(
      parts.map(({ shard, out }) => run(...args, "--shard", shard, "--out", out)),
    );
    expect(ended.map(({ code }) => code)).toEqual([0, 0]);
    const whole = join(folder, "merged");
    const script = ["--import", "tsx", "vla/merge.ts"];
    const merge = (...argv: string[]) =>
      follow(spawn(process.execPath, [...script, ...argv], { cwd: ROOT })).ended;
    const [first, second] = parts.map((part) => part.out);
    const { code, stdout } = await merge(whole, second, first);
    expect(code).toBe(0);
    expect(stdout).toMatch(new RegExp(`^${task} +2 +0 +0 `, "m"));
    for (const name of ["manifest.json", "episodes.jsonl"])
      expect(readFileSync(join(whole, name), "utf8")).toBe(readFileSync(join(out, name), "utf8"));

    expect((await merge(whole, first, second)).stderr).toContain("expected a new folder, found one with");
    const half = await merge(join(folder, "half"), first);
    expect(half.stdout).toContain("broke off after 1 of 2 episodes");
    expect(half.code).toBe(1);
    const twice = await merge(join(folder, "twice"), first, first);
    expect(twice.stderr).toContain("expected each episode of the run once, found");
  });

  test("repeats an episode bit for bit, whatever ran before it, from its recording", EPISODES, async () => {
    const again = join(folder, "again.json");
    const { code } = await run(
      ...["--policy", "replay", join(out, "episodes.jsonl"), "--json", again],
      ...["--tasks", task, "--first", "1", "--episodes", "1", "--seed", "7"],
    );
    expect(code).toBe(0);
    expect(readResults(again).tasks[0].episodes.map(lasting)).toEqual([
      lasting(readResults(json).tasks[0].episodes[1]),
    ]);
  });

  test("sees an expert succeed, and writes what the cameras saw", EPISODES, async () => {
    const recording = await recordExpert("DRAWER_SCENE3_push_the_drawer_shut", 3);
    const path = join(folder, "expert.json");
    writeFileSync(path, JSON.stringify(recording));
    const files = { json: join(folder, "success.json"), out: join(folder, "success") };
    const { code, stdout } = await run(
      ...["--policy", "replay", path, "--tasks", recording.task, "--first", "3", "--episodes", "1"],
      ...["--json", files.json, "--out", files.out, "--frames", "--video"],
    );
    expect(code).toBe(0);
    expect(stdout).toContain("100.0 [20.7, 100.0]");
    const [episode] = readResults(files.json).tasks[0].episodes;
    expect(episode).toMatchObject({ init: 3, outcome: "success", steps: recording.actions.length });
    // Before the first action and after each one, from two cameras.
    const pictures = readdirSync(join(files.out, "frames", recording.task, "init_03"));
    expect(pictures).toHaveLength(2 * (1 + recording.actions.length));
    const video = readFileSync(join(files.out, "videos", recording.task, "init_03.webp"));
    expect(picturesOf(video)).toHaveLength(1 + recording.actions.length);
  });

  test("plays a start with the words of another task of its scene", EPISODES, async () => {
    const [own, told] = ["DRAWER_SCENE3_pull_the_drawer_open", "DRAWER_SCENE3_push_the_drawer_shut"];
    const plain = readFileSync(join(ROOT, "test", "fixtures", "mini", `${told}.json`), "utf8");
    const path = join(folder, "swapped.json");
    writeFileSync(path, JSON.stringify({ ...JSON.parse(plain), task: own, swapped: { told } }));
    const files = { json: join(folder, "swapped-results.json"), out: join(folder, "swapped") };
    const args = ["--swap-words", "--tasks", own, "--episodes", "1", "--policy", "replay"];
    const { code, stdout } = await run(...args, path, "--json", files.json, "--out", files.out);
    expect(code).toBe(0);
    expect(stdout).toMatch(
      new RegExp(`^${own} +1 +0 +100\\.0 \\[20\\.7, 100\\.0\\] +0\\.0 \\[0\\.0, 79\\.3\\]`, "m"),
    );
    const swapped = { told, instruction: "push the drawer shut", toldGoal: true, otherGoal: false };
    expect(readResults(files.json)).toMatchObject({
      swapWords: true,
      tasks: [
        { task: own, instruction: "pull the drawer open", episodes: [{ outcome: "success", swapped }] },
      ],
    });
    expect(readLines(join(files.out, "episodes.jsonl"))).toMatchObject([
      { task: own, instruction: "push the drawer shut", swapWords: true, swapped },
    ]);

    // What was recorded with the task's own words is another episode.
    writeFileSync(path, JSON.stringify({ ...JSON.parse(plain), task: own }));
    const { code: refused, stderr } = await run(...args, path);
    expect(stderr).toContain(`with words of ${told}, found words of ${own}`);
    expect(refused).toBe(1);
  });

  test("plays a start as it is and made harder in turn, and says of each how", EPISODES, async () => {
    const task = "DRAWER_SCENE3_push_the_drawer_shut";
    const plain = JSON.parse(readFileSync(join(ROOT, "test", "fixtures", "mini", `${task}.json`), "utf8"));
    const path = join(folder, "harder.json");
    // What is said moves nothing, so that the expert's actions serve; what the arm begins with does.
    const said = { ...plain, perturbed: { levels: "language:5" } };
    const moved = { ...plain, perturbed: { levels: "robot:5" }, actions: plain.actions.slice(0, 5) };
    writeFileSync(path, JSON.stringify([plain, said, moved]));
    const files = { json: join(folder, "harder-results.json"), out: join(folder, "harder") };
    const args = ["--tasks", task, "--episodes", "1", "--policy", "replay", path];
    const grid = ["--robustness", "robot:5,language:5"];
    const { code, stdout } = await run(...args, ...grid, "--json", files.json, "--out", files.out);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^as they are +100\.0 \[20\.7, 100\.0\] *$/m);
    expect(stdout).toMatch(/^robot +- +- +- +- +0\.0 \[0\.0, 79\.3\]$/m);
    expect(stdout).toMatch(/^language +- +- +- +- +100\.0 \[20\.7, 100\.0\]$/m);

    const { robustness, tasks } = readResults(files.json);
    expect(robustness).toBe("robot:5,language:5");
    expect(tasks.map(({ perturb }) => perturb)).toEqual([undefined, "robot:5", "language:5"]);
    const [asIs, arm, words] = tasks.map(({ episodes: [episode] }) => episode);
    expect(asIs.perturbed).toBeUndefined();
    expect(arm.perturbed).toMatchObject({ levels: "robot:5", givenUp: expect.any(Number) });
    expect(Math.hypot(...arm.perturbed!.robot!)).toBeCloseTo(0.5, 9);
    expect(words.perturbed!.language!.kind).toBe("nonsense");
    expect(words.trajectoryHash).toBe(asIs.trajectoryHash);
    const lines = readLines(join(files.out, "episodes.jsonl"));
    expect(lines.map(({ instruction }) => instruction)).toEqual([
      "push the drawer shut",
      "push the drawer shut",
      words.perturbed!.language!.instruction,
    ]);

    // The same again, alone: bit for bit, with the recording that the first run made.
    const again = [
      "--tasks",
      task,
      "--episodes",
      "1",
      "--policy",
      "replay",
      join(files.out, "episodes.jsonl"),
    ];
    const json = join(folder, "harder-again.json");
    await run(...again, "--perturb", "robot:5", "--json", json);
    const repeated = readResults(json);
    expect(repeated.perturb).toBe("robot:5");
    expect(lasting(repeated.tasks[0].episodes[0])).toEqual(lasting(arm));
    expect(repeated.tasks[0].episodes[0].perturbed).toEqual(arm.perturbed);
  });

  test("swaps no words where a scene has one task", async () => {
    const clone = join(folder, "alone");
    cpSync(MINI.libero, clone, { recursive: true });
    const library = join(clone, "libero", "libero");
    for (const file of ["bddl_files/mini/NAME.bddl", "init_files/mini/NAME.pruned_init"])
      rmSync(join(library, file.replace("NAME", "DRAWER_SCENE3_pull_the_drawer_open")));
    const { code, stdout, stderr } = await run(
      ...["--libero", clone, "--robosuite", MINI.robosuite, "--policy", "zero", "--swap-words"],
      ...["--episodes", "1"],
    );
    expect(stderr).toContain(
      "--swap-words: DRAWER_SCENE3_push_the_drawer_shut shares its scene with no task of mini",
    );
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
  });

  test("keeps the finished episodes when interrupted", EPISODES, async () => {
    const kept = { json: join(folder, "kept.json"), out: join(folder, "kept") };
    const { child, ended } = start([
      "--policy",
      "zero",
      "--tasks",
      task,
      "--episodes",
      "9",
      "--json",
      kept.json,
      "--out",
      kept.out,
    ]);
    const lines = join(kept.out, "episodes.jsonl");
    await firstEpisode(child, lines);
    child.kill("SIGINT");

    const { code, stdout, stderr } = await ended;
    expect(stderr).toContain("Interrupted: keeping the finished episodes");
    expect(code).toBe(130);
    const results = readResults(kept.json);
    expect(results.complete).toBe(false);
    expect(results.tasks[0].episodes.length).toBeGreaterThan(0);
    expect(results.tasks[0].episodes.length).toBeLessThan(9);
    expect(readLines(lines)).toHaveLength(results.tasks[0].episodes.length);
    expect(stdout).toContain(`broke off after ${results.tasks[0].episodes.length} of 9 episodes`);
  });

  test(
    "lets no second run write its files, and goes on in its folder after it was killed",
    EPISODES,
    async () => {
      const files = { json: join(folder, "killed.json"), out: join(folder, "killed") };
      const args = ["--policy", "zero", "--tasks", task, "--episodes", "9"];
      const [json, out] = [
        ["--json", files.json],
        ["--out", files.out],
      ];
      const lines = join(files.out, "episodes.jsonl");
      const { child, ended } = start([...args, ...json, ...out]);
      await firstEpisode(child, lines);
      for (const file of [json, out]) {
        const { code, stdout, stderr } = await run(...args, ...file);
        expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
        expect(stderr).toMatch(new RegExp(`another run writes it \\(process ${child.pid} on `));
      }
      child.kill("SIGKILL");
      await ended;

      const { tasks, complete } = readResults(files.json);
      expect(complete).toBe(false);
      expect(tasks[0].episodes.length).toBeGreaterThan(0);
      // A line is written before the results are.
      expect(readLines(lines).length - tasks[0].episodes.length).toBeOneOf([0, 1]);
      const before = [files.json, lines].map((path) => readFileSync(path, "utf8"));
      const refused = await run(...args, ...json);
      expect(refused.stderr).toContain("expected nothing of an earlier run, found some");
      const other = await run(...args, ...out, "--seed", "1");
      expect(other.stderr).toContain("found that of another: run.seed: 0, and 1");
      expect([refused.code, other.code]).toEqual([1, 1]);
      expect([files.json, lines].map((path) => readFileSync(path, "utf8"))).toEqual(before);

      // The same command plays what is left, and nothing twice.
      const again = await run(...args, ...json, ...out);
      expect(again).toMatchObject({ code: 0, stderr: "" });
      const all = readLines(lines);
      expect(all.map(({ init }) => init)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8]);
      const [first, ...others] = before[1].trimEnd().split("\n");
      for (const line of [first, ...others]) expect(readFileSync(lines, "utf8")).toContain(`${line}\n`);
      expect(readResults(files.json)).toMatchObject({ complete: true });
    },
  );

  test("stops when an episode cannot be kept, which the other file has", EPISODES, async () => {
    const files = { json: join(folder, "full.json"), out: join(folder, "full") };
    const lines = join(files.out, "episodes.jsonl");
    // Files of at most 4 KiB, as on a disk that fills up: the actions of an episode take more, its results less.
    const { code, stdout, stderr } = await shell(
      'ulimit -f 4; "$@"',
      ...["--policy", "zero", "--tasks", task, "--json", files.json, "--out", files.out],
    );
    expect(stderr).toContain(`Error: ${lines}: cannot be written: EFBIG`);
    expect(code).toBe(1);
    expect(stdout).toContain("The run broke off after 1 of 2 episodes.");
    expect(readFileSync(lines, "utf8")).toBe("");
    expect(readResults(files.json).tasks[0].episodes).toHaveLength(1);
  });

  test("gives stdout to the results when they go there, and the table to stderr", EPISODES, async () => {
    const args = ["--policy", "zero", "--tasks", task, "--episodes", "1", "--json", "/dev/stdout"];
    const { code, stdout, stderr } = await run(...args);
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ complete: true, tasks: [{ task, episodes: [{ init: 0 }] }] });
    expect(stderr).toContain("all tasks");
    const file = join(folder, "redirected.json");
    expect(await shell(`"$@" > ${file}`, ...args)).toMatchObject({ code: 0, stdout: "" });
    expect(readResults(file)).toMatchObject({ complete: true, tasks: [{ task }] });
  });

  test("keeps the results when nobody reads the table", EPISODES, async () => {
    const json = join(folder, "unread.json");
    const args = ["--policy", "zero", "--tasks", task, "--episodes", "1", "--json", json];
    const { code, stderr } = await shell('set -o pipefail; "$@" | true', ...args);
    expect({ code, stderr }).toEqual({ code: 141, stderr: "" });
    expect(readResults(json)).toMatchObject({ complete: true });
  });

  test("marks episodes of a policy that plans NaN as errors, and exits with 1", EPISODES, async () => {
    const checkpoint = join(folder, "checkpoint");
    cpSync(join(SUITES, "checkpoint"), checkpoint, { recursive: true });
    const weights = join(checkpoint, "model.safetensors");
    const tensors = readSafetensors(weights);
    (tensors.get("cond_proj.bias")!.data as Float32Array).fill(Number.NaN);
    writeSafetensors(weights, tensors);
    // As it may be trained on small pictures, and asked again sooner than it plans.
    const path = join(checkpoint, "config.json");
    const config = JSON.parse(readFileSync(path, "utf8"));
    config.perception.cameraSize = 64;
    writeFileSync(path, JSON.stringify(config));

    const broken = join(folder, "broken.json");
    const { code, stdout } = await run(
      ...["--checkpoint", checkpoint, "--tasks", task, "--episodes", "1", "--json", broken],
      ...["--temperature", "0.5"],
    );
    expect(code).toBe(1);
    expect(stdout).toContain("1 of 1 episodes ended in an error and are in no rate: nothing was");
    expect(readResults(broken)).toMatchObject({
      cameraSize: 64,
      sampling: { temperature: 0.5, actionsPerQuery: config.sampling.actionsPerQuery },
    });
    expect(stdout).toContain("pictures of 64 x 64, sampling temperature 0.5, ");
    expect(readResults(broken).tasks[0].episodes).toMatchObject([
      { outcome: "error", steps: 0, error: expect.stringMatching(/finite|NaN/) },
    ]);
  });

  test("names a missing asset and the root it was looked for in", async () => {
    const clone = join(folder, "LIBERO");
    cpSync(MINI.libero, clone, { recursive: true });
    const assets = join(clone, "libero", "libero", "assets");
    const textures = readdirSync(join(assets, "textures"));
    for (const name of textures) rmSync(join(assets, "textures", name));
    const { code, stderr } = await run("--libero", clone, "--robosuite", MINI.robosuite, "--policy", "zero");
    expect(code).toBe(1);
    expect(textures.some((name) => stderr.includes(name))).toBe(true);
    expect(stderr).toContain(assets);
  });

  test("finds what the last task lacks before the first one starts", async () => {
    const clone = join(folder, "incomplete");
    cpSync(MINI.libero, clone, { recursive: true });
    const assets = join(clone, "libero", "libero", "assets");
    rmSync(join(assets, "mini_objects", "red_block", "red_block.xml"));
    const { code, stdout, stderr } = await run(
      ...["--libero", clone, "--robosuite", MINI.robosuite, "--policy", "zero"],
    );
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
    expect(stderr).toContain("red_block.xml");
    expect(stderr).toContain(assets);
  });

  test("blames no policy for a setting that cannot be", async () => {
    const { code, stdout, stderr } = await start(["--tasks", task], { NINA_TILE: "3x3x3" }).ended;
    expect(stderr).toMatch(/^Error: NINA_TILE: expected one of .*, got 3x3x3\n$/);
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
  });

  const edited = (file: string, from: string | RegExp, to: string) => (library: string) => {
    const path = join(library, file);
    const text = readFileSync(path, "utf8");
    expect(text.replace(from, to)).not.toBe(text);
    writeFileSync(path, text.replace(from, to));
  };
  test.each<[string, (library: string) => void, RegExp]>([
    [
      "states of another width",
      (library) => {
        const path = join(library, "init_files", "mini", "DRAWER_SCENE3_push_the_drawer_shut.pruned_init");
        writeInitStates(
          path,
          readInitStates(path).map((state) => state.subarray(1)),
        );
      },
      /DRAWER_SCENE3_push_the_drawer_shut\.pruned_init.*expected \d+ numbers \(time, qpos, qvel\), found \d+/,
    ],
    [
      "a goal with a name too few",
      edited("bddl_files/mini/DRAWER_SCENE3_push_the_drawer_shut.bddl", /\(Close \w+\)/, "(Close)"),
      /close/i,
    ],
    [
      "a fixture that stands nowhere",
      edited("bddl_files/mini/DRAWER_SCENE3_push_the_drawer_shut.bddl", /\(On small_cabinet_1 \w+\)/, ""),
      /small_cabinet_1/,
    ],
  ])("finds %s of the last task before the first one starts", async (name, edit, message) => {
    const clone = join(folder, name);
    cpSync(MINI.libero, clone, { recursive: true });
    edit(join(clone, "libero", "libero"));
    const out = join(folder, `${name} out`);
    const { code, stdout, stderr } = await run(
      ...["--libero", clone, "--robosuite", MINI.robosuite, "--policy", "zero", "--episodes", "1"],
      ...["--tasks", "0,8", "--out", out],
    );
    expect(stderr).toMatch(message);
    expect(stderr.trimEnd()).not.toContain("\n");
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
    expect(existsSync(out) ? readdirSync(out) : []).toEqual([]);
  });

  test.each([
    ["an unknown flag", ["--speed", "9"], 2, "--speed"],
    [
      "an unknown suite",
      ["--suite", "maniskill", "--libero", MINI.libero, "--robosuite", MINI.robosuite],
      2,
      "unknown suite maniskill",
    ],
    [
      "a suite without its clone",
      ["--suite", "libero_10", "--libero", ROOT, "--robosuite", ROOT],
      1,
      join(ROOT, "libero", "libero", "bddl_files"),
    ],
    ["an unknown task", ["--tasks", "11"], 2, "mini has no task 11"],
    [
      "a task named twice",
      ["--tasks", "8,DRAWER_SCENE3_push_the_drawer_shut"],
      2,
      "got 8 DRAWER_SCENE3_push_the_drawer_shut twice",
    ],
    ["an initial state that is not stored", ["--first", "49"], 2, "expected initial states 0 to 49 of "],
    ["an unknown task name", ["--tasks", "fly"], 2, "mini has no task fly"],
    ["a recording that is not there", ["--policy", "replay", "absent.json"], 1, "absent.json"],
    [
      "a protocol without limits for the suite",
      ["--protocol", "openpi", "--suite", "mine", "--libero", MINI.libero, "--robosuite", MINI.robosuite],
      2,
      "maxSteps",
    ],
    ["a replay of nothing", ["--policy", "replay"], 2, "expected the file of recorded actions"],
    [
      "results where none can be written",
      ["--policy", "zero", "--json", join(folder, "absent", "r.json")],
      1,
      "absent",
    ],
    ["a folder that is a file", ["--policy", "zero", "--out", join(ROOT, "package.json")], 1, "package.json"],
  ])("refuses %s", async (_, args, expected, message) => {
    const { code, stdout, stderr } = await run(...args);
    expect(stderr).toContain(message);
    expect({ code, stdout }).toEqual({ code: expected, stdout: "" });
  });

  test("refuses what the policy cannot do before the first step", async () => {
    const { code, stderr } = await run("--policy", "zero", "--log-prob");
    expect(code).toBe(2);
    expect(stderr).toContain("--log-prob: expected a policy with a density, got zero");
    const more = await run("--actions-per-query", "11");
    expect(more.code).toBe(1);
    expect(more.stderr).toContain("expected at most 10 actions per query, as many as it plans, got 11");
  });

  test("refuses a recording of another episode", async () => {
    const path = join(folder, "other.json");
    const other = { suite: "mini", task: "fly", init: 0, seed: 0, actions: [[0, 0, 0, 0, 0, 0, 0]] };
    writeFileSync(path, JSON.stringify(other));
    const { code, stderr } = await run("--policy", "replay", path, "--tasks", task, "--episodes", "1");
    expect(stderr).toContain(
      `expected a recording of mini/${task} initial state 0, found mini/fly initial state 0`,
    );
    expect(code).toBe(1);
  });
});

describe.skipIf(!LIBERO_ROOT || !ROBOSUITE_ROOT || !NINA_GOLDENS)(
  "vla/eval.ts on LIBERO (needs LIBERO_ROOT, ROBOSUITE_ROOT, NINA_GOLDENS)",
  () => {
    test("an expert's recording succeeds, where it succeeded before", EPISODES, async () => {
      const path = join(NINA_GOLDENS!, "libero", "expert", "libero_spatial__00_init00.json");
      const expert = JSON.parse(readFileSync(path, "utf8"));
      const json = join(folder, "expert-results.json");
      const { code } = await run(
        ...["--suite", "libero_spatial", "--tasks", "0", "--episodes", "1", "--policy", "replay", path],
        // The recording comes from plain MuJoCo 3.14.
        ...["--contacts", "native", "--json", json],
      );
      expect(code).toBe(0);
      const [episode] = readResults(json).tasks[0].episodes;
      expect(episode.outcome).toBe("success");
      // Contact amplifies the last digit: success comes at the same step or a little off it.
      expect(Math.abs(episode.steps - 1 - expert.first_success_step)).toBeLessThanOrEqual(20);
    });
  },
);
