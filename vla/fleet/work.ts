import { setTimeout } from "node:timers/promises";
import { type Job, WaitingError, Worker } from "bullmq";
import { printable } from "../../core/index.ts";
import type { Manifest } from "../eval/manifest.ts";
import type { EpisodeId } from "../eval/setup.ts";
import type { Board } from "./board.ts";
import type { EpisodeRecord } from "./record.ts";

/** Times that an episode is taken from a lost worker: one that takes its players down with it must end at some time. */
const MOST_LOSSES = 10;
/** How often a worker looks whether the run is over, milliseconds. */
const LOOK = 1000;

/**
 * Errors that are no news begin so: those of a lost connection, which has told of them itself, and those of a job that
 * another worker has by now.
 */
const EXPECTED =
  /^(connect |read |write |getaddrinfo |Connection is closed|Missing lock|Missing key|could not renew lock)/;

/** How a worker takes episodes. */
export interface WorkSettings {
  /** Episodes that it plays at the same time. */
  readonly slots: number;
  /** Seconds without a sign of life after which others take what a worker has. */
  readonly lostAfter: number;
  /** Ends the work: what is being played goes back. */
  readonly signal: AbortSignal;
}

/**
 * Takes episodes of a run, one after another, until none is left that anybody could play.
 *
 * @param play what comes of an episode; null when it was interrupted. What it throws makes the episode be tried
 *   again, perhaps elsewhere, and at last be given up.
 */
export async function takeEpisodes(
  board: Board,
  manifest: Manifest,
  play: (id: EpisodeId) => Promise<EpisodeRecord | null>,
  { slots, lostAfter, signal }: WorkSettings,
): Promise<void> {
  const worker = new Worker<EpisodeId>(board.name, takeOne, {
    connection: board.connection,
    prefix: board.prefix,
    concurrency: slots,
    lockDuration: 1000 * lostAfter,
    stalledInterval: 1000 * lostAfter,
    maxStalledCount: MOST_LOSSES,
    runRetryDelay: LOOK,
  });
  const told = new Set<string>();
  worker.on("error", ({ message }) => {
    // Such as a server without memory. The rest is told already, or of an episode that is another's now.
    if (EXPECTED.test(message) || told.has(message)) return;
    told.add(message);
    console.error(`${board.name}: ${printable(message)}`);
  });
  try {
    while (!signal.aborted && !(await board.counts(manifest)).isOver)
      await setTimeout(LOOK, undefined, { signal }).catch(() => {});
  } finally {
    await worker.close();
  }

  async function takeOne(job: Job<EpisodeId>, token?: string): Promise<void> {
    // A worker that was taken for lost may have finished it after all.
    if (await board.has(job.data)) return;
    const record = signal.aborted ? null : await play(job.data);
    if (record !== null) return board.keep(job.data, record);
    await job.moveToWait(token);
    throw new WaitingError();
  }
}
