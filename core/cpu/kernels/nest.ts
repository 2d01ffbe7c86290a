/**
 * The default kernel: the loops of any formula (formula/loops.ts) as SIMD code. Four elements are computed side by
 * side, along the innermost axis or, where that reads memory better and for what a whole row has in common, four terms
 * of a reduction. What lies one behind the other is loaded at once, other numbers are gathered one by one.
 *
 * Reductions in which each element has a lane of its own add up in the order of their counter; the others have four
 * sums that are added at the end, and then the terms that do not fill a vector. Addresses, lengths, strides and params
 * are arguments: one kernel serves all shapes that are walked alike.
 */
import type { Expr } from "../../formula/expr.ts";
import { Index, type Variable } from "../../formula/indices.ts";
import { counterOf, flatten } from "../../formula/launch.ts";
import {
  type Block,
  countersOf,
  type Nest,
  type Reduction,
  type Step,
  type Value,
} from "../../formula/loops.ts";
import type { Local } from "./assembler.ts";
import { type Kernel, type KernelCode, kernelByCode, rehearse } from "./engine.ts";
import { emitNode, nodeCost } from "./formula.ts";
import { load, loadLane, loadOne, loadSplat } from "./loads.ts";
import { MOST_NUMBERS, type Numbers, Places } from "./nest-places.ts";
import { F32x4, type I32, I32x4, int } from "./values.ts";

export interface NestKernel {
  /** Arguments: the output's address, those of the nest's sources, `numbers`, and the bits of the params. */
  readonly kernel: Kernel;
  readonly numbers: readonly number[];
  readonly tiles: number;
  /** Microseconds on one thread, roughly. */
  readonly cost: number;
}

/** Elements per tile where there is one axis only: of a formula without reductions, and with. */
const CHUNK = { plain: 2048, reducing: 16 };

/** The kernel of a launch. `sources` are those of the nest. */
export function nestKernel(nest: Nest, sources: readonly Numbers[], params: number): NestKernel {
  let writer: Writer | undefined;
  const build = (code: KernelCode): void => {
    writer = new Writer(nest, sources, params, code);
    writer.write();
  };
  const given = 1 + nest.sources.length + params;
  rehearse(given + MOST_NUMBERS, build);
  const numbers = writer?.numbers ?? [];
  const kernel = kernelByCode(given + numbers.length, build);
  const { axes } = nest.launch;
  const tiles = axes.length === 1 ? Math.ceil(axes[0].length / chunkOf(nest)) : (axes[0]?.length ?? 1);
  return { kernel, numbers, tiles, cost: costOf(nest.outermost) / 1e6 };
}

/** Of all turns of a block's loop. */
function costOf({ variable, steps }: Block): number {
  const turn = steps.reduce((sum, step) => {
    if (step.kind === "let") return sum + nodeCost(step.value.node) + partsCost(step.value);
    if (step.kind === "store") return sum + inlineCost(step.value);
    const terms = step.kind === "reduce" ? step.results.reduce((all, { of }) => all + inlineCost(of), 0) : 0;
    return sum + costOf(step.block) + terms * (step.block.variable?.length ?? 1);
  }, 100);
  return turn * (variable?.length ?? 1);
}

const partsCost = ({ parts }: Value): number => parts.reduce((sum, part) => sum + inlineCost(part), 0);

/** Of what has no step of its own, where it is used. */
const inlineCost = (value: Value): number => (value.inline ? nodeCost(value.node) + partsCost(value) : 0);

/** What costs more than this is not computed for lanes that do not take it. */
const WORTH_A_BRANCH = 500;

function innermostOf(block: Block): Block {
  const step = block.steps.at(-1);
  return step?.kind === "loop" ? innermostOf(step.block) : block;
}

const reduces = ({ steps }: Block): boolean => steps.some(({ kind }) => kind === "reduce");

const chunkOf = (nest: Nest): number => (reduces(innermostOf(nest.outermost)) ? CHUNK.reducing : CHUNK.plain);

