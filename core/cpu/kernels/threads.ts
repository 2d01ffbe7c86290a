/**
 * Worker threads on the shared heap.
 *
 * A job is a kernel, its arguments and a number of tiles, cut into chunks. The main thread writes it down and sets the
 * count of chunks left; it and the workers then claim chunks by decrementing that count, so a worker that is late, or
 * that the system has put aside, delays nobody. Tiles do not depend on each other and each is done by one thread, so
 * results are the same bit for bit for any number of threads.
 *
 * Waking a parked worker takes tens of microseconds, so inside `spinning(…)`, where one job follows the other, workers
 * poll for the next one; outside they park.
 */
import { sleepWhile, startWorker, whyNoWorkers } from "../../platform/node.ts";
import type { RunningWorker } from "../../platform/platform.ts";
import { allocate, memory, release } from "../heap.ts";
import { type Kernel, SCRATCH_BYTES } from "./engine.ts";
import { type Start, serve, type WordName } from "./worker.ts";

/** Shared words, those that change during a job on cache lines of their own. */
const word: Readonly<Record<WordName, number>> = {
  left: 0,
  done: 16,
  signal: 32,
  parked: 48,
  spin: 64,
  kernel: 80,
  tiles: 81,
  chunks: 82,
  chunkSize: 83,
  failed: 84,
  argCount: 85,
  code: 86,
  codeBytes: 87,
  args: 96,
};
const MAX_ARGS = 160;

/** Jobs estimated below this many microseconds are not worth a fork and a join: of spinning workers, of parked ones. */
const WORTH_SPINNING = 20;
const WORTH_WAKING = 200;
/** Chunks per thread: small enough that threads end together, large enough that claiming costs nothing. */
const CHUNKS_PER_THREAD = 8;
/** A chunk takes milliseconds; a worker that holds one this long is gone. */
const LOST_AFTER_MS = 10_000;

interface Hand {
  readonly worker: RunningWorker;
  readonly scratch: number;
}

interface Pool {
  readonly hands: readonly Hand[];
  readonly control: Int32Array;
  /** Message of a kernel that failed on a worker. */
  readonly text: Uint8Array;
  /** Why the pool can no longer be used, once a worker has ended or was lost. */
  broken: string | null;
}

let pool: Pool = newPool(0);
/** Where the modules of kernels that workers have met lie on the heap, by the kernels' numbers; they stay there. */
const codes = new Map<number, number>();

/** Each pool has words of its own: a worker of an earlier one that is still stopping cannot claim from this one. */
function newPool(workers: number): Pool {
  // Without workers nothing is shared, which not every page of a browser may do.
  const Room = workers > 0 ? SharedArrayBuffer : ArrayBuffer;
  const control = new Int32Array(new Room(4 * (word.args + MAX_ARGS)));
  const text = new Uint8Array(new Room(512));
  const hands: Hand[] = [];
  const made: Pool = { hands, control, text, broken: null };
  for (let i = 0; i < workers; i++) {
    const scratch = allocate(SCRATCH_BYTES);
    const start: Start = { control, word, text, memory, scratch };
    const worker = startWorker(serve, start, (why) => {
      made.broken ??= why;
    });
    hands.push({ worker, scratch });
  }
  return made;
}

/** Number of threads that kernels may use, the main thread included. */
export const threads = (): number => pool.hands.length + 1;

/**
 * Sets how many threads kernels may use, 1 at the start. Workers start in the background and join when they are ready;
 * they never keep the process alive. In a browser more than one needs a page that is isolated (`crossOriginIsolated`).
 */
export function setThreads(count: number): void {
  if (!Number.isInteger(count) || count < 1 || count > 64) {
    throw new Error(`setThreads: expected a whole number from 1 to 64, got ${count}`);
  }
  const why = count > 1 ? whyNoWorkers() : null;
  if (why !== null) throw new Error(`setThreads: expected 1, got ${count}: ${why}`);
  for (const { worker, scratch } of pool.hands) {
    void worker.terminate().then(() => release(scratch, SCRATCH_BYTES));
  }
  pool = newPool(count - 1);
}

