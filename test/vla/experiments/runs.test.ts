import { describe, expect, test } from "vitest";
import { showCommand } from "../../../cli/index.ts";
import { makeDecoder } from "../../../vla/decoders.ts";
import { readOptions as readEvaluation } from "../../../vla/eval/options.ts";
import { Launcher } from "../../../vla/experiments/launch.ts";
import { ABLATIONS, EXPERIMENTS } from "../../../vla/experiments/list.ts";
import { runsOf } from "../../../vla/experiments/runs.ts";
import { readOptions as readTraining } from "../../../vla/train/options.ts";
import { decoderConfig } from "../../../vla/train/recipes.ts";
import { settingsIn } from "./fake-runs.ts";

const runs = runsOf(settingsIn("runs"));
const [firstSeed] = [runs.filter(({ seed }) => seed === runs[0].seed)];

/** Numbers that training changes, on features of 64. */
function parametersOf(name: string): number {
  const run = firstSeed.find(({ experiment }) => experiment.name === name)!;
  const { decoder, preset, changes } = readTraining(run.stages[0].command.args, {});
  const built = makeDecoder(decoderConfig(decoder, preset, 64, changes));
  const count = built.namedParameters().reduce((sum, [, { size }]) => sum + size, 0);
  built.dispose();
  return count;
}

describe("commands", () => {
  test.each(runs.map((run) => [run.name, run] as const))("of %s are understood", (_, { stages, ...run }) => {
    const [train, ...plays] = stages;
    expect(readTraining(train.command.args, {})).toMatchObject({
      data: "some data",
      encoder: "encoder",
      out: `runs/${run.name}/train`,
      seed: run.seed,
      frozen: true,
      roots: null,
      decoder: run.experiment.decoder,
      optimisation: { steps: 20 },
    });
    for (const { command, file } of plays)
      expect(readEvaluation(command.args, {})).toMatchObject({
        suite: "mini",
        policy: "nina",
        checkpoint: run.checkpoint,
        json: file,
        seed: run.seed,
        episodes: run.experiment.title === null ? 2 : 4,
      });
  });

  test("are shown as one types them", () => {
    expect(showCommand(runs[0].stages[0].command)).toBe(
      "npx tsx vla/train.ts --data 'some data' --encoder encoder --frozen --out runs/nina-mlp-seed-0/train " +
        "--decoder nina-mlp --steps 20 --seed 0 --threads 1 --episodes 0",
    );
    expect(showCommand({ script: "a.ts", args: ["it's", ""] })).toBe("npx tsx a.ts 'it'\\''s' ''");
  });

  test("are launched as processes, whose words and exit code come back", async () => {
    using launcher = new Launcher();
    const { code, stdout, stderr } = await launcher.launch({ script: "vla/cache.ts", args: ["--clean"] });
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toContain("--clean");
  });
});

test("sizes are to each other as docs/results/setup.md says", () => {
  const transformer = parametersOf("nina-transformer");
  const [small, large] = ["flower-small", "flower-large"].map(parametersOf);
  expect(small / transformer).toBeGreaterThan(0.8);
  expect(small / transformer).toBeLessThan(1.25);
  expect(large / small).toBeGreaterThan(5);
  expect(parametersOf("mse")).toBe(transformer);
  expect(parametersOf("nina-mlp")).toBeGreaterThan(transformer);
});

test("every experiment is in a table, and no table has another", () => {
  const inAblations = ABLATIONS.flatMap(({ rows }) => rows.map(([name]) => name));
  const compared = EXPERIMENTS.filter(({ title }) => title !== null).map(({ name }) => name);
  expect([...new Set([...inAblations, ...compared])].toSorted()).toEqual(
    EXPERIMENTS.map(({ name }) => name).toSorted(),
  );
});
