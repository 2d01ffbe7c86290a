import { Capture } from "./capture.ts";
import { checkFunction } from "./check.ts";
import { HeapBlock } from "./cpu/heap.ts";
import type { PackedWeights } from "./cpu/kernels/packed.ts";
import { spinning } from "./cpu/kernels/threads.ts";
import { type Call, fuse } from "./fusion.ts";
import { isTracked, type Ready, runAll, type Step, tracksGradients } from "./op.ts";
import { refuseInCapture } from "./recorder.ts";
import { sameShape, showShape } from "./shape.ts";
import { type Block, CUT, checkTensor, checkTensors, type Tensor } from "./tensor.ts";

/**
 * A forward pass, captured once and replayed without allocating.
 *
 * Capture runs `body` once on copies of the example inputs and writes down its kernel calls. Calls that do not depend
 * on an input are dropped, their results kept; elementwise calls join their neighbours (see fusion.ts). The inputs and the
 * remaining results are laid out in one arena where a block's place is used again after its last reader. Replay does the
 * same operations in the same order and rounding, so it equals the eager pass bit for bit.
 *
 * `body` must compute by ops alone: looking at numbers that change from replay to replay, drawing random numbers and
 * updating parameters throw while it is captured. What the host decides (branches, numbers read from constants, training
 * mode) is frozen. The plan is one more owner of every tensor and frozen weight that it reads, so these may be freed
 * before it. See docs/memory.md.
 */
export class Plan implements Disposable {
  readonly #inputs: readonly Tensor[];
  readonly #outputs: readonly Tensor[];
  readonly #calls: readonly Ready[];
  /** What the calls are, for profiles. */
  readonly #steps: readonly Step[];
  readonly #capture: Capture;
  readonly #arena: HeapBlock;
  readonly #packed: PackedWeights[] = [];
  #disposed = false;

  /**
   * `variables` are tensors that `body` reads beside its inputs and whose content changes between replays, such as the
   * parameters of a training step: what depends on them is computed at each replay. All other tensors are constants, whose
   * content must not change any more.
   */
  constructor(
    body: (...inputs: Tensor[]) => Tensor | readonly Tensor[],
    examples: readonly Tensor[],
    variables: readonly Tensor[] = [],
  ) {
    refuseInCapture("Plan", "capture one plan after the other");
    checkFunction(body, "Plan", "body");
    checkTensors(examples, "Plan: examples");
    checkTensors(variables, "Plan: variables");
    this.#capture = new Capture(variables);
    let arena: HeapBlock | null = null;
    try {
      const { inputs, outputs } = this.#capture.trace(body, examples);
      const calls = fuse(this.#capture.steps, this.#capture.changing, outputs);
      arena = layOut(calls, inputs, outputs);
      this.#calls = calls.map((call) => call.ready(this.#packed));
      this.#steps = calls.map((call) => call.step);
      this.#inputs = inputs;
      this.#outputs = outputs;
      this.#arena = arena;
    } catch (error) {
      this.#free(arena);
      throw error;
    }
  }

  /** Kernel calls per replay. */
  get length(): number {
    this.#checkAlive("length");
    return this.#calls.length;
  }

  /** Bytes of the arena that inputs and results share. */
  get arenaBytes(): number {
    this.#checkAlive("arenaBytes");
    return this.#arena.bytes;
  }

  /**
   * Replays on new inputs of the captured shapes. The results are tensors of the current scope that look at the plan's
   * memory: read them before the next replay, which writes there again. Without history.
   */
  run(...inputs: readonly Tensor[]): readonly Tensor[] {
    this.#checkAlive("run");
    refuseInCapture("Plan.run", "call what the plan was captured from");
    if (inputs.length !== this.#inputs.length) {
      throw new Error(`Plan.run: expected ${this.#inputs.length} inputs, got ${inputs.length}`);
    }
    // All are looked at before the first is written: a result of the plan may be given back to it.
    const given = inputs.map((x, i) => {
      checkTensor(x, "Plan.run");
      const slot = this.#inputs[i];
      if (x.dtype !== slot.dtype || !sameShape(x.shape, slot.shape)) {
        throw new Error(
          `Plan.run: input ${i}: expected ${slot.dtype} ${showShape(slot.shape)}, got ${x.dtype} ${showShape(x.shape)}`,
        );
      }
      const own = x.address >= this.#arena.address && x.address < this.#arena.address + this.#arena.bytes;
      return own ? x.data.slice() : x.data;
    });
    given.forEach((numbers, i) => {
      this.#inputs[i].data.set(numbers);
    });
    spinning(() => runAll(this.#calls, this.#steps));
    const cut = tracksGradients() && (this.#capture.tracked || inputs.some(isTracked));
    return this.#outputs.map((out) => {
      const result = out.detach();
      if (cut) result.node = CUT;
      return result;
    });
  }

  /** Frees what the plan owns. Its results throw afterwards, and so does all use of it. */
  [Symbol.dispose](): void {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#free(this.#arena);
  }

  #checkAlive(what: string): void {
    if (this.#disposed) throw new Error(`Plan.${what}: the plan was disposed of`);
  }

  #free(arena: HeapBlock | null): void {
    this.#capture.dispose();
    for (const weights of this.#packed) weights.dispose();
    arena?.dispose();
  }
}

/**
 * Gives every input and result a place in one arena. Largest first, each takes the lowest offset at which no block that is
 * alive at the same time lies (greedy by size).
 */
function layOut(calls: readonly Call[], inputs: readonly Tensor[], outputs: readonly Tensor[]): HeapBlock {
  interface Life {
    readonly block: Block;
    readonly first: number;
    last: number;
    offset: number;
  }
  const lives = new Map<Block, Life>();
  const begin = (block: Block, at: number): void => {
    lives.set(block, { block, first: at, last: at, offset: 0 });
  };
  for (const x of inputs) begin(x.block, -1);
  calls.forEach(({ out, ins }, at) => {
    for (const x of ins) {
      const life = lives.get(x.block);
      if (life) life.last = at;
    }
    begin(out.block, at);
  });
  for (const out of outputs) {
    const life = lives.get(out.block);
    if (life) life.last = calls.length;
  }

  const placed: Life[] = [];
  let bytes = 0;
  for (const life of [...lives.values()].sort((a, b) => b.block.bytes - a.block.bytes)) {
    for (const other of placed) {
      const together = other.first <= life.last && life.first <= other.last;
      if (together && other.offset < life.offset + life.block.bytes) {
        life.offset = Math.max(life.offset, Math.ceil((other.offset + other.block.bytes) / 64) * 64);
      }
    }
    placed.push(life);
    placed.sort((a, b) => a.offset - b.offset);
    bytes = Math.max(bytes, life.offset + life.block.bytes);
  }

  const arena = new HeapBlock(bytes, "Plan");
  for (const { block, offset } of placed) block.address = arena.address + offset;
  return arena;
}
