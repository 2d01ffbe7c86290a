import { existsSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { FormatError, makeFolder, readText, writeFileAtomic } from "../../core/index.ts";
import { differences, inOneLine } from "../differences.ts";
import { Lock } from "../eval/lock.ts";

const MOST_CONFIG_BYTES = 2 ** 20;

/**
 * The folder of a training run. It belongs to one process at a time, and to one configuration for ever: a run is a
 * function of its `config.json`.
 *
 *     config.json              everything that the run follows from
 *     metrics.jsonl            a line per so many updates, and one per evaluation
 *     events.out.tfevents.*    the same for TensorBoard, a file per process
 *     curves.png               the same as a picture
 *     last/  best/             checkpoints: of the last save, and of the best evaluation
 *     state.safetensors        all that a killed run needs to go on
 */
export class RunFolder implements Disposable {
  readonly path: string;
  readonly #lock: Lock;

  private constructor(path: string, lock: Lock) {
    this.path = path;
    this.#lock = lock;
  }

  /** Makes the folder, or takes up one of the same configuration. Throws for one of another, naming what differs. */
  static open(path: string, config: object): RunFolder {
    makeFolder(path);
    const lock = Lock.take(join(path, "run"));
    try {
      const file = join(path, "config.json");
      const text = `${JSON.stringify(config, null, 2)}\n`;
      if (!existsSync(file)) writeFileAtomic(file, text);
      else refuseOther(path, readConfig(file), JSON.parse(text));
      removeUnfinished(path);
      return new RunFolder(path, lock);
    } catch (error) {
      lock[Symbol.dispose]();
      throw error;
    }
  }

  get metrics(): string {
    return join(this.path, "metrics.jsonl");
  }
  get curves(): string {
    return join(this.path, "curves.png");
  }
  get state(): string {
    return join(this.path, "state.safetensors");
  }
  get last(): string {
    return join(this.path, "last");
  }
  get best(): string {
    return join(this.path, "best");
  }
  get badBatch(): string {
    return join(this.path, "bad-batch.safetensors");
  }

  [Symbol.dispose](): void {
    this.#lock[Symbol.dispose]();
  }
}

function readConfig(path: string): unknown {
  const text = readText(path, MOST_CONFIG_BYTES);
  try {
    return JSON.parse(text);
  } catch {
    throw new FormatError(path, "the configuration of a run, as JSON", text.slice(0, 80));
  }
}

function refuseOther(path: string, there: unknown, here: unknown): void {
  const differing = differences(there, here);
  if (differing.length === 0) return;
  throw new Error(
    `${path}: expected a run of the same configuration, found another ` +
      `(${inOneLine(differing)}): ` +
      "choose another folder, or delete this one",
  );
}

/** What a killed process was writing, here and in the folders of checkpoints. */
function removeUnfinished(path: string): void {
  for (const name of readdirSync(path, { recursive: true, encoding: "utf8" }))
    if (name.endsWith(".tmp")) rmSync(join(path, name), { force: true });
}
