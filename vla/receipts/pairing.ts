import { differences } from "../differences.ts";
import { type Manifest, tasksOf } from "../eval/manifest.ts";
import { episodeKey } from "../eval/setup.ts";
import type { RunFolder } from "../report/run-folder.ts";
import { digestsOf } from "./circumstances.ts";
import type { PairCounts } from "./paired-difference.ts";

/** Two runs, start by start. */
export interface Pairing {
  /** In the order of the first run. */
  readonly tasks: readonly { readonly task: string; readonly counts: PairCounts }[];
  readonly all: PairCounts;
  /** Starts that make no pair, by what keeps them from it: `an error in A`. */
  readonly dropped: Readonly<Record<string, number>>;
}

const NONE: PairCounts = { both: 0, onlyA: 0, onlyB: 0, neither: 0 };

/** Pairs the episodes of two runs by task, perturbation and initial state. One that ended in an error makes no pair. */
export function pairUp(a: RunFolder, b: RunFolder): Pairing {
  const [outcomesA, outcomesB] = [a, b].map(
    ({ episodes }) => new Map(episodes.map((episode) => [episodeKey(episode), episode.outcome])),
  );
  const starts = new Map([a, b].flatMap(({ manifest }) => startsOf(manifest)));
  const tasks = new Map<string, PairCounts>();
  const dropped: Record<string, number> = {};
  for (const [key, task] of starts) {
    const [inA, inB] = [outcomesA, outcomesB].map((outcomes) => outcomes.get(key) ?? "not played");
    const reasons = [
      ...(inA === "error" || inA === "not played" ? [`${WORDS[inA]} in A`] : []),
      ...(inB === "error" || inB === "not played" ? [`${WORDS[inB]} in B`] : []),
    ];
    const counts = tasks.get(task) ?? NONE;
    if (reasons.length > 0) {
      const reason = reasons.join(" and ");
      dropped[reason] = (dropped[reason] ?? 0) + 1;
      tasks.set(task, counts);
    } else tasks.set(task, add(counts, { ...NONE, [cellOf(inA === "success", inB === "success")]: 1 }));
  }
  return {
    tasks: [...tasks].map(([task, counts]) => ({ task, counts })),
    all: [...tasks.values()].reduce(add, NONE),
    dropped,
  };
}

/** The starts of a run, in order: their keys, and their tasks. */
const startsOf = (manifest: Manifest): [key: string, task: string][] =>
  tasksOf(manifest).flatMap(({ task, perturb, episodes }) =>
    episodes.map(({ init }): [string, string] => [episodeKey({ task, perturb, init }), task]),
  );

const WORDS = { error: "an error", "not played": "not played" } as const;

function cellOf(a: boolean, b: boolean): keyof PairCounts {
  if (a) return b ? "both" : "onlyA";
  return b ? "onlyB" : "neither";
}

const add = (x: PairCounts, y: PairCounts): PairCounts => ({
  both: x.both + y.both,
  onlyA: x.onlyA + y.onlyA,
  onlyB: x.onlyB + y.onlyB,
  neither: x.neither + y.neither,
});

/**
 * What keeps two runs from being compared: `seed: 0, and 7`, one line each. Policies, what they compute on, and how
 * they are asked may differ; the episodes that they had to play may not.
 */
export function incomparable(a: Manifest, b: Manifest): string[] {
  return differences(conditionsOf(a), conditionsOf(b));
}

function conditionsOf({ run, protocol, maxSteps, tasks, first, episodes }: Manifest) {
  // Planning while the last chunk plays is the policy's affair.
  const { overlap: _, ...rules } = protocol;
  return {
    suite: run.suite,
    seed: run.seed,
    protocol: rules,
    maxSteps,
    swapWords: run.swapWords,
    mujoco: run.engine.mujoco,
    contacts: run.engine.contacts,
    first,
    episodes,
    tasks: digestsOf(tasks),
    perturbations: Object.fromEntries(tasks.map(({ perturb = "none" }) => [perturb, true])),
  };
}
