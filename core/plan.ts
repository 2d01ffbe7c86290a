import { type Call, fuse } from "./fusion.ts";
import type { PackedWeights } from "./kernels/wasm/packed.ts";
import { spinning } from "./kernels/wasm/threads.ts";
import { allocate, release } from "./memory.ts";
import { noGrad, type Ready, recorder, type Step } from "./op.ts";
import { Scope, scopes } from "./scope.ts";
import { showShape } from "./shape.ts";
import { type Block, Tensor } from "./tensor.ts";

/**
 * A forward pass, captured once and replayed without allocating.
 *
 * Capture runs `body` once on copies of the example inputs and writes down its kernel calls. Calls that do not depend
 * on an input are dropped, their results kept; elementwise calls join their neighbours (see fusion.ts). The remaining
 * results are laid out in one arena where a block's place is used again after its last reader. Replay does the same
 * operations in the same order and rounding, so it equals the eager pass bit for bit. `body` must compute by ops alone: numbers it reads or draws on the host are frozen into the plan.
 */
export class Plan implements Disposable {
  readonly #inputs: readonly Tensor[];
  readonly #outputs: readonly Tensor[];
  readonly #calls: readonly Ready[];
  readonly #arena: { address: number; bytes: number };
  readonly #packed: PackedWeights[] = [];
  readonly #scope: Scope;

  /**
   * `variables` are tensors that `body` reads beside its inputs and whose content changes between replays, such as the
   * parameters of a training step: what depends on them is computed at each replay. All other tensors are constants.
   */
  constructor(
    body: (...inputs: Tensor[]) => Tensor | readonly Tensor[],
    examples: readonly Tensor[],
    variables: readonly Tensor[] = [],
  ) {
    if (recorder.steps) throw new Error("Plan: a plan cannot be captured inside another");
    const open = scopes.current;
    scopes.current = null;
    this.#scope = new Scope(); // owns all tensors of the plan; ended by dispose()
    try {
      this.#inputs = examples.map((x) => Tensor.from(x.data, x.shape, x.dtype));
      const steps: Step[] = [];
      recorder.steps = steps;
      scopes.capturing = this.#scope;
      const result = noGrad(() => body(...this.#inputs));
      this.#outputs = result instanceof Tensor ? [result] : result;
      recorder.steps = null;
      scopes.capturing = null;

      const { live, changing } = withoutConstants(steps, [...this.#inputs, ...variables]);
      const calls = fuse(live, changing, this.#outputs);
      this.#arena = layOut(calls, this.#outputs);
      this.#calls = calls.map((call) => call.ready(this.#packed));
    } catch (error) {
      scopes.capturing = null;
      scopes.current = this.#scope;
      this.#scope[Symbol.dispose]();
      throw error;
    } finally {
      recorder.steps = null;
      scopes.capturing = null;
      scopes.current = open;
    }
  }

  /** Kernel calls per replay. */
  get length(): number {
    return this.#calls.length;
  }

  /** Bytes of the arena that the intermediate results share. */
  get arenaBytes(): number {
    return this.#arena.bytes;
  }

  /** Replays on new inputs of the captured shapes. The results are the plan's own: read them before the next replay. */
  run(...inputs: readonly Tensor[]): readonly Tensor[] {
    if (inputs.length !== this.#inputs.length) {
      throw new Error(`Plan.run: expected ${this.#inputs.length} inputs, got ${inputs.length}`);
    }
    inputs.forEach((x, i) => {
      const slot = this.#inputs[i];
      if (x.dtype !== slot.dtype || showShape(x.shape) !== showShape(slot.shape)) {
        throw new Error(
          `Plan.run: input ${i}: expected ${slot.dtype} ${showShape(slot.shape)}, got ${x.dtype} ${showShape(x.shape)}`,
        );
      }
      slot.data.set(x.data);
    });
    spinning(() => {
      for (const call of this.#calls) call();
    });
    return this.#outputs;
  }

  [Symbol.dispose](): void {
    const open = scopes.current;
    scopes.current = this.#scope;
    this.#scope[Symbol.dispose]();
    scopes.current = open;
    for (const weights of this.#packed) weights.dispose();
    release(this.#arena.address, this.#arena.bytes);
  }
}

/** Leaves out the calls whose inputs never change from replay to replay. */
function withoutConstants(
  steps: readonly Step[],
  inputs: readonly Tensor[],
): { live: Step[]; changing: Set<Block> } {
  const changing = new Set<Block>(inputs.map((x) => x.block));
  const live = steps.filter((step) => {
    if (!step.op.volatile && !step.ins.some((x) => changing.has(x.block))) return false;
    changing.add(step.out.block);
    return true;
  });
  return { live, changing };
}

/**
 * Gives every result a place in one arena. Largest first, each takes the lowest offset at which no block that is
 * alive at the same time lies (greedy by size).
 */
function layOut(calls: readonly Call[], outputs: readonly Tensor[]): { address: number; bytes: number } {
  interface Life {
    readonly block: Block;
    readonly first: number;
    last: number;
    offset: number;
  }
  const lives = new Map<Block, Life>();
  calls.forEach(({ out, ins }, at) => {
    for (const x of ins) {
      const life = lives.get(x.block);
      if (life) life.last = at;
    }
    lives.set(out.block, { block: out.block, first: at, last: at, offset: 0 });
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

  const address = allocate(bytes);
  for (const { block, offset } of placed) {
    release(block.address, block.bytes);
    block.address = address + offset;
    block.planned = true;
  }
  return { address, bytes };
}
