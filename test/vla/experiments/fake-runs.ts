/** Folders of experiments without training: what the commands would leave behind. */
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import type { Command } from "../../../cli/index.ts";
import type { Launch, Left, Overseer } from "../../../vla/experiments/runner.ts";
import type { Settings } from "../../../vla/experiments/runs.ts";

export const settingsIn = (out: string): Settings => ({
  out,
  data: "some data",
  encoder: "encoder",
  steps: 20,
  episodes: 4,
  ablationEpisodes: 2,
  threads: 1,
});

export const DONE: Left = { code: 0, stdout: "", stderr: "" };

/** The word after a flag. */
export const flag = ({ args }: Command, name: string): string => args[args.indexOf(name) + 1];

/** Results of two tasks; of the first `failures` episodes fail. */
export const resultsOf = (episodes: number, failures: number, temperature: number): object => ({
  suite: "mini",
  policy: "nina last",
  untrained: false,
  seed: 0,
  protocol: "nina",
  swapWords: false,
  cameraSize: 64,
  sampling: { temperature, actionsPerQuery: 10 },
  complete: true,
  engine: { node: "20.0.0", mujoco: "3.14.0", contacts: "mujoco-2.3", fma: true },
  tasks: ["push", "pull"].map((task, t) => ({
    task,
    instruction: task,
    episodes: Array.from({ length: episodes }, (_, init) => ({
      init,
      outcome: t === 0 && init < failures ? "failure" : "success",
    })),
  })),
});

/** Does at once what the commands do in hours: every seed fails as many episodes of the first task as its number. */
export function leaveResults(command: Command): Left {
  if (command.script === "benchmarks/checkpoints.ts") {
    const lines = command.args
      .slice(0, -1)
      .map((who, i) => ({ who, parameters: 1e6 * (i + 1), min_ms: i + 0.5 }));
    return { ...DONE, stdout: lines.map((line) => `${JSON.stringify(line)}\n`).join("") };
  }
  if (command.script === "vla/train.ts") {
    const out = flag(command, "--out");
    write(`${out}/last/model.safetensors`, "weights");
    const lines = [10, 20].map((step) => ({
      kind: "train",
      step,
      samples: 256 * step,
      samplesPerSecond: 500 - step + Number(flag(command, "--seed")),
    }));
    write(`${out}/config.json`, JSON.stringify({ data: { examples: 9 }, encoder: { weights: "f00d" } }));
    write(`${out}/metrics.jsonl`, lines.map((line) => `${JSON.stringify(line)}\n`).join(""));
    return DONE;
  }
  const temperature = command.args.includes("--temperature") ? 1 : 0.5;
  const failures = temperature === 1 ? Number(flag(command, "--seed")) : 0;
  write(
    flag(command, "--json"),
    JSON.stringify(resultsOf(Number(flag(command, "--episodes")), failures, temperature)),
  );
  return DONE;
}

export function write(path: string, text: string): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
}

/** Keeps what was launched and said. */
export function witness(answer: (command: Command) => Left = leaveResults): {
  readonly launched: Command[];
  readonly said: string[];
  readonly launch: Launch;
  readonly overseer: Overseer;
} {
  const [launched, said]: [Command[], string[]] = [[], []];
  return {
    launched,
    said,
    async launch(command) {
      launched.push(command);
      return answer(command);
    },
    overseer: { interrupted: () => false, begins() {}, ended: (line) => said.push(line) },
  };
}
