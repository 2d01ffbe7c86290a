/**
 * What the JavaScript engine offers, and the kernels compiled for it so far.
 *
 * SIMD is required. Fused multiply-add (relaxed SIMD) doubles the speed of a matrix product; kernels ask for it
 * through `code.madd`, which becomes a multiplication and an addition where the engine has none.
 */

import { printed } from "../../formula/js.ts";
import { listKernel } from "../../kernel-list.ts";
import { allowRelaxedSimd, engine, optimising, setting } from "../../platform/node.ts";
import { allocate, memory } from "../heap.ts";
import type { KernelCall } from "../kernel-call.ts";
import { type Func, type Local, Module } from "./assembler.ts";
import { load } from "./loads.ts";
import { kernelText } from "./text.ts";
import { F32x4, type F64, type I32 } from "./values.ts";

/**
 * A compiled kernel. Its work is cut into tiles, parts of the output that do not depend on each other: it does tiles
 * `tileBegin` to `tileEnd` (the last two arguments) of the work its first arguments describe.
 */
export interface Kernel {
  /** What it does, and for which shape. */
  readonly name: string;
  /** Number by which worker threads know it. */
  readonly id: number;
  /** Its module, from which each worker thread compiles it. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Does the tiles from `begin` to `end` with those arguments. */
  readonly run: (args: readonly number[], begin: number, end: number) => void;
}

/** Bytes of scratch memory each thread has to itself. */
export const SCRATCH_BYTES = 1 << 18;

/** What kernel code is built from: its function, its arguments, and multiply-add in the flavour the engine offers. */
export interface KernelCode {
  readonly f: Func;
  readonly args: readonly Local<I32>[];
  readonly tileBegin: Local<I32>;
  readonly tileEnd: Local<I32>;
  /** Address of this thread's own SCRATCH_BYTES bytes. */
  readonly scratch: I32;
  /** a·b + c: one rounding with FMA, two without. */
  madd(a: F32x4, b: F32x4, c: F32x4): F32x4;
  /** c − a·b */
  nmadd(a: F32x4, b: F32x4, c: F32x4): F32x4;
  /** Double precision sine or cosine of the host, for the rare arguments SIMD code does not cover. */
  call(name: "sin" | "cos", x: F64): F64;
}

allowRelaxedSimd();

/** 4 GiB, in pages, as core/cpu/heap.ts makes it. */
const LIMITS = { minimum: 1, maximum: 65_536, shared: !(memory.buffer instanceof ArrayBuffer) };
const MATH = { sin: Math.sin, cos: Math.cos };

const scratch = allocate(SCRATCH_BYTES);
const kernels = new Map<string, Kernel>();
/** By their numbers. */
const inOrder: Kernel[] = [];
/** `NINA_FMA=0`: multiply and add in two steps, as an engine without relaxed SIMD does. */
const fma = { supported: detectFma(), wanted: setting("NINA_FMA") !== "0" };

/** A function that writes x·y + z to the address given, from the three vectors there. */
function maddProbe(relaxed: boolean): Uint8Array<ArrayBuffer> {
  const module = new Module(1);
  const [at] = module.run.params;
  const [x, y, z] = [0, 16, 32].map((offset) => load(F32x4, at, offset));
  module.run.store(at, relaxed ? x.relaxedMadd(y, z) : x.mul(y).add(z));
  return module.bytes(LIMITS);
}

/** Whether relaxed multiply-add exists and rounds once: (1 + 2⁻¹²)² − (1 + 2⁻¹¹) is 2⁻²⁴, or 0 with two roundings. */
function detectFma(): boolean {
  if (!WebAssembly.validate(maddProbe(false))) {
    throw new Error(
      `nina-ts: this JavaScript engine (${engine}) has no WebAssembly SIMD, which the kernels need`,
    );
  }
  const bytes = maddProbe(true);
  if (!WebAssembly.validate(bytes)) return false;
  const numbers = new Float32Array(memory.buffer, scratch, 12);
  numbers.fill(1 + 2 ** -12, 0, 8).fill(-1 - 2 ** -11, 8);
  instantiate(new WebAssembly.Module(bytes))(scratch);
  return numbers[0] === 2 ** -24;
}

function instantiate(module: WebAssembly.Module): (...args: number[]) => void {
  const { exports } = new WebAssembly.Instance(module, {
    env: { memory: memory as WebAssembly.Memory, scratch, ...MATH },
  });
  return exports.run as (...args: number[]) => void;
}

/** Functions are compiled at their first call, hence the call that does no tile. */
function compile(bytes: Uint8Array<ArrayBuffer>, params: number): Kernel["run"] {
  return optimising(() => {
    const run = caller(instantiate(new WebAssembly.Module(bytes)), params);
    run(new Array<number>(params).fill(0), 0, 0);
    return run;
  });
}

