import { once } from "node:events";
import type { Worker } from "node:worker_threads";
import { ownModule, startThread } from "../../cli/index.ts";
import type { Observation } from "../observation.ts";
import type { EpisodeKey, PolicyFiles, PolicySource } from "../policies/index.ts";
import { type Packed, pack } from "../policies/packed.ts";
import type { ActionChunk, ChunkRequest, Policy } from "../policies/policy.ts";

/** What the thread is told; `policy` numbers the policies that it is to make. */
export type Order =
  | { readonly what: "episode"; readonly policy: number; readonly key: EpisodeKey }
  | { readonly what: "reset"; readonly policy: number; readonly seed: number }
  | { readonly what: "release"; readonly policy: number }
  | {
      readonly what: "act";
      readonly policy: number;
      /** Stands in the answer. */
      readonly question: number;
      readonly seen: Packed;
      readonly instruction: string;
      readonly request?: ChunkRequest;
    };

/** The first thing it tells, when its policy source is loaded. */
export type Description = Omit<PolicySource, "forEpisode">;

/** What it answers to a question: a chunk, or why there is none. */
export interface Answer {
  readonly question: number;
  readonly chunk?: ActionChunk;
  readonly error?: string;
}

/**
 * Loads a checkpoint in a thread of its own: its policies plan there, while this thread goes on with something else.
 */
export async function threadedPolicy(files: PolicyFiles): Promise<PolicySource & AsyncDisposable> {
  const worker = startThread(ownModule("thread-worker.ts", import.meta.url), files);
  const [description]: [Description] = (await once(worker, "message")) as [Description];
  const thread = new Thread(worker);
  let policies = 0;
  return {
    ...description,
    forEpisode(key) {
      const policy = policies++;
      thread.tell({ what: "episode", policy, key });
      return new ThreadedPolicy(description.name, thread, policy);
    },
    async [Symbol.asyncDispose]() {
      await worker.terminate();
    },
  };
}

/** One episode's policy. What the thread cannot make is told by `act`. */
class ThreadedPolicy implements Policy, Disposable {
  readonly name: string;
  readonly #thread: Thread;
  readonly #policy: number;

  constructor(name: string, thread: Thread, policy: number) {
    this.name = name;
    this.#thread = thread;
    this.#policy = policy;
  }

  reset(seed: number): void {
    this.#thread.tell({ what: "reset", policy: this.#policy, seed });
  }

  act(seen: Observation, instruction: string, request?: ChunkRequest): Promise<ActionChunk> {
    const policy = this.#policy;
    return this.#thread.ask({ what: "act", policy, seen: pack(seen), instruction, request });
  }

  [Symbol.dispose](): void {
    this.#thread.tell({ what: "release", policy: this.#policy });
  }
}

interface Waiting {
  resolve(chunk: ActionChunk): void;
  reject(error: Error): void;
}

class Thread {
  readonly #worker: Worker;
  readonly #waiting = new Map<number, Waiting>();
  #questions = 0;
  /** Why no more answers come. */
  #failure: Error | null = null;

  constructor(worker: Worker) {
    this.#worker = worker;
    worker.on("message", ({ question, chunk, error }: Answer) => {
      const waiting = this.#waiting.get(question);
      this.#waiting.delete(question);
      if (chunk) waiting?.resolve(chunk);
      else waiting?.reject(new Error(error));
    });
    worker.on("error", (error) => this.#fail(`its thread failed: ${error.message}`));
    worker.on("exit", () => this.#fail("its thread has ended"));
  }

  tell(order: Order): void {
    this.#worker.postMessage(order);
  }

  ask(order: Omit<Extract<Order, { what: "act" }>, "question">): Promise<ActionChunk> {
    return new Promise((resolve, reject) => {
      if (this.#failure) return reject(this.#failure);
      const question = this.#questions++;
      this.#waiting.set(question, { resolve, reject });
      this.tell({ ...order, question });
    });
  }

  /** The first failure is the one that explains the others. */
  #fail(why: string): void {
    this.#failure ??= new Error(`policy: ${why}`);
    for (const { reject } of this.#waiting.values()) reject(this.#failure);
    this.#waiting.clear();
  }
}
