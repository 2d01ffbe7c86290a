/** Trains a policy for the embedded suite from nothing: `npx tsx vla/suites/mini/recipe.ts --help`. */
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import {
  type CliSchema,
  type Command,
  nodeArguments,
  ownModule,
  parseCli,
  runMain,
  showCommand,
  UsageError,
} from "../../../cli/index.ts";

const schema = {
  usage: "npx tsx vla/suites/mini/recipe.ts --out DIR [--short] [--dry-run]",
  description:
    "Trains a policy for the embedded suite from nothing, by the stages that the embedded one was trained by, one after\n" +
    "another. docs/training.md tells what each stage brings. The same command goes on where it was stopped or killed.",
  options: {
    out: { type: "string", help: "folder of all stages; the policy is out/policy/best" },
    short: {
      type: "boolean",
      help: "fewer and smaller stages: a quarter of an hour instead of five hours, by estimate",
    },
    "dry-run": { type: "boolean", help: "prints the commands, and runs none" },
  },
} as const satisfies CliSchema;

await runMain(() => {
  const { out, short, "dry-run": dry } = parseCli(schema, process.argv.slice(2));
  if (out === undefined) throw new UsageError("expected --out, the folder of all stages");
  for (const command of short ? shortRecipe(out) : fullRecipe(out)) {
    console.log(showCommand(command));
    if (dry) continue;
    const module = ownModule(`../../../${command.script}`, import.meta.url);
    const { status } = spawnSync(process.execPath, [...nodeArguments(module), ...command.args], {
      stdio: "inherit",
    });
    if (status === 0) continue;
    process.exitCode = status ?? 1;
    return;
  }
});

/** Enough to see that it learns. */
function shortRecipe(out: string): Command[] {
  const [data, scenes, encoder] = ["demonstrations", "scenes", "encoder"].map((name) => join(out, name));
  return [
    record(data, "--episodes", "20"),
    record(scenes, "--random", "--episodes", "10"),
    pretrain({ data, scenes, out: encoder, steps: 1500 }),
    train({ data, encoder, out: join(out, "policy"), steps: 3000 }, 2),
  ];
}

/** What the embedded policy is made by: two rounds of DAgger, the first with a policy of its own. */
function fullRecipe(out: string): Command[] {
  // Folders of demonstrations hold those of earlier stages, so that every stage has one folder that stays as it is.
  const all = join(out, "demonstrations");
  const second = join(all, "before-round-2");
  const first = join(second, "before-round-1");
  const [scenes, encoder, policy] = ["scenes", "encoder", "policy"].map((name) => join(out, name));
  const recoveries = (round: number, data: string, share: number): Command =>
    record(
      join(data, `round-${round}`),
      "--checkpoint",
      join(`${policy}-${round}`, "best"),
      "--episodes",
      `${share}`,
      "--first",
      `${4000 + 1000 * round}`,
    );
  return [
    record(first, "--episodes", "100"),
    record(scenes, "--random", "--episodes", "75"),
    pretrain({ data: first, scenes, out: `${encoder}-1`, steps: 7000 }),
    train({ data: first, encoder: `${encoder}-1`, out: `${policy}-1`, steps: 6000 }),
    recoveries(1, second, 30),
    pretrain({ data: second, scenes, out: encoder, steps: 14_000 }),
    train({ data: second, encoder, out: `${policy}-2`, steps: 12_000 }),
    recoveries(2, all, 50),
    train({ data: all, encoder, out: policy, steps: 12_000 }),
  ];
}

/** Pictures are drawn at the side that the encoder looks at. */
function record(out: string, ...more: string[]): Command {
  return { script: "vla/collect.ts", args: ["--out", out, "--size", "64", ...more] };
}

interface Run {
  readonly data: string;
  readonly out: string;
  readonly steps: number;
}

function pretrain({ data, scenes, out, steps }: Run & { readonly scenes: string }): Command {
  const args = ["--data", data, "--scenes", scenes, "--out", out, "--steps", `${steps}`];
  return { script: "vla/pretrain.ts", args };
}

/** A flow on the features of an encoder that stays as it is; the best weights are those of the lowest held-out loss. */
function train({ data, encoder, out, steps }: Run & { readonly encoder: string }, episodes = 0): Command {
  const args = ["--data", data, "--encoder", encoder, "--out", out, "--steps", `${steps}`];
  const how = ["--frozen", "--hold-out", "--token-dropout", "0", "--episodes", `${episodes}`];
  return { script: "vla/train.ts", args: [...args, ...how] };
}