/**
 * Calls `f(args[0], …, args[params − 1], begin, end)`, written out: spreading an array costs more than a small kernel.
 */
function caller(f: (...args: number[]) => void, params: number): Kernel["run"] {
  const list = Array.from({ length: params }, (_, i) => `args[${i}], `).join("");
  return new Function("f", `return (args, begin, end) => f(${list}begin, end);`)(f);
}

/** Whether kernels fetched now use fused multiply-add. */
export const usesFma = (): boolean => fma.supported && fma.wanted;

/** How many were compiled so far. */
export const kernelCount = (): number => inOrder.length;

/** What the engine offers and what has been compiled, for reports. */
export function engineInfo(): { engine: string; simd: true; fma: boolean; kernels: number } {
  return { engine, simd: true, fma: usesFma(), kernels: inOrder.length };
}

/** How many of them are listed. */
let listed = 0;

/** Lists the kernels that were compiled since there were `before` of them, unless they are: they are for that call. */
export function listKernels(before: number, { name: call, results }: KernelCall): void {
  for (const { name, bytes } of inOrder.slice(Math.max(before, listed))) {
    listKernel({
      device: "cpu",
      call,
      name,
      get formula() {
        return [...new Set(results().flatMap(printed))].join("\n");
      },
      bytes: bytes.length,
      get text() {
        return kernelText(bytes);
      },
    });
  }
  listed = inOrder.length;
}

/** Runs `body` with kernels that multiply and add in two steps, as an engine without relaxed SIMD would. */
export function withoutFma<T>(body: () => T): T {
  const before = fma.wanted;
  fma.wanted = false;
  try {
    return body();
  } finally {
    fma.wanted = before;
  }
}

/**
 * The kernel of that key, built and compiled when it is asked for the first time. It takes `params` arguments and
 * then the range of tiles to do, which may be empty; `key` must name everything `build` depends on. Its first line is
 * the kernel's name.
 */
export function kernel(key: string, params: number, build: (code: KernelCode) => void): Kernel {
  const full = usesFma() ? key : `no fma, ${key}`;
  return kernels.get(full) ?? added(full, assemble(params, usesFma(), build), params);
}

function added(key: string, bytes: Uint8Array<ArrayBuffer>, params: number): Kernel {
  const [name] = key.split("\n", 1);
  const made = { name: name.trimEnd(), id: inOrder.length, bytes, run: compile(bytes, params) };
  kernels.set(key, made);
  inOrder.push(made);
  return made;
}

/** The kernel that `build` writes, where no key says what that depends on: equal code is one kernel. */
export function kernelByCode(params: number, build: (code: KernelCode) => void): Kernel {
  const bytes = assemble(params, usesFma(), build);
  const key = `from a formula\n${bytes.join()}`;
  return kernels.get(key) ?? added(key, bytes, params);
}

/** Writes code that nobody will run, for a `build` that finds out what it needs while it writes. */
export const rehearse = (params: number, build: (code: KernelCode) => void): void =>
  void assemble(params, usesFma(), build);

/**
 * Variants of one kernel told apart by a small number, fetched without making a string each time. `build` gets the
 * variant and must depend on nothing else but what `key` names.
 */
export class KernelFamily {
  readonly #key: (variant: number) => string;
  readonly #params: (variant: number) => number;
  readonly #build: (code: KernelCode, variant: number) => void;
  readonly #fused: (Kernel | undefined)[] = [];
  readonly #split: (Kernel | undefined)[] = [];

  constructor(
    key: (variant: number) => string,
    params: (variant: number) => number,
    build: (code: KernelCode, variant: number) => void,
  ) {
    this.#key = key;
    this.#params = params;
    this.#build = build;
  }

  get(variant: number): Kernel {
    const known = usesFma() ? this.#fused : this.#split;
    return (known[variant] ??= kernel(this.#key(variant), this.#params(variant), (code) =>
      this.#build(code, variant),
    ));
  }
}

function assemble(
  params: number,
  fused: boolean,
  build: (code: KernelCode) => void,
): Uint8Array<ArrayBuffer> {
  const module = new Module(params + 2);
  build({
    f: module.run,
    args: module.run.params.slice(0, params),
    tileBegin: module.run.params[params],
    tileEnd: module.run.params[params + 1],
    scratch: module.scratch,
    madd: (a, b, c) => (fused ? a.relaxedMadd(b, c) : a.mul(b).add(c)),
    nmadd: (a, b, c) => (fused ? a.relaxedNmadd(b, c) : c.sub(a.mul(b))),
    call: (name, x) => module.call(name, x),
  });
  return module.bytes(LIMITS);
}
