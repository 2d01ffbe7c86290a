import { Worker } from "node:worker_threads";
import type { Observation } from "../observation.ts";
import type { Plan, PlanRequest, Policy } from "../policy.ts";
import type { PolicyFiles, PolicyName } from "./index.ts";
import { type Packed, pack } from "./packed.ts";
import type { EpisodeKey, PolicySource } from "./source.ts";

/** What the thread is told when it starts. */
export interface Start {
  readonly kind: PolicyName;
  readonly files: PolicyFiles;
}

/** What it is asked; `policy` numbers the policies that it made. */
export type Question =
  | { readonly what: "describe" }
  | { readonly what: "episode"; readonly policy: number; readonly key: EpisodeKey }
  | { readonly what: "reset"; readonly policy: number; readonly seed: number }
  | { readonly what: "release"; readonly policy: number }
  | {
      readonly what: "act";
      readonly policy: number;
      readonly seen: Packed;
      readonly instruction: string;
      readonly request?: PlanRequest;
    };

/** What it answers to the question of that number. */
export interface Answer {
  readonly number: number;
  readonly value?: Omit<PolicySource, "forEpisode" | "accepted"> | Plan | void;
  /** Why it has no answer. */
  readonly error?: string;
}

/** Loads a policy source in a thread of its own: what it plans, it plans while the caller goes on with something else. */
export async function threadedPolicy(kind: PolicyName, files: PolicyFiles): Promise<PolicySource> {
  const thread = new Thread({ kind, files });
  const source = (await thread.ask({ what: "describe" })) as PolicySource;
  let policies = 0;
  const made = new Map<number, Promise<unknown>>();
  return {
    ...source,
    forEpisode(key) {
      const policy = policies++;
      const answer = thread.ask({ what: "episode", policy, key });
      answer.catch(() => {}); // told by `accepted`
      made.set(policy, answer);
      return new ThreadedPolicy(source.name, thread, policy, () => made.delete(policy));
    },
    async accepted() {
      await Promise.all(made.values());
    },
  };
}

class ThreadedPolicy implements Policy {
  readonly name: string;
  readonly #thread: Thread;
  readonly #policy: number;
  readonly #released: () => void;
  #reset: Promise<unknown> = Promise.resolve();

  constructor(name: string, thread: Thread, policy: number, released: () => void) {
    this.name = name;
    this.#thread = thread;
    this.#policy = policy;
    this.#released = released;
  }

  reset(seed: number): void {
    this.#reset = this.#thread.ask({ what: "reset", policy: this.#policy, seed });
    this.#reset.catch(() => {}); // told by `act`
  }

  async act(seen: Observation, instruction: string, request?: PlanRequest): Promise<Plan> {
    const question = { what: "act", policy: this.#policy, seen: pack(seen), instruction, request } as const;
    const [plan] = await Promise.all([this.#thread.ask(question), this.#reset]);
    return plan as Plan;
  }

  [Symbol.dispose](): void {
    this.#thread.ask({ what: "release", policy: this.#policy }).catch(() => {}); // a thread that has ended holds nothing
    this.#released();
  }
}

interface Waiting {
  resolve(value: Answer["value"]): void;
  reject(error: Error): void;
}

/** Keeps the process alive only while an answer is waited for. */
class Thread {
  readonly #worker: Worker;
  readonly #waiting = new Map<number, Waiting>();
  #questions = 0;
  /** Why no more answers come. */
  #failure: Error | null = null;

  constructor(workerData: Start) {
    this.#worker = new Worker(new URL("thread-worker.js", import.meta.url), { workerData, execArgv: [] });
    this.#worker.on("message", ({ number, value, error }: Answer) => {
      const waiting = this.#waiting.get(number);
      this.#waiting.delete(number);
      if (this.#waiting.size === 0) this.#worker.unref();
      if (error === undefined) waiting?.resolve(value);
      else waiting?.reject(new Error(error));
    });
    this.#worker.on("error", (error) => this.#fail(new Error(`policy: its thread failed: ${error.message}`)));
    this.#worker.on("exit", () => this.#fail(new Error("policy: its thread has ended")));
    this.#worker.unref();
  }

  async ask(question: Question): Promise<Answer["value"]> {
    if (this.#failure) throw this.#failure;
    const number = this.#questions++;
    this.#worker.ref();
    return new Promise((resolve, reject) => {
      this.#waiting.set(number, { resolve, reject });
      this.#worker.postMessage({ number, question });
    });
  }

  /** The first failure is the one that explains the others. */
  #fail(failure: Error): void {
    this.#failure ??= failure;
    for (const { reject } of this.#waiting.values()) reject(this.#failure);
    this.#waiting.clear();
  }
}
