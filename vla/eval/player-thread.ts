import type { Worker } from "node:worker_threads";
import { ownModule, startThread } from "../../cli/index.ts";
import { type Packed, unpack } from "../policies/packed.ts";
import type { ActionChunk, ChunkRequest, Policy } from "../policies/policy.ts";
import { messageOf } from "./message-of.ts";
import type { Checked, Played, Setting } from "./player.ts";
import type { EpisodeSetup, TaskSetup } from "./setup.ts";

/** What the thread is told. */
export type Order =
  | { readonly what: "check"; readonly setup: TaskSetup }
  | {
      readonly what: "play";
      readonly setup: TaskSetup;
      readonly episode: EpisodeSetup;
      readonly checked: Checked;
    }
  | { readonly what: "chunk"; readonly chunk: ActionChunk }
  | { readonly what: "no chunk"; readonly message: string }
  | { readonly what: "interrupt" };

/** What it tells. */
export type Report =
  | { readonly what: "checked"; readonly checked: readonly Checked[] }
  | { readonly what: "played"; readonly played: Played | null }
  | { readonly what: "failed"; readonly message: string }
  | { readonly what: "stepped"; readonly steps: number }
  | {
      readonly what: "ask";
      readonly seen: Packed;
      readonly instruction: string;
      readonly request?: ChunkRequest;
      /** Where the episode begins: the seed. */
      readonly reset?: number;
    };

/** What is waited for: one thing at a time. */
interface Waiting {
  resolve(report: Report): void;
  reject(reason: Error): void;
}

/** A `Player` in a thread of its own; its episodes' policies stay in this one. */
export class PlayerThread implements Disposable {
  readonly #worker: Worker;
  #waiting: Waiting | null = null;
  #policy: Policy | null = null;
  #stepped: ((steps: number) => void) | null = null;
  /** Why nothing can be asked any more. */
  #ended: Error | null = null;

  constructor(setting: Setting) {
    this.#worker = startThread(ownModule("player-worker.ts", import.meta.url), setting);
    this.#worker.on("message", (report: Report) => this.#hear(report));
    this.#worker.on("error", (error) =>
      this.#end(new Error(`simulator: its thread failed: ${error.message}`)),
    );
    this.#worker.on("exit", () => this.#end(new Error("simulator: its thread has ended")));
  }

  /** Looks at the starts of a task: see `Player.check`. */
  async check(setup: TaskSetup): Promise<readonly Checked[]> {
    const report = await this.#ask({ what: "check", setup });
    return (report as Extract<Report, { what: "checked" }>).checked;
  }

  /**
   * Plays an episode with a policy that acts in this thread.
   *
   * @param stepped told after each control step.
   * @returns null when it was interrupted.
   * @throws Error when the simulator broke: this thread is then good for nothing else.
   */
  async play(
    setup: TaskSetup,
    episode: EpisodeSetup,
    checked: Checked,
    policy: Policy,
    stepped: (steps: number) => void,
  ): Promise<Played | null> {
    [this.#policy, this.#stepped] = [policy, stepped];
    const report = await this.#ask({ what: "play", setup: { ...setup, episodes: [] }, episode, checked });
    return (report as Extract<Report, { what: "played" }>).played;
  }

  /** Ends the episode that is played, without a result, between two steps. */
  interrupt(): void {
    this.#tell({ what: "interrupt" });
  }

  [Symbol.dispose](): void {
    void this.#worker.terminate();
  }

  #tell(order: Order): void {
    this.#worker.postMessage(order);
  }

  #ask(order: Order): Promise<Report> {
    return new Promise((resolve, reject) => {
      if (this.#ended) return reject(this.#ended);
      this.#waiting = { resolve, reject };
      this.#tell(order);
    });
  }

  #hear(report: Report): void {
    if (report.what === "stepped") this.#stepped?.(report.steps);
    else if (report.what === "ask") void this.#act(report, this.#policy as Policy);
    else if (report.what === "failed") this.#waiting?.reject(new Error(report.message));
    else this.#waiting?.resolve(report);
  }

  async #act(question: Extract<Report, { what: "ask" }>, policy: Policy): Promise<void> {
    const { seen, instruction, request, reset } = question;
    try {
      if (reset !== undefined) policy.reset(reset);
      const chunk = await policy.act(unpack(seen), instruction, request);
      this.#tell({ what: "chunk", chunk: { actions: chunk?.actions, logProb: chunk?.logProb } });
    } catch (thrown) {
      // Whatever was thrown, or actions that no message can carry.
      this.#tell({ what: "no chunk", message: messageOf(thrown) });
    }
  }

  /** The first reason is the one that explains the others. */
  #end(reason: Error): void {
    this.#ended ??= reason;
    this.#waiting?.reject(this.#ended);
    this.#waiting = null;
  }
}
