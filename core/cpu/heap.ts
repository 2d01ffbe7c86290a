/**
 * The heap: one WebAssembly.Memory, shared where the engine allows it, that holds every tensor, so that WASM kernels
 * and worker threads read and write tensors where they are.
 *
 * Large requests are cut from address-ordered free ranges that merge again when freed. Small ones come from
 * size classes (four steps per power of two, so at most a quarter of a block is unused), each a stack of free
 * blocks filled a slab at a time. All blocks start at multiples of 64 bytes, a cache line. Who owns what, and when it
 * may be freed: docs/memory.md.
 */
import { shownMemory } from "../device.ts";
import { newMemory } from "../platform/node.ts";
import type { Memory } from "../platform/platform.ts";

const PAGE = 65_536;
const ALIGN = 64;
const MAX_BYTES = 65_536 * PAGE;
/** Requests up to this many bytes use size classes. */
const SMALL = 32_768;
const SLAB = 262_144;
const GROW = 16 * 1_048_576;

export const memory: Memory = newMemory(MAX_BYTES / PAGE);
shownMemory.add(memory.buffer);

interface Range {
  start: number;
  end: number;
}

/** Free ranges in address order; no two touch. The first line stays unused so that no block has address 0. */
const ranges: Range[] = [{ start: ALIGN, end: memory.buffer.byteLength }];
const classes: number[][] = [];
let live = 0;
let peak = 0;
let poisoning = false;

/** What to do when the heap is full. */
const REMEDY = "what is made inside tidy(() => …) or a Scope is freed when it ends: put one around each step";

/** Rounds a request up to the size that is really reserved. */
function reserved(bytes: number): number {
  if (bytes === 0) return ALIGN;
  if (bytes > SMALL || bytes <= 4 * ALIGN) return Math.ceil(bytes / ALIGN) * ALIGN;
  const step = 1 << (29 - Math.clz32(bytes - 1)); // four steps per power of two, 64 bytes at least
  return (bytes + step - 1) & -step;
}

function takeRange(bytes: number): number {
  let at = ranges.findIndex((range) => range.end - range.start >= bytes);
  if (at < 0) {
    growBy(bytes);
    at = ranges.length - 1;
  }
  const range = ranges[at];
  const start = range.start;
  range.start += bytes;
  if (range.start === range.end) ranges.splice(at, 1);
  return start;
}

function growBy(bytes: number): void {
  const end = memory.buffer.byteLength;
  const last = ranges.at(-1);
  const tail = last && last.end === end ? last.end - last.start : 0;
  const missing = bytes - tail;
  const room = MAX_BYTES - end;
  const more = Math.ceil(Math.min(Math.max(missing, GROW), Math.max(room, missing)) / PAGE) * PAGE;
  if (more > room) {
    throw new Error(
      `heap: out of memory: ${bytes} bytes asked for, ${live} live, at most ${MAX_BYTES} bytes (4 GiB); ${REMEDY}`,
    );
  }
  try {
    memory.grow(more / PAGE);
  } catch (cause) {
    throw new Error(`heap: out of memory: the system refused ${more} more bytes, ${live} live; ${REMEDY}`, {
      cause,
    });
  }
  shownMemory.add(memory.buffer); // another object once it has grown
  freeRange(end, end + more);
}

function freeRange(start: number, end: number): void {
  let low = 0;
  for (let high = ranges.length; low < high; ) {
    const middle = (low + high) >> 1;
    if (ranges[middle].start < start) low = middle + 1;
    else high = middle;
  }
  const before = ranges[low - 1];
  const after = ranges[low];
  const joinsBefore = before?.end === start;
  const joinsAfter = after?.start === end;
  if (joinsBefore && joinsAfter) {
    before.end = after.end;
    ranges.splice(low, 1);
  } else if (joinsBefore) before.end = end;
  else if (joinsAfter) after.start = start;
  else ranges.splice(low, 0, { start, end });
}

/** Reserves `bytes` bytes and returns their address, a multiple of 64. The content is undefined. Throws at 4 GiB. */
export function allocate(bytes: number): number {
  const size = reserved(bytes);
  const address = size > SMALL ? takeRange(size) : takeSmall(size);
  live += size;
  if (live > peak) peak = live;
  return address;
}

function takeSmall(size: number): number {
  const free = (classes[size / ALIGN] ??= []);
  if (free.length === 0) {
    const slab = takeRange(SLAB);
    for (let at = slab + SLAB - (SLAB % size) - size; at >= slab; at -= size) free.push(at);
  }
  return free.pop() as number;
}

/**
 * Gives back what `allocate(bytes)` returned. Giving a block back twice hands its place to two owners: see
 * `Allocation`.
 */
export function release(address: number, bytes: number): void {
  const size = reserved(bytes);
  live -= size;
  if (poisoning) new Uint8Array(memory.buffer, address, size).fill(0xff);
  if (size > SMALL) freeRange(address, address + size);
  else classes[size / ALIGN].push(address);
}

/**
 * Fills memory with NaN (−1 as an integer) when it is freed, or stops doing so: a `.data` that was kept for too long
 * then shows it, unless the place has been taken again. For tests; it costs a pass over all that is freed.
 */
export function poisonFreed(on: boolean): void {
  poisoning = on;
}

/** A piece of the heap with one owner: given back once, however often it is disposed of, and of no use afterwards. */
export class Allocation {
  readonly bytes: number;
  readonly #owner: string;
  #address: number | null;

  /** `owner` is who an error names. */
  constructor(bytes: number, owner: string) {
    this.bytes = bytes;
    this.#owner = owner;
    this.#address = allocate(bytes);
  }

  get address(): number {
    if (this.#address === null) throw new Error(`${this.#owner}: used after it was disposed of`);
    return this.#address;
  }

  dispose(): void {
    if (this.#address === null) return;
    release(this.#address, this.bytes);
    this.#address = null;
  }
}

/** What the heap holds, in bytes: reserved now, the most ever reserved, and the whole memory. */
export function heapUsage(): { live: number; peak: number; total: number } {
  return { live, peak, total: memory.buffer.byteLength };
}
