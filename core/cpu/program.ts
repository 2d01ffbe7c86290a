import type { Program, Ready, Step, Storage, TensorView, Trace } from "../device.ts";
import { runAll } from "../op.ts";
import { type Call, fuse } from "./fusion.ts";
import { Allocation } from "./heap.ts";
import { spinning } from "./kernels/threads.ts";
import type { PackedWeights } from "./product/layout.ts";
import { addressOf, type CpuStorage } from "./storage.ts";

/**
 * The calls of a plan on the CPU. Elementwise calls join their neighbours (see fusion.ts). The inputs and the results
 * are laid out in one arena where a block's place is used again after its last reader. The same operations in the same
 * order and rounding as the eager calls: results are equal bit for bit.
 */
export class CpuProgram implements Program {
  readonly #inputs: readonly TensorView[];
  readonly #kernels: readonly Ready[];
  /** What the kernels do, for profiles. */
  readonly #steps: readonly Step[];
  readonly #arena: Allocation;
  /** What got a place in the arena. */
  readonly #placed: readonly CpuStorage[];
  readonly #packed: PackedWeights[] = [];
  #disposed = false;

  constructor({ steps, inputs, outputs, changing }: Trace) {
    const calls = fuse(steps, changing, outputs);
    const { placed, arena } = layOut(calls, inputs, outputs);
    this.#arena = arena;
    this.#placed = placed;
    this.#inputs = inputs;
    try {
      this.#kernels = calls.map((call) => call.ready(this.#packed));
    } catch (error) {
      this.dispose();
      throw error;
    }
    this.#steps = calls.map((call) => call.step);
  }

  get length(): number {
    return this.#kernels.length;
  }

  get bytes(): number {
    return this.#arena.bytes;
  }

  run(inputs: readonly TensorView[]): void {
    // All are looked at before the first is written: a result of the program may be given back to it.
    const given = inputs.map((x) => (this.#holds(x) ? x.data.slice() : x.data));
    given.forEach((numbers, i) => {
      this.#inputs[i].data.set(numbers);
    });
    spinning(() => runAll(this.#kernels, this.#steps));
  }

  #holds(x: TensorView): boolean {
    const { address, bytes } = this.#arena;
    return addressOf(x) >= address && addressOf(x) < address + bytes;
  }

  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    for (const storage of this.#placed) storage.takeAway();
    for (const weights of this.#packed) weights.dispose();
    this.#arena.dispose();
  }
}

/**
 * Gives every input and result a place in one arena. Largest first, each takes the lowest offset at which no block that
 * is alive at the same time lies (greedy by size).
 */
function layOut(
  calls: readonly Call[],
  inputs: readonly TensorView[],
  outputs: readonly TensorView[],
): { placed: CpuStorage[]; arena: Allocation } {
  interface Life {
    readonly storage: CpuStorage;
    readonly first: number;
    last: number;
    offset: number;
  }
  const lives = new Map<Storage, Life>();
  const begin = (storage: Storage, at: number): void => {
    lives.set(storage, { storage: storage as CpuStorage, first: at, last: at, offset: 0 });
  };
  for (const x of inputs) begin(x.storage, -1);
  calls.forEach(({ out, slope, ins }, at) => {
    for (const x of ins) {
      const life = lives.get(x.storage);
      if (life) life.last = at;
    }
    begin(out.storage, at);
    if (slope) begin(slope.storage, at);
  });
  for (const out of outputs) {
    const life = lives.get(out.storage);
    if (life) life.last = calls.length;
  }

  const placed: Life[] = [];
  let bytes = 0;
  for (const life of [...lives.values()].sort((a, b) => b.storage.bytes - a.storage.bytes)) {
    for (const other of placed) {
      const together = other.first <= life.last && life.first <= other.last;
      if (together && other.offset < life.offset + life.storage.bytes) {
        life.offset = Math.max(life.offset, Math.ceil((other.offset + other.storage.bytes) / 64) * 64);
      }
    }
    placed.push(life);
    placed.sort((a, b) => a.offset - b.offset);
    bytes = Math.max(bytes, life.offset + life.storage.bytes);
  }

  const arena = new Allocation(bytes, "Plan");
  for (const { storage, offset } of placed) storage.place(arena.address + offset);
  return { placed: placed.map(({ storage }) => storage), arena };
}
