/** Shows what files of demonstrations hold: `npx tsx vla/inspect.ts --help`. */
import { type CliSchema, parseCli, runMain } from "../cli/index.ts";
import { writeFileAtomic } from "../core/index.ts";
import { contactSheet } from "./data/contact-sheet.ts";
import type { Episode } from "./data/demonstrations.ts";
import { ExampleSet } from "./data/example-set.ts";
import { actionSpread } from "./data/statistics.ts";

const schema = {
  usage: "npx tsx vla/inspect.ts PATH [options]",
  description:
    "Shows what LIBERO demonstration files hold: instruction, episodes, shapes, how the actions are spread.",
  positionals: { PATH: "a .hdf5 file in LIBERO's layout, or a folder of *_demo.hdf5" },
  options: {
    sheet: { type: "string", help: "writes a PNG with moments of each file's first episodes, both cameras" },
    episodes: { type: "integer", least: 1, default: 3, help: "of each file on the sheet" },
    json: { type: "boolean", help: "print a line of JSON per file" },
  },
} as const satisfies CliSchema;

const ENTRIES = ["x", "y", "z", "roll", "pitch", "yaw", "gripper"];
/** Moments per episode on a contact sheet. */
const MOMENTS = 8;

await runMain(async () => {
  const args = parseCli(schema, process.argv.slice(2));
  using set = await ExampleSet.open({ path: args.positionals.PATH, pairing: "stored", horizon: 1 });
  const episodesOf = (file: string): Episode[] => set.episodes.filter((_, e) => set.fileOf(e) === file);
  if (args.sheet !== undefined) {
    const shown = set.files.flatMap((file) => episodesOf(file).slice(0, args.episodes));
    writeFileAtomic(args.sheet, contactSheet(shown, MOMENTS));
  }
  for (const file of set.files) {
    const found = contents(file, episodesOf(file));
    console.log(args.json ? JSON.stringify(found) : asText(found));
  }
  if (set.files.length > 1 && !args.json)
    console.log(`${set.files.length} files, ${set.episodes.length} episodes, ${set.count} steps`);
});

function contents(file: string, episodes: readonly Episode[]) {
  const [first] = episodes;
  return {
    file,
    task: first.task,
    instruction: first.instruction,
    episodes: episodes.map(({ name, length }) => ({ name, length })),
    steps: episodes.reduce((sum, { length }) => sum + length, 0),
    observation: Object.fromEntries(
      Object.entries(first.observation(0)).map(([key, value]): [string, readonly number[]] => [
        key,
        "shape" in value ? value.shape : [value.length],
      ]),
    ),
    state: first.states(0, 1).length,
    actions: actionSpread(episodes),
  };
}

function asText({ file, task, instruction, ...found }: ReturnType<typeof contents>): string {
  const lengths = found.episodes.map(({ length }) => length);
  const [least, most] = [Math.min(...lengths), Math.max(...lengths)];
  const lines = [
    `${file}: ${task}, "${instruction}"`,
    `${lengths.length} episodes, ${found.steps} steps; shortest ${least}, longest ${most}\n`,
    ...Object.entries(found.observation).map(([key, shape]) => `${key.padEnd(26)}(${shape.join(", ")})`),
    `${"simulator state".padEnd(26)}(${found.state})\n`,
    "action      least     mean   spread     most",
    ...found.actions.map(({ least, mean, deviation, most }, i) => {
      const numbers = [least, mean, deviation, most].map((value) => value.toFixed(4).padStart(9));
      return `${ENTRIES[i].padEnd(8)}${numbers.join("")}`;
    }),
  ];
  return `${lines.join("\n")}\n`;
}
