import type { Worker } from "node:worker_threads";
import { ownModule, startThread } from "../../cli/index.ts";
import { checkInteger } from "../../core/index.ts";
import { type Batch, type BatchArrays, BatchMaker, type BatchSettings } from "./batch.ts";
import type { ExampleSet, ExampleSettings } from "./example-set.ts";

/** What the thread is told when it starts. */
export interface Start {
  readonly examples: ExampleSettings;
  readonly batches: BatchSettings;
  /** Batch k is made in slot k mod their number. */
  readonly slots: readonly BatchArrays[];
}

/** What the thread says of each number that it was sent. */
export interface Made {
  readonly number: number;
  /** Why the batch could not be made. */
  readonly error?: { readonly name: string; readonly message: string };
}

/** Batches in memory, the one in use included: a step that ends early, or a file that is read late, delays nobody. */
const SLOTS = 4;

/**
 * The batches of a run from number `first` on, made ahead of their use by a thread of their own: the same bytes as
 * `BatchMaker` makes. Dispose it (`using`); it keeps the process alive only while a batch is waited for.
 */
export class BatchStream implements Disposable {
  readonly #worker: Worker;
  readonly #slots: readonly BatchArrays[];
  /** Numbers of the batches that are ready. */
  readonly #ready = new Set<number>();
  /** The batch that `next` gives. */
  #number: number;
  /** The first batch that was not yet asked of the thread. */
  #ordered: number;
  /** Why no more batches come. */
  #failure: Error | null = null;
  /** Wakes the call of `next` that waits for news. */
  #wake: (() => void) | null = null;

  constructor(set: ExampleSet, settings: BatchSettings, first = 0) {
    checkInteger(first, 0, "BatchStream", "first");
    const maker = new BatchMaker(set, settings);
    this.#slots = Array.from({ length: SLOTS }, () => maker.allocate());
    this.#number = first;
    this.#ordered = first;
    const workerData: Start = { examples: set.settings, batches: settings, slots: this.#slots };
    this.#worker = startThread(ownModule("batch-worker.ts", import.meta.url), workerData, ["h5wasm/node"]);
    this.#worker.on("message", (made: Made) => this.#hear(made));
    this.#worker.on("error", (error) =>
      this.#fail(new Error(`BatchStream: its thread failed: ${error.message}`)),
    );
    this.#worker.on("exit", () => this.#fail(new Error("BatchStream: its thread has ended")));
    this.#worker.unref();
    this.#orderUpTo(first + SLOTS);
  }

  /**
   * The next batch. Its arrays are shared memory, filled anew from the following call on: copy what is kept longer.
   * @throws Error that tells why a batch cannot be made, now and at every later call.
   */
  async next(): Promise<Batch> {
    if (this.#wake) throw new Error("BatchStream.next: called before the last call was answered");
    const number = this.#number;
    this.#orderUpTo(number + SLOTS); // the slot of the batch that was given last is free now
    while (!this.#ready.delete(number)) {
      if (this.#failure) throw this.#failure;
      this.#worker.ref();
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      this.#wake = null;
      this.#worker.unref();
    }
    this.#number++;
    return { number, ...this.#slots[number % SLOTS] };
  }

  [Symbol.dispose](): void {
    this.#fail(new Error("BatchStream: used after it was disposed of"));
    void this.#worker.terminate();
  }

  #orderUpTo(end: number): void {
    for (; this.#ordered < end; this.#ordered++) this.#worker.postMessage(this.#ordered);
  }

  #hear({ number, error }: Made): void {
    if (error) this.#fail(Object.assign(new Error(error.message), { name: error.name }));
    else this.#ready.add(number);
    this.#wake?.();
  }

  /** The first failure is the one that explains the others. */
  #fail(failure: Error): void {
    this.#failure ??= failure;
    this.#wake?.();
  }
}
