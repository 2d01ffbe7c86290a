import { type ChildProcess, spawn } from "node:child_process";
import { type Command, nodeArguments, ownModule } from "../../cli/index.ts";
import type { Left } from "./runner.ts";

/**
 * Starts this project's programs as processes of their own, one at a time, and passes signals on to the one at work.
 */
export class Launcher implements Disposable {
  #child: ChildProcess | null = null;

  constructor() {
    process.on("SIGINT", this.#pass);
    process.on("SIGTERM", this.#pass);
  }

  readonly launch = ({ script, args }: Command): Promise<Left> =>
    new Promise((resolve, reject) => {
      const module = ownModule(`../../${script}`, import.meta.url);
      const child = spawn(process.execPath, [...nodeArguments(module), ...args], {
        stdio: ["ignore", "pipe", "pipe"],
        detached: true, // or a terminal's Ctrl-C, which goes to its whole group, would reach it twice
      });
      this.#child = child;
      let [stdout, stderr] = ["", ""];
      child.stdout.setEncoding("utf8").on("data", (part) => (stdout += part));
      child.stderr.setEncoding("utf8").on("data", (part) => (stderr += part));
      child.on("error", reject);
      child.on("close", (code) => {
        this.#child = null;
        resolve({ code, stdout, stderr });
      });
    });

  [Symbol.dispose](): void {
    process.off("SIGINT", this.#pass);
    process.off("SIGTERM", this.#pass);
  }

  readonly #pass = (signal: NodeJS.Signals): void => {
    this.#child?.kill(signal);
  };
}
