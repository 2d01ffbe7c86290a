import type { Memory } from "../../platform/platform.ts";

/** What threads.ts hands to a worker thread. */
export interface Start {
  /** The words both sides share. */
  readonly control: Int32Array;
  /** Where each word stands. */
  readonly word: Readonly<Record<WordName, number>>;
  /** Room for an error message. */
  readonly text: Uint8Array;
  /** The heap. */
  readonly memory: Memory;
  /** This thread's scratch block. */
  readonly scratch: number;
}

export type WordName =
  | "left"
  | "done"
  | "signal"
  | "parked"
  | "spin"
  | "kernel"
  | "code"
  | "codeBytes"
  | "tiles"
  | "chunks"
  | "chunkSize"
  | "failed"
  | "argCount"
  | "args";

/**
 * A worker thread, for ever: claims chunks of whatever job threads.ts has published, spins while it may, parks
 * otherwise.
 *
 * The text of this function is what a worker runs, so that there is no file to find, bundled or not: it stands for
 * itself, and calls nothing from outside of it.
 */
export function serve({ control, word, text, memory, scratch }: Start): void {
  /** Polls without work before a spinning worker parks all the same: about a millisecond. */
  const PATIENCE = 100_000;
  const kernels = new Map<number, (...args: number[]) => void>();
  for (let idle = 0; ; idle++) {
    // Claiming is one subtraction: what it returns belongs to the job published at that moment, or says there is none.
    const left = Atomics.load(control, word.left) > 0 ? Atomics.sub(control, word.left, 1) : 0;
    if (left > 0) {
      // The job stays as it is until every claimed chunk is done.
      try {
        const id = control[word.kernel];
        let run = kernels.get(id);
        if (!run) {
          const [at, size] = [control[word.code] >>> 0, control[word.codeBytes]];
          // What JavaScript sees of the memory follows its growth when the engine gets round to it, as it does in
          // loops.
          while (memory.buffer.byteLength < at + size);
          // The engine has compiled these bytes for the main thread, and finds that code again.
          const bytes = new Uint8Array(memory.buffer, at, size);
          const env = { memory: memory as WebAssembly.Memory, scratch, sin: Math.sin, cos: Math.cos };
          const { exports } = new WebAssembly.Instance(new WebAssembly.Module(Uint8Array.from(bytes)), {
            env,
          });
          run = exports.run as (...args: number[]) => void;
          kernels.set(id, run);
        }
        const begin = (control[word.chunks] - left) * control[word.chunkSize];
        const end = Math.min(begin + control[word.chunkSize], control[word.tiles]);
        run(...control.subarray(word.args, word.args + control[word.argCount]), begin, end);
      } catch (error) {
        const message = new TextEncoder().encode(String(error)).subarray(0, text.length - 1);
        text.fill(0).set(message);
        Atomics.store(control, word.failed, 1);
      }
      if (Atomics.add(control, word.done, 1) + 1 === control[word.chunks]) Atomics.notify(control, word.done);
      idle = 0;
    } else if (Atomics.load(control, word.spin) === 0 || idle > PATIENCE) {
      const signal = Atomics.load(control, word.signal);
      Atomics.add(control, word.parked, 1);
      if (Atomics.load(control, word.left) <= 0) Atomics.wait(control, word.signal, signal);
      Atomics.sub(control, word.parked, 1);
      idle = 0;
    }
  }
}