/** The indices that a block's own steps use, and those of blocks inside, with the block where each is used. */
function* usesOf(block: Block): Generator<{ index: Index; block: Block }> {
  const ofValue = function* (value: Value, top: boolean): Generator<{ index: Index; block: Block }> {
    if (!top && !value.inline) return;
    for (const index of wholesOf(value)) yield { index, block };
    for (const part of value.parts) yield* ofValue(part, false);
  };
  for (const step of block.steps) {
    if (step.kind === "let" || step.kind === "store") yield* ofValue(step.value, step.kind === "let");
    else yield* usesOf(step.block);
    if (step.kind === "reduce") for (const { of } of step.results) yield* usesIn(of, step.block);
  }
}

function* usesIn(value: Value, block: Block): Generator<{ index: Index; block: Block }> {
  if (!value.inline) return;
  for (const index of wholesOf(value)) yield { index, block };
  for (const part of value.parts) yield* usesIn(part, block);
}

/** Whole numbers that a value's code needs: where it reads, or how far apart those are that it compares. */
function wholesOf({ node }: Value): Index[] {
  if (node.kind === "read") return [node.at];
  if (node.kind === "whole") return [node.index];
  return node.kind === "choose" ? [node.a.sub(node.b)] : [];
}

/** How an index moves with a counter: by a constant at each turn, or some other way (null). */
function strideOf(index: Index, counter: Variable): number | null {
  let stride = 0;
  for (const { atom, factor } of index.terms) {
    if (atom.kind !== "variable") {
      if (countersOf(Index.atom(atom)).has(counter)) return null;
    } else if (atom.variable === counter) stride = factor;
  }
  return stride;
}

/** Whether elements along that counter can be computed from what is loaded at once. */
const isSmooth = (index: Index, counter: Variable): boolean => [0, 1].includes(strideOf(index, counter) ?? 2);

/** What the lanes of a vector are: neighbours along a counter, or (null) the same number four times. */
interface Lanes {
  readonly along: Variable | null;
  /** True where reductions may have their terms in the lanes. */
  readonly free: boolean;
}

class Writer {
  readonly #nest: Nest;
  readonly #code: KernelCode;
  readonly #places: Places;
  readonly #params: readonly Local<F32x4>[];
  readonly #values = new Map<number, Local<F32x4>>();
  /** Where the element is stored. */
  readonly #place: Index;

