import { join } from "node:path";
import { UsageError } from "../../cli/index.ts";
import { companionsOf } from "../libero/companions.ts";
import { composeScene } from "../libero/compose/scene.ts";
import { readInitStates } from "../libero/init-states.ts";
import type { Suite, Task } from "../libero/suites.ts";
import { type Levels, showLevels } from "../perturb/dimensions.ts";
import { drawsOf } from "../perturb/draws.ts";
import { type LanguageChange, perturbInstruction } from "../perturb/language.ts";
import { type PerturbedTask, perturbTask } from "../perturb/task.ts";
import type { Options } from "./options.ts";
import { episodeSeed } from "./seed.ts";
import { taskDigest } from "./task-digest.ts";

/** A task in one condition: plain data, from which a thread can open its environment. */
export interface TaskSetup {
  readonly task: string;
  /** The task's own. */
  readonly instruction: string;
  /** How its episodes are made harder. */
  readonly levels: Levels;
  /** The same as `showLevels` has it; undefined for none. */
  readonly perturb?: string;
  /** SHA-256 of all that the task is read from. */
  readonly digest: string;
  readonly episodes: readonly EpisodeSetup[];
}

export interface EpisodeSetup {
  /** Index of the stored initial state. */
  readonly init: number;
  readonly policySeed: number;
  /** What the policy is told. */
  readonly instruction: string;
  /** The task whose goal is played for: with swapped words, that of the words. */
  readonly told: string;
  /** How the words were perturbed, where they were. */
  readonly language?: LanguageChange;
}

/** What tells an episode from all others of its run. */
export interface EpisodeId {
  readonly task: string;
  readonly perturb?: string;
  readonly init: number;
}

/** The same as one word. */
export const episodeKey = ({ task, perturb = "none", init }: EpisodeId): string =>
  JSON.stringify([task, perturb, init]);

/** The same as a path, for files of an episode: `TASK/init_03`, `TASK/camera-3/init_03`. */
export const episodePath = ({ task, perturb, init }: EpisodeId): string =>
  join(task, perturb?.replaceAll(":", "-") ?? "", `init_${String(init).padStart(2, "0")}`);

/**
 * What there is of a suite's tasks under the run's conditions, in order. @throws UsageError for starts that there are
 * not.
 */
export function setUpRun(options: Options, suite: Suite, tasks: readonly Task[]): TaskSetup[] {
  const { seed, first, conditions } = options;
  const companions = options.swapWords ? companionsOf(suite.tasks) : null;
  return conditions.flatMap((levels) =>
    tasks.map((task): TaskSetup => {
      const others = companions?.get(task) ?? [];
      if (companions && others.length === 0)
        throw new UsageError(
          `--swap-words: ${task.name} shares its scene with no task of ${suite.name} that asks for something else`,
        );
      const scene = composeScene({ ...options, task });
      const states = readInitStates(task.initPath, scene.layout);
      const last = first + options.episodes - 1;
      // One that is played twice is the same episode twice, and no further evidence.
      if (last >= states.length)
        throw new UsageError(
          `--first and --episodes: expected initial states 0 to ${states.length - 1} of ${task.name}, got ${last}`,
        );
      const isPerturbed = Object.keys(levels).length > 0;
      const perturbed = isPerturbed ? perturbTask({ ...options, task }, suite, levels, seed) : null;
      const episodes = Array.from({ length: options.episodes }, (_, i): EpisodeSetup => {
        const init = first + i;
        // Each of the others in turn, whichever starts are chosen.
        const told = others.length > 0 ? others[init % others.length].task : task;
        const language = perturbed && perturbedWords(perturbed, suite, task, seed, init);
        return {
          init,
          policySeed: episodeSeed(seed, suite.name, task.name, init),
          instruction: language?.instruction ?? told.instruction,
          told: told.name,
          ...(language && { language }),
        };
      });
      return {
        task: task.name,
        instruction: task.instruction,
        levels,
        ...(isPerturbed && { perturb: showLevels(levels) }),
        digest: taskDigest(task, scene),
        episodes,
      };
    }),
  );
}

/** What is said in an episode, if that is perturbed. */
function perturbedWords(
  { levels, others }: PerturbedTask,
  suite: Suite,
  task: Task,
  seed: number,
  init: number,
): LanguageChange | null {
  if (!levels.language) return null;
  const draws = drawsOf("language", { seed, suite: suite.name, task: task.name, init });
  return perturbInstruction(task.instruction, others, levels.language, draws);
}
