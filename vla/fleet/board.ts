import { createHash } from "node:crypto";
import { Queue } from "bullmq";
import { Redis } from "ioredis";
import { UsageError } from "../../cli/index.ts";
import { type Manifest, tasksOf } from "../eval/manifest.ts";
import { type EpisodeId, episodeKey } from "../eval/setup.ts";
import { type EpisodeRecord, type PackedRecord, packed } from "./record.ts";

/** In front of all keys in Redis. */
const PREFIX = "nina";
/** Jobs or results that go through one command: neither a command per episode nor all in one. */
const PAGE = 500;
/** Times that an episode is begun again when its player reports that it could not be played at all. */
const ATTEMPTS = 3;
/** Events that BullMQ keeps for listeners; there are none. */
const MOST_EVENTS = 100;

/** How far a run is. */
export interface Counts {
  readonly planned: number;
  readonly done: number;
  /** Being played now, as far as is known. */
  readonly active: number;
  /** Given up. */
  readonly failed: number;
  /** Whether nothing is left that anybody could play. */
  readonly isOver: boolean;
}

/**
 * A run in Redis, for many machines: its manifest, its episodes as jobs of BullMQ, and what came of them.
 *
 * An episode is one job, whose name follows from the manifest and the episode alone, so that it can be put there again
 * and again; its result is kept apart, under the same name, once: who comes second with one changes nothing.
 */
export class Board implements AsyncDisposable {
  readonly name: string;
  readonly queue: Queue<EpisodeId>;
  readonly #redis: Redis;
  readonly #manifestKey: string;
  readonly #resultsKey: string;

  private constructor(name: string, redis: Redis) {
    this.name = name;
    this.#redis = redis;
    this.#manifestKey = `${PREFIX}-manifest:${name}`;
    this.#resultsKey = `${PREFIX}-results:${name}`;
    this.queue = new Queue(name, {
      connection: redis,
      prefix: PREFIX,
      streams: { events: { maxLen: MOST_EVENTS } },
      defaultJobOptions: { attempts: ATTEMPTS, stackTraceLimit: 1 },
    });
    this.queue.on("error", () => {}); // the connection tells of its errors itself
  }

  /**
   * @param name of the run: letters, digits, `.`, `_` and `-`.
   * @throws UsageError for another name, Error for a Redis that does not answer.
   */
  static async open(url: string, name: string): Promise<Board> {
    if (!/^[\w.-]{1,64}$/.test(name))
      throw new UsageError(
        `expected the name of a run, up to 64 of letters, digits, "." "_" and "-", got ${JSON.stringify(name)}`,
      );
    return new Board(name, await connect(url));
  }

  /** A connection like this one, for a worker. */
  get connection(): Redis {
    return this.#redis;
  }

  get prefix(): string {
    return PREFIX;
  }

  /** The run that was put here. @throws Error where there is none. */
  async manifest(): Promise<Manifest> {
    const text = await this.#redis.get(this.#manifestKey);
    if (text === null)
      throw new Error(
        `${this.name}: expected a run in Redis, found none: vla/fleet.ts enqueue puts it there`,
      );
    return JSON.parse(text);
  }

  /**
   * Puts a run here; the same one may be there already. @returns the manifest that is there then: this one, or that of
   * another run.
   */
  async claim(manifest: Manifest): Promise<Manifest> {
    await this.#redis.set(this.#manifestKey, JSON.stringify(manifest), "NX");
    return await this.manifest();
  }

  /** Adds a job for every episode that has neither one nor a result, and has those played again that were given up. */
  async fill(manifest: Manifest): Promise<void> {
    const digest = digestOf(manifest);
    for (const page of pagesOf(episodesOf(manifest))) {
      const found = await this.#redis.hmget(this.#resultsKey, ...page.map(episodeKey));
      const left = page.filter((_, i) => found[i] === null);
      await this.queue.addBulk(
        left.map((id) => ({ name: "episode", data: id, opts: { jobId: jobIdOf(digest, id) } })),
      );
    }
    for (const job of await this.queue.getFailed()) await job.retry();
  }

