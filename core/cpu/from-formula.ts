/** What the CPU does for an op that nobody wrote a kernel for: the loops of its formula as SIMD code. */
import type { Computation, Ready, TensorView } from "../device.ts";
import type { Source } from "../formula/expr.ts";
import { launchesOf, nestOf } from "../formula/loops.ts";
import { keyOf, resultsOf } from "../formula/plain.ts";
import { allocate, release } from "./heap.ts";
import { bitsOf } from "./kernels/elementwise.ts";
import { usesFma } from "./kernels/engine.ts";
import { type NestKernel, nestKernel } from "./kernels/nest.ts";
import { runTiles } from "./kernels/threads.ts";
import { addressOf } from "./storage.ts";

interface Launch extends NestKernel {
  readonly sources: readonly Source[];
  /** Bytes from the start of the scratch block to the result; null for the last launch's, which is the output. */
  readonly offset: number | null;
}

interface Compiled {
  readonly launches: readonly Launch[];
  /** By name of the launch. */
  readonly offsets: ReadonlyMap<string, number>;
  /** For all results but the last. */
  readonly scratchBytes: number;
}

/** Combinations of shapes that are kept for an op; programs use a few, random tests thousands. */
const MOST = 1000;

const compiled = new WeakMap<object, Map<string, Compiled | null>>();

/**
 * A call of an op made ready from its formula, in float32; null for other types, for numbers that the host makes, and
 * for ops that work in place.
 */
export function fromFormula<A>(
  op: Computation<A>,
  out: TensorView,
  ins: readonly TensorView[],
  attrs: A,
): Ready | null {
  if (!op.formula || op.hosted || out.dtype !== "float32" || out.size === 0) return null;
  let known = compiled.get(op);
  if (!known) compiled.set(op, (known = new Map()));
  const params = op.params?.(attrs) ?? [];
  const key = `${usesFma()} ${keyOf(op, out, ins, attrs)}`;
  let found = known.get(key);
  if (found === undefined) {
    if (known.size === MOST) known.clear();
    known.set(key, (found = compile(op, ins, attrs, params.length)));
  }
  return found && ready(found, out, ins, bitsOf(params));
}

function compile<A>(
  op: Computation<A>,
  ins: readonly TensorView[],
  attrs: A,
  params: number,
): Compiled | null {
  if (ins.some((x) => x.dtype === "float64")) return null;
  const [result] = resultsOf(op, ins, attrs);
  const stages = launchesOf(result);
  const sizes = new Map(stages.map(({ source, size }) => [source.name, size]));
  const offsets = new Map<string, number>();
  let scratchBytes = 0;
  const launches = stages.map(({ source, launch, size }): Launch => {
    const nest = nestOf(launch);
    const numbers = nest.sources.map(({ input, name }) =>
      input === null
        ? { size: sizes.get(name) as number, integers: false }
        : { size: ins[input].size, integers: ins[input].dtype === "int32" },
    );
    const last = source.name === result.source.name;
    const offset = last ? null : scratchBytes;
    if (!last) {
      offsets.set(source.name, scratchBytes);
      scratchBytes += 64 * Math.ceil(size / 16);
    }
    return { ...nestKernel(nest, numbers, params), sources: nest.sources, offset };
  });
  return { launches, offsets, scratchBytes };
}

function ready(
  { launches, offsets, scratchBytes }: Compiled,
  out: TensorView,
  ins: readonly TensorView[],
  params: readonly number[],
): Ready {
  /** Runs the launches; their results lie from `scratch` on. */
  const calls = launches.map(({ kernel, numbers, sources, offset, tiles, cost }) => {
    const from = sources.map(({ input, name }) => (input === null ? (offsets.get(name) as number) : null));
    const args = [
      0,
      ...sources.map(({ input }) => (input === null ? 0 : addressOf(ins[input]))),
      ...numbers,
      ...params,
    ];
    return (scratch: number): void => {
      args[0] = offset === null ? addressOf(out) : scratch + offset;
      from.forEach((own, i) => {
        if (own !== null) args[1 + i] = scratch + own;
      });
      runTiles(kernel, args, tiles, cost);
    };
  });
  if (scratchBytes === 0) return () => calls[0](0);
  return () => {
    const scratch = allocate(scratchBytes);
    try {
      for (const call of calls) call(scratch);
    } finally {
      release(scratch, scratchBytes);
    }
  };
}