/** Runs `body` with workers that poll for jobs instead of parking: for plans, and other code made of many kernels. */
export function spinning<T>(body: () => T): T {
  const { hands, control } = pool;
  if (hands.length === 0 || control[word.spin] === 1) return body();
  Atomics.store(control, word.spin, 1);
  wake(control);
  try {
    return body();
  } finally {
    Atomics.store(control, word.spin, 0);
  }
}

function wake(control: Int32Array): void {
  if (Atomics.load(control, word.parked) === 0) return;
  Atomics.add(control, word.signal, 1);
  Atomics.notify(control, word.signal);
}

/**
 * Runs tiles 0 to `tiles` of a kernel. `cost` is the time that takes one thread, in microseconds: short jobs stay on
 * this one. Throws when the kernel fails on any thread, and when a worker is gone; `setThreads` then starts a new pool.
 */
export function runTiles(kernel: Kernel, args: readonly number[], tiles: number, cost: number): void {
  if (pool.hands.length === 0 || tiles < 2 || cost < worthSharing()) kernel.run(args, 0, tiles);
  else share(kernel, args, tiles);
}

const worthSharing = (): number => (pool.control[word.spin] === 1 ? WORTH_SPINNING : WORTH_WAKING);

function share(kernel: Kernel, args: readonly number[], tiles: number): void {
  const { control, text } = pool;
  if (pool.broken !== null) lost(pool.broken);
  if (args.length > MAX_ARGS) throw new Error(`runTiles: ${kernel.name} has more than ${MAX_ARGS} arguments`);
  const chunkSize = Math.ceil(tiles / (CHUNKS_PER_THREAD * threads()));
  const chunks = Math.ceil(tiles / chunkSize);
  control[word.kernel] = kernel.id;
  control[word.code] = codeOf(kernel);
  control[word.codeBytes] = kernel.bytes.length;
  control[word.tiles] = tiles;
  control[word.chunks] = chunks;
  control[word.chunkSize] = chunkSize;
  control[word.argCount] = args.length;
  control.set(args, word.args);
  Atomics.store(control, word.done, 0);
  Atomics.store(control, word.left, chunks);
  wake(control);

  let failure: unknown;
  for (;;) {
    const left = Atomics.sub(control, word.left, 1);
    if (left <= 0) break;
    const begin = (chunks - left) * chunkSize;
    try {
      kernel.run(args, begin, Math.min(begin + chunkSize, tiles));
    } catch (error) {
      failure ??= error; // the others are still at work: all chunks end before the call does
    }
    Atomics.add(control, word.done, 1);
  }
  waitFor(control, chunks);
  if (control[word.failed] === 1) {
    control[word.failed] = 0;
    const message = new TextDecoder().decode(text.slice(0, text.indexOf(0)));
    failure ??= new Error(`threads: ${kernel.name} failed on a worker thread: ${message}`);
  }
  if (failure) throw failure;
}

/** Where workers find a kernel's module, on the heap. */
function codeOf({ id, bytes }: Kernel): number {
  let at = codes.get(id);
  if (at === undefined) {
    codes.set(id, (at = allocate(bytes.length)));
    new Uint8Array(memory.buffer, at, bytes.length).set(bytes);
  }
  return at;
}

/** Waits until all chunks are done: polls for a while, since the others are about to finish, then sleeps. */
function waitFor(control: Int32Array, chunks: number): void {
  const POLLS = 20_000;
  let deadline = 0;
  for (let polls = 0; ; polls++) {
    const done = Atomics.load(control, word.done);
    if (done === chunks) return;
    if (polls < POLLS) continue;
    sleepWhile(control, word.done, done, 1);
    if (deadline === 0 || Atomics.load(control, word.done) !== done)
      deadline = performance.now() + LOST_AFTER_MS;
    else if (performance.now() > deadline) lost(`it did not finish its part within ${LOST_AFTER_MS} ms`);
  }
}

function lost(why: string): never {
  pool.broken ??= why;
  throw new Error(`threads: a worker thread is gone: ${why} (setThreads starts a new pool)`);
}