  constructor(nest: Nest, sources: readonly Numbers[], params: number, code: KernelCode) {
    this.#nest = nest;
    this.#code = code;
    this.#places = new Places(nest, sources, code);
    const { f, args } = code;
    this.#params = args.slice(args.length - params).map((bits) => f.let(bits.asF32().splat()));
    const { axes } = nest.launch;
    this.#place = flatten(
      axes.map(counterOf),
      axes.map(({ length }) => length),
    );
    this.#places.note(this.#place, innermostOf(nest.outermost));
    for (const { index, block } of usesOf(nest.outermost)) this.#places.note(index, block);
  }

  /** Lengths, strides and sizes that are arguments. */
  get numbers(): readonly number[] {
    return this.#places.numbers;
  }

  write(): void {
    const { f, tileBegin, tileEnd } = this.#code;
    f.if(tileBegin.lt(tileEnd), () => this.#block(this.#nest.outermost, { along: null, free: true }));
  }

  // Loops.

  #block(block: Block, lanes: Lanes): void {
    this.#places.enter(block);
    for (const step of block.steps) this.#step(step, block, lanes);
  }

  #step(step: Step, block: Block, lanes: Lanes): void {
    const { f, args } = this.#code;
    switch (step.kind) {
      case "let":
        this.#values.set(step.value.id, this.#compute(step.value, block, lanes));
        break;
      case "reduce":
        this.#reduce(step.block, step.results, lanes);
        break;
      case "loop":
        this.#axis(step.block, block.parent === null && block.variable === null);
        break;
      case "store": {
        const value = this.#value(step.value, block, lanes);
        const address = args[0].add(this.#places.whole(this.#place, block).shl(2));
        if (lanes.along) f.store(address, value);
        else f.storeLane(address, value, 0);
      }
    }
  }

  /** An axis; tiles are parts of the first. */
  #axis(block: Block, first: boolean): void {
    const { f, tileBegin, tileEnd } = this.#code;
    const variable = block.variable as Variable;
    const length = this.#places.number(variable.name, variable.length);
    const last = block.steps.at(-1)?.kind === "store";
    const chunk = first && last ? chunkOf(this.#nest) : 1;
    const from = first ? f.let(tileBegin.mul(chunk)) : int(0);
    const to = first ? f.let(f.let(tileEnd.mul(chunk)).min(length)) : length;
    const side = last && this.#sideBySide(block, variable);
    const counter = this.#places.counter(variable);
    f.set(counter, from);
    if (side) {
      const whole = f.let(from.add(to.sub(from).and(-4)));
      this.#turns(counter, whole, 4, () => this.#block(block, { along: variable, free: false }));
    }
    this.#turns(counter, to, 1, () => this.#block(block, { along: null, free: !side }));
  }

  /** Whether the elements of the innermost axis, rather than terms of their reductions, are to lie side by side. */
  #sideBySide(block: Block, variable: Variable): boolean {
    if (!reduces(block)) return true;
    if (variable.length < 4) return false;
    let [elements, terms] = [0, 0];
    for (const use of usesOf(block)) {
      if (use.block === block) continue;
      if (!isSmooth(use.index, variable)) elements++;
      if (!isSmooth(use.index, use.block.variable as Variable)) terms++;
    }
    return elements <= terms;
  }

  /** From where the counter stands to `end`. */
  #turns(counter: Local<I32>, end: I32, step: number, body: () => void): void {
    const { f } = this.#code;
    f.if(counter.lt(end), () =>
      f.repeatWhile(
        () => {
          body();
          f.bump(counter, step);
        },
        () => counter.lt(end),
      ),
    );
  }

  #reduce(block: Block, results: readonly Reduction[], lanes: Lanes): void {
    const { f } = this.#code;
    const variable = block.variable as Variable;
    const length = this.#places.number(variable.name, variable.length);
    const counter = this.#places.counter(variable);
    const totals = results.map(({ name, value }) => {
      const total = f.let<F32x4>(f.constant(name === "sum" ? 0 : Number.NEGATIVE_INFINITY));
      this.#values.set(value.id, total);
      return total;
    });
    const join = (name: string, a: F32x4, b: F32x4): F32x4 => (name === "sum" ? a.add(b) : a.max(b));
    const terms = (own: Lanes) => () => {
      this.#block(block, own);
      results.forEach(({ name, of }, i) => {
        f.set(totals[i], join(name, totals[i], this.#value(of, block, own)));
      });
    };
    f.set(counter, int(0));
    const free = lanes.free && lanes.along === null;
    if (free && !reduces(block)) {
      this.#turns(counter, f.let(length.and(-4)), 4, terms({ along: variable, free: false }));
      results.forEach(({ name }, i) => {
        const [total] = [totals[i]];
        f.set(total, join(name, total, total.shuffle(total, [2, 3, 0, 1])));
        f.set(total, join(name, total, total.shuffle(total, [1, 0, 3, 2])));
      });
      this.#turns(counter, length, 1, terms({ along: null, free: false }));
    } else this.#turns(counter, length, 1, terms(lanes));
  }

  // Numbers.

  #value(value: Value, block: Block, lanes: Lanes): Local<F32x4> {
    return value.inline ? this.#compute(value, block, lanes) : (this.#values.get(value.id) as Local<F32x4>);
  }

  #compute(value: Value, block: Block, lanes: Lanes): Local<F32x4> {
    const { node, parts } = value;
    if (node.kind === "param") return this.#params[node.index];
    if (node.kind === "read") {
      const numbers = this.#read(node, block, lanes);
      const { integers } = this.#places.source(node.source.name);
      return integers ? this.#code.f.let(numbers.as(I32x4).toF32x4()) : numbers;
    }
    if (node.kind === "whole") return this.#code.f.let(this.#wholes(node.index, block, lanes).toF32x4());
    if (node.kind === "choose") return this.#choose(value, this.#test(node, block, lanes), block, lanes);
    return emitNode(
      this.#code,
      node,
      parts.map((part) => this.#value(part, block, lanes)),
    );
  }

  /** Lanes of one value or the other. What takes long and is needed nowhere else is left out where no lane takes it. */
  #choose({ parts }: Value, test: I32x4, block: Block, lanes: Lanes): Local<F32x4> {
    const { f } = this.#code;
    const mask = f.let(test);
    const [yes, no] = parts.map((part, i) => {
      if (inlineCost(part) < WORTH_A_BRANCH) return this.#value(part, block, lanes);
      const own = f.local(F32x4);
      const some = i === 0 ? mask : mask.xor(f.constantInt(-1));
      f.if(some.any(), () => f.set(own, this.#compute(part, block, lanes)));
      return own;
    });
    return f.let(mask.select<F32x4>(yes, no));
  }

  #test({ test, a, b }: Extract<Expr["node"], { kind: "choose" }>, block: Block, lanes: Lanes): I32x4 {
    const { f } = this.#code;
    const difference = a.sub(b);
    const { along } = lanes;
    if (!along || strideOf(difference, along) === 0) {
      const first = f.let(this.#places.whole(difference, block));
      return int(0)
        .sub(test === "less" ? first.shr(31) : first.eq(0))
        .splat();
    }
    const distances = this.#wholes(difference, block, lanes);
    return test === "less" ? distances.lt(f.constantInt(0)) : distances.eq(f.constantInt(0));
  }

  /** A whole number in each lane. */
  #wholes(index: Index, block: Block, { along }: Lanes): I32x4 {
    const { f } = this.#code;
    const stride = along ? strideOf(index, along) : 0;
    const first = f.let(this.#places.whole(index, block));
    if (stride === 0) return first.splat();
    if (stride !== null) return first.splat().add(I32x4.of(0, stride, 2 * stride, 3 * stride));
    let all = f.let(first.splat().as(F32x4));
    for (let lane = 1; lane < 4; lane++)
      all = f.let(all.withLane(lane, this.#places.laneOf(index, block, along as Variable, lane).asF32()));
    return all.as(I32x4);
  }

  #read({ source, at }: Extract<Expr["node"], { kind: "read" }>, block: Block, lanes: Lanes): Local<F32x4> {
    const { f } = this.#code;
    const { base, size } = this.#places.source(source.name);
    const inside = at.low >= 0 && at.high < size;
    const { along } = lanes;
    const stride = along ? strideOf(at, along) : 0;
    const first = f.let(this.#places.whole(at, block));
    /** Where a number lies; that of a place outside is read from the start, and not used. */
    const address = (place: I32): I32 => {
      const own = inside ? place : f.let(place);
      return base.add(
        (inside ? own : own.lt(this.#places.number(`${source.name} size`, size)).select(own, 0)).shl(2),
      );
    };
    if (stride === 0 || !along) return f.let(loadSplat(address(first)));
    const atOnce = (): F32x4 => load(F32x4, base.add(first.shl(2)));
    if (stride === 1 && inside) return f.let(atOnce());
    const gathered = (): F32x4 => {
      let all = f.let(loadOne(address(first)));
      for (let lane = 1; lane < 4; lane++) {
        const place =
          stride === null
            ? this.#places.laneOf(at, block, along, lane)
            : first.add(this.#places.number(`${lane * stride}`, lane * stride));
        all = f.let(loadLane(all, lane, address(place)));
      }
      return all;
    };
    if (stride !== 1) return f.let(gathered());
    const out = f.local(F32x4);
    const whole = this.#places.number(`${source.name} vectors`, Math.max(0, size - 3));
    f.if(
      first.lt(whole),
      () => f.set(out, atOnce()),
      () => f.set(out, gathered()),
    );
    return out;
  }
}
