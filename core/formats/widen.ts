/**
 * 16-bit floats to float32, eight at a time: weights by the hundred million are converted as they are read, which
 * should take no longer than the reading. The code works in a memory of its own, through which the numbers are passed.
 */
import { type Func, Module } from "../cpu/kernels/assembler.ts";
import { load } from "../cpu/kernels/loads.ts";
import { F32x4, I16x8, I32, I32x4 } from "../cpu/kernels/values.ts";
import { optimising } from "../platform/node.ts";

/** Numbers at a time: what they take, 6 bytes each, stays in a processor's cache. */
const BLOCK = 32_768;
const PAGES = 3;
/** Where the 16-bit numbers of a block lie, and behind them the results. */
const BITS = 0;
const FLOATS = 2 * BLOCK;

const WIDENED = {
  /** bfloat16 is the upper half of a float32. */
  BF16: (_: Func, h: I32x4): I32x4 => h.shl(16),
  F16: widenHalf,
} as const;

type Half = keyof typeof WIDENED;

/** Widens all `bits` into the numbers at the start of `into`, which it returns. */
export function widen(type: Half, bits: Uint16Array, into: Float32Array): Float32Array {
  const { run, from, to } = machine(type);
  for (let at = 0; at < bits.length; at += BLOCK) {
    const block = bits.subarray(at, at + BLOCK);
    from.set(block);
    run(block.length);
    into.set(block.length === BLOCK ? to : to.subarray(0, block.length), at);
  }
  return into;
}

interface Machine {
  /** Widens the first `count` numbers of `from` into `to`, and up to seven behind them. */
  readonly run: (count: number) => void;
  readonly from: Uint16Array;
  readonly to: Float32Array;
}

const machines = new Map<Half, Machine>();

function machine(type: Half): Machine {
  let made = machines.get(type);
  if (!made) machines.set(type, (made = build(WIDENED[type])));
  return made;
}

function build(widened: (f: Func, h: I32x4) => I32x4): Machine {
  const limits = { minimum: PAGES, maximum: PAGES, shared: false };
  const module = new Module(1);
  const f = module.run;
  const [count] = f.params;
  const at = f.local(I32);
  f.range(at, 0, count, 8, () => {
    const [read, write] = [f.let(at.mul(2)), f.let(at.mul(4))];
    const eight = f.let(load(I16x8, read, BITS));
    f.store(write, widened(f, f.let(eight.lowToI32x4())), FLOATS);
    f.store(write, widened(f, f.let(eight.highToI32x4())), FLOATS + 16);
  });
  const memory = new WebAssembly.Memory({ initial: PAGES, maximum: PAGES });
  const { exports } = optimising(
    () =>
      new WebAssembly.Instance(new WebAssembly.Module(module.bytes(limits)), { env: { memory, scratch: 0 } }),
  );
  return {
    run: exports.run as (count: number) => void,
    from: new Uint16Array(memory.buffer, BITS, BLOCK),
    to: new Float32Array(memory.buffer, FLOATS, BLOCK),
  };
}

/**
 * IEEE 754 half precision. With its sign set aside, a half shifted by 13 is a float32 but for the exponent's bias, 127
 * in place of 15. Infinity and NaN, whose exponent is all ones, need that difference twice. Numbers below 2⁻¹⁴ have the
 * exponent 0 and no implicit one: with the exponent of 2⁻¹⁴ they have one too many, which is subtracted.
 */
function widenHalf(f: Func, h: I32x4): I32x4 {
  const magnitude = f.let(h.and(f.constantInt(0x7fff)).shl(13));
  const rebias = f.constantInt((127 - 15) << 23);
  const one = f.constantInt(1 << 23);
  const isSmall = magnitude.lt(one);
  const isHuge = magnitude.gt(f.constantInt((31 << 23) - 1));
  const normal = f.let(magnitude.add(rebias).add(isHuge.and(rebias)));
  const least = f.constant(2 ** -14);
  const small = magnitude.add(rebias).add(one).as(F32x4).sub(least).as(I32x4);
  const select = f.let(isSmall);
  const sign = h.and(f.constantInt(0x8000)).shl(16);
  return small.and(select).or(normal.andNot(select)).or(sign);
}
