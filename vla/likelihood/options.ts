import { type CliSchema, parseCli, UsageError } from "../../cli/index.ts";
import { CLONE_OPTIONS, EMBEDDED, findRoots, readTasks, SUITE_OPTIONS } from "../eval/options.ts";
import type { CameraMove } from "../libero/disturb.ts";
import { maxSteps, NINA } from "../libero/protocols.ts";

const schema = {
  usage: "npx tsx vla/likelihood.ts --out DIR [options]",
  description:
    "Asks whether log p(chunk | seen) warns: plays episodes under NinA's protocol as they are, with the camera in front\n" +
    "moved, with the object that the task is about in another colour, and with another instruction of the same scene, and\n" +
    "reports how well a low log-probability tells failures from successes, and disturbed episodes from undisturbed ones.",
  options: {
    out: { type: "string", help: "new folder for episodes.jsonl, results.json and strips" },
    checkpoint: { type: "string", default: EMBEDDED.checkpoint, help: "a checkpoint folder with a density" },
    ...SUITE_OPTIONS,
    episodes: {
      type: "integer",
      least: 1,
      default: 10,
      help: "starts per task, each played once per condition",
    },
    first: { type: "integer", least: 0, default: 0, help: "initial state of the first start" },
    seed: { type: "integer", least: 0, default: 0, help: "places the fixtures and seeds the policy" },
    centimetres: { type: "number", default: 3, help: "how far the camera moves to its right" },
    degrees: { type: "number", default: 3, help: "how far it turns to its left" },
    "max-steps": { type: "integer", least: 1, help: "ends episodes before the protocol does" },
    strips: { type: "boolean", help: "writes each episode as a PNG: moments, and log p under them" },
    ...CLONE_OPTIONS,
  },
} as const satisfies CliSchema;

/** What a run was asked for, checked. */
export interface Options {
  readonly out: string;
  readonly checkpoint: string;
  readonly suite: string;
  readonly libero: string;
  readonly robosuite: string;
  /** Indices and names; null for all. */
  readonly tasks: readonly (number | string)[] | null;
  readonly episodes: number;
  readonly first: number;
  readonly seed: number;
  readonly move: CameraMove;
  readonly maxSteps: number;
  readonly strips: boolean;
}

/** @throws UsageError for values, or combinations of them, that make no sense. */
export function readOptions(argv: readonly string[], environment: NodeJS.ProcessEnv): Options {
  const { out, centimetres, degrees, "max-steps": most, ...given } = parseCli(schema, argv);
  if (out === undefined) throw new UsageError("expected --out, the folder to write into");
  return {
    ...given,
    ...findRoots(given, environment),
    out,
    tasks: given.tasks === undefined ? null : readTasks(given.tasks),
    move: { right: centimetres / 100, turn: degrees },
    maxSteps: Math.min(most ?? Infinity, maxSteps(NINA, given.suite)),
  };
}