  async has(id: EpisodeId): Promise<boolean> {
    return (await this.#redis.hexists(this.#resultsKey, episodeKey(id))) === 1;
  }

  /** Keeps what came of an episode, unless there is something already. */
  async keep(id: EpisodeId, record: EpisodeRecord): Promise<void> {
    await this.#redis.hsetnx(this.#resultsKey, episodeKey(id), packed(record));
  }

  async counts(manifest: Manifest): Promise<Counts> {
    const [done, isThere, { active, failed, ...open }] = await Promise.all([
      this.#redis.hlen(this.#resultsKey),
      this.#redis.exists(this.#manifestKey),
      this.queue.getJobCounts("active", "failed", "waiting", "delayed"),
    ]);
    const planned = manifest.tasks.length * manifest.episodes;
    const isStuck = failed > 0 && active + open.waiting + open.delayed === 0;
    return { planned, done, active, failed, isOver: done >= planned || isStuck || isThere === 0 };
  }

  /** Why episodes were given up: each reason once. */
  async failures(): Promise<string[]> {
    return [...new Set((await this.queue.getFailed()).map(({ failedReason }) => failedReason))];
  }

  /** What came of the episodes so far, in the order of the run, packed: a tenth of the memory. */
  async records(manifest: Manifest): Promise<PackedRecord[]> {
    const all: PackedRecord[] = [];
    for (const page of pagesOf(episodesOf(manifest))) {
      const found = await this.#redis.hmgetBuffer(this.#resultsKey, ...page.map(episodeKey));
      all.push(...found.filter((packed) => packed !== null));
    }
    return all;
  }

  /** Takes everything of the run out of Redis. */
  async remove(): Promise<void> {
    await this.queue.obliterate({ force: true });
    await this.#redis.del(this.#resultsKey, this.#manifestKey);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.queue.close();
    this.#redis.disconnect();
  }
}

/** @throws Error for a Redis that does not answer. */
async function connect(url: string): Promise<Redis> {
  const shown = withoutPassword(url);
  const redis = new Redis(url, {
    lazyConnect: true,
    connectTimeout: 10_000,
    maxRetriesPerRequest: null, // as workers need it: commands wait until it is back
    retryStrategy: () => null,
  });
  let reason = "";
  let isAway = false;
  redis.on("error", (error: NodeJS.ErrnoException) => {
    reason = error.message || error.code || "no answer";
  });
  try {
    await redis.connect();
    await redis.ping();
  } catch (cause) {
    redis.disconnect();
    throw new Error(`${shown}: expected a Redis server: ${reason || (cause as Error).message}`, { cause });
  }
  // Once it was there it is waited for: a run may last for days.
  redis.options.retryStrategy = (times) => Math.min(100 * times, 5000);
  redis.on("close", () => {
    if (!isAway && redis.status !== "end") console.error(`${shown}: gone; waiting for it`);
    isAway = true;
  });
  redis.on("ready", () => {
    if (isAway) console.error(`${shown}: back`);
    isAway = false;
  });
  return redis;
}

/** An address that may be shown. @throws UsageError for what is none. */
function withoutPassword(url: string): string {
  const parsed = URL.canParse(url) ? new URL(url) : null;
  if (!parsed || !/^rediss?:$/.test(parsed.protocol))
    throw new UsageError("REDIS_URL: expected redis://host:port or rediss://host:port, got something else");
  return `${parsed.protocol}//${parsed.host}`;
}

/** SHA-256 of a manifest. */
const digestOf = (manifest: Manifest): string => sha256(JSON.stringify(manifest));

const jobIdOf = (digest: string, id: EpisodeId): string => sha256(`${digest}\n${episodeKey(id)}`);

const sha256 = (text: string): string => createHash("sha256").update(text).digest("hex");

/** All episodes of a run, in order. */
function episodesOf(manifest: Manifest): EpisodeId[] {
  return tasksOf(manifest).flatMap(({ task, perturb, episodes }) =>
    episodes.map(({ init }) => ({ task, ...(perturb !== undefined && { perturb }), init })),
  );
}

function* pagesOf<T>(all: readonly T[]): Generator<T[]> {
  for (let i = 0; i < all.length; i += PAGE) yield all.slice(i, i + PAGE);
}
