import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { readOptions } from "../../../vla/train/options.ts";

const commandsOf = (...flags: string[]): string[] =>
  execFileSync(
    process.execPath,
    ["--import", "tsx", "vla/suites/mini/recipe.ts", "--out", "out", "--dry-run", ...flags],
    { encoding: "utf8" },
  )
    .trim()
    .split("\n");

test("docs/training.md shows the commands of both recipes", () => {
  const blocks = [...readFileSync("docs/training.md", "utf8").matchAll(/```sh\n(.*?)\n```/gs)];
  expect(blocks.map(([, commands]) => commands.split("\n"))).toEqual([commandsOf(), commandsOf("--short")]);
});

test("training takes the flags that the recipes give it", () => {
  const prefix = "npx tsx vla/train.ts ";
  const runs = [commandsOf(), commandsOf("--short")].map((commands) =>
    commands
      .filter((command) => command.startsWith(prefix))
      .map((command) => readOptions(command.slice(prefix.length).split(" "), {})),
  );
  expect(runs.map((list) => list.map(({ optimisation }) => optimisation.steps))).toEqual([
    [6000, 12_000, 12_000],
    [3000],
  ]);
});
