import { Random } from "../../core/random.ts";
import type { Input } from "./reader.ts";

/** Makes another input of one; `other` is a second input of the same file, to take pieces from. Changes neither. */
export type Mutation = (bytes: Buffer, random: Random, other: Buffer) => Buffer;

/** Larger inputs only cost time: what is refused for its size is found by numbers that claim a size. */
const MOST_BYTES = 2 ** 20;

export const pick = <T>(random: Random, list: readonly T[]): T => list[random.integer(list.length)];

/** True once in `n` times. */
export const once = (random: Random, n: number): boolean => random.integer(n) === 0;

/** Numbers at which readers go wrong: the ends of every width, and one beside. */
const INTERESTING: readonly bigint[] = [
  0n,
  1n,
  2n,
  4n,
  16n,
  64n,
  100n,
  ...[7n, 8n, 15n, 16n, 24n, 31n, 32n, 47n, 53n, 62n, 63n, 64n].flatMap((power) => [
    2n ** power - 1n,
    2n ** power,
    2n ** power + 1n,
    -(2n ** power),
  ]),
];

/** A stretch of `length` bytes, most often a short one. */
function stretch(length: number, random: Random): [start: number, end: number] {
  const most = Math.max(1, Math.min(length, 2 ** random.integer(11)));
  const size = 1 + random.integer(most);
  const start = random.integer(Math.max(1, length - size + 1));
  return [start, Math.min(length, start + size)];
}

/** Puts `piece` between the bytes before `start` and those from `end` on. */
const replaced = (bytes: Buffer, start: number, end: number, piece: Uint8Array): Buffer =>
  Buffer.concat([bytes.subarray(0, start), piece, bytes.subarray(end)]);

function flipBit(bytes: Buffer, random: Random): Buffer {
  const out = Buffer.from(bytes);
  out[random.integer(bytes.length)] ^= 1 << random.integer(8);
  return out;
}

function setByte(bytes: Buffer, random: Random): Buffer {
  const out = Buffer.from(bytes);
  const at = random.integer(bytes.length);
  out[at] = once(random, 2) ? random.integer(256) : out[at] + random.integer(33) - 16;
  return out;
}

/** Writes an interesting integer of 1, 2, 4 or 8 bytes, in either order, most often where such a number would stand. */
function setInteger(bytes: Buffer, random: Random): Buffer {
  const width = pick(
    random,
    [1, 2, 4, 8].filter((size) => size <= bytes.length),
  );
  let at = random.integer(bytes.length - width + 1);
  if (!once(random, 4)) at -= at % Math.min(width, 4);
  const claim = once(random, 4) ? BigInt(bytes.length + random.integer(17) - 8) : pick(random, INTERESTING);
  const number = Buffer.alloc(8);
  number.writeBigInt64LE(BigInt.asIntN(64, claim));
  const part = number.subarray(0, width);
  return replaced(bytes, at, at + width, once(random, 3) ? part.reverse() : part);
}

function remove(bytes: Buffer, random: Random): Buffer {
  return replaced(bytes, ...stretch(bytes.length, random), Buffer.alloc(0));
}

/** Copies a stretch of this input or of the other to another place, over what is there or between. */
function copy(bytes: Buffer, random: Random, other: Buffer): Buffer {
  const from = once(random, 2) && other.length > 0 ? other : bytes;
  const piece = from.subarray(...stretch(from.length, random));
  const at = random.integer(bytes.length + 1);
  return replaced(bytes, at, once(random, 2) ? at : Math.min(bytes.length, at + piece.length), piece);
}

function insertNoise(bytes: Buffer, random: Random): Buffer {
  const noise = Buffer.from(Array.from({ length: 1 + random.integer(16) }, () => random.integer(256)));
  const at = random.integer(bytes.length + 1);
  return replaced(bytes, at, at, noise);
}

function truncate(bytes: Buffer, random: Random): Buffer {
  return bytes.subarray(0, random.integer(bytes.length));
}

/** The head of one input and the tail of another. */
function splice(bytes: Buffer, random: Random, other: Buffer): Buffer {
  return Buffer.concat([
    bytes.subarray(0, random.integer(bytes.length + 1)),
    other.subarray(random.integer(other.length + 1)),
  ]);
}

/** Repeats a stretch up to 2¹⁵ times: deep nesting, long lists, bombs. */
function repeat(bytes: Buffer, random: Random): Buffer {
  const [start, end] = stretch(bytes.length, random);
  const times = Math.min(2 ** random.integer(16), Math.floor(MOST_BYTES / (end - start)));
  const piece = Buffer.alloc(times * (end - start), bytes.subarray(start, end));
  return replaced(bytes, start, end, piece);
}

/** Changes that know nothing of any format. Repetition makes large inputs, so it comes seldom. */
const ANY: readonly Mutation[] = [
  ...[flipBit, setByte, setInteger, remove, copy, insertNoise].flatMap((one) => [one, one, one]),
  truncate,
  splice,
  repeat,
];

/** One of those, at random; an empty input can only grow. */
export const anyBytes: Mutation = (bytes, random, other) =>
  (bytes.length === 0 ? insertNoise : pick(random, ANY))(bytes, random, other);

/**
 * Input number `index` of a run: a pool member with one to four changes, mostly those of its format. A function of
 * seed, index and pool alone.
 */
export function nextInput(
  pool: readonly Input[],
  mutations: readonly Mutation[],
  seed: number,
  index: number,
): Input {
  const random = new Random(seed, index);
  const { file, bytes } = pick(random, pool);
  const others = pool.filter((input) => input.file === file);
  let changed: Buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  do {
    const mutation = mutations.length === 0 || once(random, 3) ? anyBytes : pick(random, mutations);
    changed = mutation(changed, random, Buffer.from(pick(random, others).bytes)).subarray(0, MOST_BYTES);
  } while (once(random, 3));
  return { file, bytes: changed };
}
