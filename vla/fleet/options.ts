import { availableParallelism } from "node:os";
import { type CliSchema, parseCli } from "../../cli/index.ts";
import { INTERRUPTED } from "../eval/interrupt.ts";
import { FILE_POSITIONAL, type Options, optionsOf, RUN_OPTIONS, WORKERS_OPTION } from "../eval/options.ts";

const WHERE =
  "REDIS_URL says where Redis is, redis://:PASSWORD@HOST:PORT, otherwise on this machine; see docs/many-machines.md.\n";

const RUN = { RUN: "name of the run in Redis" };

/** What all commands are told by. */
export const general = {
  usage: "npx tsx vla/fleet.ts COMMAND RUN [options]",
  description:
    "Evaluates a policy on many machines, which take episodes from a queue in Redis (BullMQ): enqueue puts a run there,\n" +
    "work plays its episodes, on any number of machines, watch tells how far it is, collect writes its folder. Each has\n" +
    "its own --help.\n" +
    `${WHERE}Exit code: 0 when done, 1 when it could not be, 2 for arguments it does not understand, ` +
    `${INTERRUPTED} after Ctrl-C.`,
  positionals: { COMMAND: "enqueue, work, watch or collect", ...RUN, "ARGUMENT...": "of the command" },
  options: {},
} as const satisfies CliSchema;

export const commands = {
  enqueue: {
    usage: "npx tsx vla/fleet.ts enqueue RUN [options] [FILE]",
    description:
      "Puts the episodes of a run into Redis, for vla/fleet.ts work; options as for vla/eval.ts. Given once more it adds\n" +
      "what is missing, and has those played again that were given up; another run of the same name is refused.\n" +
      WHERE,
    positionals: { ...RUN, ...FILE_POSITIONAL },
    options: RUN_OPTIONS,
  },
  work: {
    usage: "npx tsx vla/fleet.ts work RUN [options] [FILE]",
    description:
      "Plays episodes of a run until none is left; options as for enqueue, on this machine. Refuses when task files,\n" +
      "checkpoint or engine are not those of the run. Ctrl-C gives back what is being played; what a killed worker had is\n" +
      `taken by another.\n${WHERE}`,
    positionals: { ...RUN, ...FILE_POSITIONAL },
    options: {
      ...RUN_OPTIONS,
      ...WORKERS_OPTION,
      "lost-after": {
        type: "integer",
        least: 1,
        default: 30,
        help: "seconds without a sign of life after which others take what a worker has",
      },
    },
  },
  watch: {
    usage: "npx tsx vla/fleet.ts watch RUN",
    description: `Tells how far a run is, until it is over; exit code 1 when episodes were given up.\n${WHERE}`,
    positionals: RUN,
    options: {},
  },
  collect: {
    usage: "npx tsx vla/fleet.ts collect RUN OUT [options]",
    description:
      "Writes the folder of a run from what is in Redis: byte for byte the episodes.jsonl of one machine. Prints the table.\n" +
      "Before all episodes are there it writes those that are: vla/eval.ts --out OUT plays the others.\n" +
      "Exit code: 0 when all episodes are there, none of them an error; 1 otherwise, 2 for arguments it does not\n" +
      `understand.\n${WHERE}`,
    positionals: { ...RUN, OUT: "new folder of the run" },
    options: {
      remove: { type: "boolean", help: "takes a finished run out of Redis when it is written" },
    },
  },
} as const satisfies Record<string, CliSchema>;

/** A run that is to be played by others. */
export function readEnqueue(argv: readonly string[], environment: NodeJS.ProcessEnv) {
  const parsed = parseCli(commands.enqueue, argv);
  return {
    name: parsed.positionals.RUN,
    options: optionsOf({ ...parsed, workers: 1, ...ALONE }, environment),
  };
}

/** A run that is to be played here, with others. */
export function readWork(
  argv: readonly string[],
  environment: NodeJS.ProcessEnv,
): { name: string; options: Options; lostAfter: number } {
  const { "lost-after": lostAfter, ...parsed } = parseCli(commands.work, argv);
  const workers = parsed.workers ?? availableParallelism();
  return {
    name: parsed.positionals.RUN,
    options: optionsOf({ ...parsed, workers, ...ALONE }, environment),
    lostAfter,
  };
}

/** What a run has that writes its own files: results go into Redis. */
const ALONE = {
  shard: undefined,
  json: undefined,
  out: undefined,
  watch: undefined,
  frames: false,
  video: false,
};

/** A password in it stays out of lists of processes. */
export function redisUrl({ REDIS_URL }: NodeJS.ProcessEnv): string {
  return REDIS_URL || "redis://127.0.0.1:6379";
}
