/** Shows what a file of demonstrations holds: `npx tsx vla/inspect.ts --help`. */
import { type CliSchema, parseCli, runMain, writeFileAtomic } from "../core/index.ts";
import { contactSheet } from "./data/contact-sheet.ts";
import { LiberoDemonstrations } from "./data/libero-hdf5.ts";
import { actionSpread } from "./data/statistics.ts";

const schema = {
  usage: "npx tsx vla/inspect.ts FILE [options]",
  description:
    "Shows what a LIBERO demonstration file holds: instruction, episodes, shapes, how the actions are spread.",
  positionals: { FILE: "a .hdf5 file in LIBERO's layout" },
  options: {
    sheet: { type: "string", help: "writes a PNG with moments of the first episodes, both cameras" },
    episodes: { type: "integer", least: 1, default: 3, help: "on the sheet" },
    json: { type: "boolean", help: "print as JSON" },
  },
} as const satisfies CliSchema;

const ENTRIES = ["x", "y", "z", "roll", "pitch", "yaw", "gripper"];
/** Moments per episode on a contact sheet. */
const MOMENTS = 8;

await runMain(async () => {
  const args = parseCli(schema, process.argv.slice(2));
  using file = await LiberoDemonstrations.open(args.positionals.FILE);
  const { name, problem, episodes } = file;
  const lengths = episodes.map(({ length }) => length);
  const first = episodes[0];
  const seen = first.observation(0);
  const found = {
    file: name,
    problem,
    instruction: first.instruction,
    episodes: episodes.map((episode) => ({ name: episode.name, length: episode.length })),
    steps: lengths.reduce((sum, length) => sum + length, 0),
    observation: Object.fromEntries(
      Object.entries(seen).map(([key, value]) => [key, "shape" in value ? value.shape : [value.length]]),
    ),
    state: first.states(0, 1).length,
    actions: actionSpread(episodes),
  };
  if (args.sheet !== undefined)
    writeFileAtomic(args.sheet, contactSheet(episodes.slice(0, args.episodes), MOMENTS));
  if (args.json) return console.log(JSON.stringify(found));

  console.log(`${name}: ${problem}, "${found.instruction}"`);
  console.log(
    `${lengths.length} episodes, ${found.steps} steps; shortest ${Math.min(...lengths)}, longest ${Math.max(...lengths)}\n`,
  );
  for (const [key, shape] of Object.entries(found.observation))
    console.log(`${key.padEnd(26)}(${shape.join(", ")})`);
  console.log(`${"simulator state".padEnd(26)}(${found.state})\n`);
  console.log("action      least     mean   spread     most");
  found.actions.forEach(({ least, mean, deviation, most }, i) => {
    const numbers = [least, mean, deviation, most].map((value) => value.toFixed(4).padStart(9));
    console.log(`${ENTRIES[i].padEnd(8)}${numbers.join("")}`);
  });
});
