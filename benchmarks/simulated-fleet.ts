import { setImmediate } from "node:timers/promises";
import type { Manifest } from "../vla/eval/manifest.ts";
import type { EpisodeLine } from "../vla/eval/results.ts";
import { UNTIMED } from "../vla/eval/results.ts";
import { episodeKey } from "../vla/eval/setup.ts";
import { Board } from "../vla/fleet/board.ts";
import { unpacked } from "../vla/fleet/record.ts";
import { takeEpisodes } from "../vla/fleet/work.ts";

/** Tasks of a simulated run. */
const TASKS = 10;

/** A run without a suite. @param episodes a multiple of ten. */
export const simulatedManifest = (episodes: number): Manifest =>
  ({
    format: 1,
    first: 0,
    episodes: episodes / TASKS,
    tasks: Array.from({ length: TASKS }, (_, i) => ({ task: `task ${i}`, instruction: "", digest: "" })),
  }) as unknown as Manifest;

/**
 * Plays a run whose episodes take no time: all workers in this process, each as it would be on a machine of its own.
 *
 * @returns how often each episode was played, and which results were collected, by `episodeKey`.
 */
export async function simulateRun(
  url: string,
  name: string,
  episodes: number,
  workers: number,
): Promise<{ played: Map<string, number>; collected: string[] }> {
  const manifest = simulatedManifest(episodes);
  await using board = await Board.open(url, name);
  const played = new Map<string, number>();
  try {
    await board.claim(manifest);
    await board.fill(manifest);
    const work = () =>
      takeEpisodes(
        board,
        manifest,
        async (id) => {
          const key = episodeKey(id);
          played.set(key, (played.get(key) ?? 0) + 1);
          await setImmediate();
          return { line: id as unknown as EpisodeLine, timing: { ...id, ...UNTIMED } };
        },
        { slots: 1, lostAfter: 120, signal: new AbortController().signal },
      );
    await Promise.all(Array.from({ length: workers }, work));
    const collected = (await board.records(manifest)).map((each) => episodeKey(unpacked(each).line));
    return { played, collected };
  } finally {
    await board.remove();
  }
}
