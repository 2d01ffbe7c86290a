import type { Device, Program, Ready, Step, TensorView, Trace } from "../device.ts";
import { runAll } from "../op.ts";
import type { GpuStorage } from "./storage.ts";

/** The calls of a plan on a GPU: launches in a row. A result is freed after its last reader. */
export class GpuProgram implements Program {
  readonly bytes: number;
  readonly #inputs: readonly GpuStorage[];
  readonly #calls: readonly Ready[];
  /** What the calls are, for profiles. */
  readonly #steps: readonly Step[];
  /** Storages that are part of it. */
  readonly #planned = new Set<GpuStorage>();

  constructor(device: Device, { steps, inputs, outputs }: Trace) {
    this.#inputs = inputs.map(storageOf);
    this.#steps = steps;
    const kept = new Set(outputs.map(storageOf));
    const last = new Map<GpuStorage, number>();
    const note = (x: TensorView, at: number): void => {
      const storage = storageOf(x);
      if (!storage.planned) return;
      this.#planned.add(storage);
      if (!kept.has(storage)) last.set(storage, at);
    };
    for (const x of inputs) note(x, -1);
    steps.forEach(({ out, ins }, at) => {
      for (const x of [out, ...ins]) note(x, at);
    });
    this.bytes = mostAlive(inputs, steps, last);
    this.#calls = steps.map(({ op, out, ins, attrs }, at) => {
      const ready = device.prepare(op, out, ins, attrs);
      const done = [...last].flatMap(([storage, end]) => (end === at ? [storage] : []));
      return () => {
        ready();
        for (const storage of done) storage.take(null);
      };
    });
  }

  get length(): number {
    return this.#calls.length;
  }

  run(inputs: readonly TensorView[]): void {
    inputs.forEach((x, i) => {
      this.#inputs[i].share(storageOf(x));
    });
    runAll(this.#calls, this.#steps);
  }

  dispose(): void {
    for (const storage of this.#planned) storage.takeAway();
  }
}

const storageOf = (x: TensorView): GpuStorage => x.storage as GpuStorage;

/** The most bytes that planned storages hold at a time; `last` says after which call a storage is freed. */
function mostAlive(
  inputs: readonly TensorView[],
  steps: readonly Step[],
  last: ReadonlyMap<GpuStorage, number>,
): number {
  const alive = new Set(inputs.map(storageOf));
  const bytes = (): number => [...alive].reduce((sum, storage) => sum + storage.bytes, 0);
  let most = bytes();
  steps.forEach(({ out }, at) => {
    if (out.storage.planned) alive.add(storageOf(out));
    most = Math.max(most, bytes());
    for (const storage of alive) if (last.get(storage) === at) alive.delete(storage);
  });
  return most;
}
