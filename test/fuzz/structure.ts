/** Changes that know the outer form of a format: tokens, JSON values, ZIP entries, pickle opcodes, PNG chunks. */
import { crc32 } from "node:zlib";
import { bytesSource } from "../../core/formats/byte-source.ts";
import { countElements, isDType, itemSize } from "../../core/formats/dtype.ts";
import { openZip } from "../../core/formats/zip.ts";
import type { Random } from "../../core/random.ts";
import { P, zip } from "../core/formats/build.ts";
import { anyBytes, type Mutation, once, pick } from "./mutate.ts";

/** Texts that have caused trouble: names that objects have from birth, terminal escapes, the long and the empty. */
const WORDS: readonly string[] = [
  "",
  " ",
  "0",
  "-1",
  "1e999",
  "nan",
  "0x10",
  "../../x",
  "/",
  "constructor",
  "__proto__",
  "toString",
  "\u001b[2J",
  "\u202e",
  "\u0000",
  "é",
  "𝄞",
  "x".repeat(3000),
];

const NUMBERS: readonly string[] = [
  "0",
  "-0",
  "1",
  "-1",
  "2",
  "0.5",
  "1e-320",
  "255",
  "65536",
  "2147483647",
  "2147483648",
  "4294967296",
  "9007199254740993",
  "1e300",
  "-1e300",
  "1e999",
];

/**
 * Changes a text token by token: drops, doubles, swaps, replaces, repeats one up to 2¹⁶ times.
 *
 * @param pattern matches every token; what lies between is kept with the token before
 * @param words further tokens of the language
 */
export function tokens(pattern: RegExp, words: readonly string[]): Mutation {
  const vocabulary = [...words, ...NUMBERS, ...WORDS];
  return (bytes, random, other) => {
    // Latin-1 keeps every byte, whatever the encoding.
    const list = bytes.toString("latin1").match(pattern) ?? [];
    if (list.length === 0) return anyBytes(bytes, random, other);
    const at = random.integer(list.length);
    const token = list[at];
    const [end] = token.match(/\s*$/)!;
    const put = (...replacement: string[]): void => {
      list.splice(at, 1, ...replacement);
    };
    switch (random.integer(8)) {
      case 0:
        put();
        break;
      case 1:
        put(token, token);
        break;
      case 2:
        list.splice(at, 1 + random.integer(8));
        break;
      case 3: {
        const to = random.integer(list.length);
        [list[at], list[to]] = [list[to], token];
        break;
      }
      case 4: {
        const from = other.toString("latin1").match(pattern) ?? list;
        const start = random.integer(from.length);
        put(token, ...from.slice(start, start + 1 + random.integer(12)));
        break;
      }
      case 5:
        put(once(random, 8) ? token.repeat(2 ** random.integer(17)) : pick(random, list));
        break;
      default:
        put(Buffer.from(pick(random, vocabulary)).toString("latin1") + end);
    }
    return Buffer.from(list.join(""), "latin1");
  };
}

/** Tokens of JSON: a mutation that leaves quotes and brackets unbalanced half of the time. */
const JSON_TOKENS = tokens(/"(?:[^"\\]|\\.)*"\s*|[\d.eE+-]+\s*|\w+\s*|[^\s]\s*/gs, [
  "{",
  "}",
  "[",
  "]",
  ":",
  ",",
  '"a":1,',
  "null",
  "true",
  '""',
  '"\\ud800"',
]);

type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

const VALUES: readonly Json[] = [
  null,
  true,
  {},
  [],
  [[]],
  "",
  ...NUMBERS.map(Number).filter(Number.isFinite),
  ...WORDS,
];

/** Changes one value somewhere in a JSON text, so that it stays JSON. */
export const jsonValues: Mutation = (bytes, random, other) => {
  const root = tryJson(bytes);
  if (root === undefined || once(random, 5)) return JSON_TOKENS(bytes, random, other);
  const holder: { root: Json } = { root };
  const places: [parent: Json[] | Record<string, Json>, key: string | number][] = [];
  const visit = (parent: Json[] | Record<string, Json>, key: string | number): void => {
    places.push([parent, key]);
    const value = (parent as Record<string | number, Json>)[key];
    if (Array.isArray(value)) for (let i = 0; i < value.length; i++) visit(value, i);
    else if (typeof value === "object" && value !== null)
      for (const name of Object.keys(value)) visit(value, name);
  };
  visit(holder, "root");

  const [parent, key] = pick(random, places);
  const slots = parent as Record<string | number, Json>;
  const value = slots[key];
  switch (random.integer(6)) {
    case 0:
      if (Array.isArray(parent)) parent.splice(Number(key), 1);
      else if (parent !== holder) delete parent[key];
      break;
    case 1:
      if (Array.isArray(parent)) parent.splice(Number(key), 0, value);
      else if (parent !== holder) slots[pick(random, WORDS)] = value;
      break;
    case 2: {
      const [from, name] = pick(random, places);
      slots[key] = structuredClone((from as Record<string | number, Json>)[name]);
      break;
    }
    case 3:
      slots[key] = typeof value === "number" ? nearby(value, random) : [value];
      break;
    default:
      slots[key] = structuredClone(pick(random, VALUES));
  }
  return Buffer.from(JSON.stringify(holder.root));
};

const nearby = (value: number, random: Random): number =>
  pick(random, [value + 1, value - 1, 2 * value, -value, value / 2, value + 0.5, value * 1000]);

function tryJson(bytes: Buffer): Json | undefined {
  try {
    return JSON.parse(bytes.toString());
  } catch {
    return undefined;
  }
}

/** Changes the header of a safetensors file, and its length to what it then has. */
export const safetensorsHeader: Mutation = (bytes, random, other) => {
  const length = bytes.length < 8 ? 0n : bytes.readBigUInt64LE();
  if (length === 0n || length > bytes.length - 8) return anyBytes(bytes, random, other);
  const end = 8 + Number(length);
  let header = jsonValues(bytes.subarray(8, end), random, other.subarray(8, 8 + 200));
  let data = bytes.subarray(end);
  if (once(random, 2)) [header, data] = laidOut(header, data);
  const size = Buffer.alloc(8);
  size.writeBigUInt64LE(BigInt(header.length));
  return Buffer.concat([size, header, data]);
};

/** Gives every tensor of the header its place in the data, one after the other, and the data their length. */
function laidOut(header: Buffer, data: Buffer): [header: Buffer, data: Buffer] {
  const entries = tryJson(header);
  if (typeof entries !== "object" || entries === null || Array.isArray(entries)) return [header, data];
  let at = 0;
  for (const entry of Object.values(entries)) {
    const { dtype, shape } = Object(entry) as { dtype?: unknown; shape?: unknown };
    const count = Array.isArray(shape) ? countElements(shape) : undefined;
    if (!isDType(dtype) || count === undefined || count > 10_000) continue;
    (entry as { data_offsets: number[] }).data_offsets = [at, (at += count * itemSize(dtype))];
  }
  return [Buffer.from(JSON.stringify(entries)), Buffer.concat([data], at)];
}

/** Changes one entry of a ZIP archive by `inside`, or the list of entries, and writes sound headers around it. */
export function zipEntries(inside: Mutation): Mutation {
  return (bytes, random, other) => {
    const entries = tryZip(bytes);
    if (entries === undefined || entries.length === 0) return anyBytes(bytes, random, other);
    const at = once(random, 2) ? 0 : random.integer(entries.length);
    const [name, data] = entries[at];
    switch (random.integer(12)) {
      case 0:
        entries.splice(at, 1);
        break;
      case 1:
        entries[at] = [
          tokens(/\/|[^/]+/g, ["data.pkl", "data", "archive"])(Buffer.from(name), random, other).toString(),
          data,
        ];
        break;
      case 2:
        entries.push([`${name}${random.integer(3)}`, data]);
        break;
      default:
        entries[at] = [name, (at === 0 ? inside : anyBytes)(data, random, pick(random, entries)[1])];
    }
    return zip(Object.fromEntries(entries.map(([label, content]) => [label.slice(0, 1000), content])), {
      zip64: once(random, 8),
      method: once(random, 40) ? 8 : 0,
    });
  };
}

function tryZip(bytes: Buffer): [name: string, data: Buffer][] | undefined {
  try {
    using source = bytesSource("zip", bytes);
    const archive = openZip(source);
    return Array.from(archive.entries.values(), (entry) => [
      entry.name,
      Buffer.from(source.read(archive.locate(entry), entry.size)),
    ]);
  } catch {
    return undefined;
  }
}

/** Bytes after an opcode: a number of them, or how their number is written before them, or lines of text. */
const ARGUMENTS: Readonly<Record<string, number | "u8" | "u32" | "u64" | "line" | "lines">> = {
  "\x80": 1,
  "\x95": 8,
  K: 1,
  M: 2,
  J: 4,
  G: 8,
  h: 1,
  j: 4,
  q: 1,
  r: 4,
  U: "u8",
  C: "u8",
  "\x8a": "u8",
  "\x8c": "u8",
  X: "u32",
  T: "u32",
  B: "u32",
  "\x8b": "u32",
  "\x8d": "u64",
  "\x8e": "u64",
  I: "line",
  L: "line",
  F: "line",
  S: "line",
  V: "line",
  g: "line",
  p: "line",
  c: "lines",
};

/** The opcodes of a pickle, each with its argument; what cannot be read is one piece at the end. */
function opcodesOf(bytes: Buffer): Buffer[] {
  const out: Buffer[] = [];
  for (let at = 0; at < bytes.length; ) {
    const kind = ARGUMENTS[String.fromCharCode(bytes[at])] ?? 0;
    let end = at + 1;
    if (typeof kind === "number") end += kind;
    else if (kind === "u8") end += 1 + (bytes[end] ?? 0);
    else if (kind === "u32") end += 4 + (end + 4 <= bytes.length ? bytes.readUInt32LE(end) : 0);
    else if (kind === "u64") end += 8 + (end + 8 <= bytes.length ? Number(bytes.readBigUInt64LE(end)) : 0);
    else
      for (let lines = kind === "lines" ? 2 : 1; lines > 0; lines--)
        end = bytes.indexOf(10, end) + 1 || bytes.length + 1;
    end = Math.min(end, bytes.length);
    out.push(bytes.subarray(at, end));
    at = end;
  }
  return out;
}

const op = (text: string): Buffer => Buffer.from(text, "latin1");

/** Pieces to put between opcodes: values, containers, marks, what fills containers, what copies and recalls. */
const FRAGMENTS: readonly Buffer[] = [
  P.none,
  P.bool(true),
  ...[0, 1, 2, -1, 2 ** 31 - 1, -(2 ** 31)].map(P.int),
  P.float(0.5),
  P.float(Number.NaN),
  P.text("storage"),
  P.text("0"),
  P.text("cpu"),
  P.text("a\u001b[2J"),
  P.text("x".repeat(3000)),
  P.blob(Buffer.from("abc")),
  P.tuple(),
  P.list(),
  P.dict(),
  P.set(),
  P.global("collections", "OrderedDict"),
  P.global("torch._utils", "_rebuild_tensor_v2"),
  P.global("torch", "FloatStorage"),
  P.global("numpy.core.multiarray", "scalar"),
  P.global("os", "system"),
  ...[
    "(",
    "t",
    ")",
    "]",
    "}",
    "a",
    "e",
    "s",
    "u",
    "R",
    "b",
    "Q",
    "0",
    "1",
    "2",
    ".",
    "\x85",
    "\x86",
    "\x87",
    "\x8f",
    "\x90",
    "\x93",
    "\x94",
  ].map(op),
  ...[
    "q\x00",
    "h\x00",
    "q\x01",
    "h\x01",
    "j\x02\x00\x00\x00",
    "\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f",
  ].map(op),
];

/** Changes a pickle opcode by opcode: the stack machine runs on. */
export const pickleOpcodes: Mutation = (bytes, random, other) => {
  const list = opcodesOf(bytes);
  if (list.length === 0) return anyBytes(bytes, random, other);
  const at = random.integer(list.length);
  const end = Math.min(list.length, at + 1 + random.integer(2 ** random.integer(6)));
  switch (random.integer(9)) {
    case 0:
      list.splice(at, end - at);
      break;
    case 1:
      list.splice(random.integer(list.length), 0, ...list.slice(at, end));
      break;
    case 2:
      list.splice(
        at,
        0,
        ...Array.from({ length: 2 ** random.integer(13) }, () =>
          list.slice(at, Math.min(end, at + 8)),
        ).flat(),
      );
      break;
    case 3: {
      const to = random.integer(list.length);
      [list[at], list[to]] = [list[to], list[at]];
      break;
    }
    case 4:
    case 5:
      list.splice(at, 0, pick(random, FRAGMENTS));
      break;
    case 6:
      list[at] = pick(random, FRAGMENTS);
      break;
    default: {
      // The argument alone changes; only numbers keep their width.
      const [head, argument] = [list[at].subarray(0, 1), list[at].subarray(1)];
      if (argument.length === 0) list[at] = pick(random, FRAGMENTS);
      else
        list[at] = Buffer.concat([head, anyBytes(argument, random, argument).subarray(0, argument.length)]);
    }
  }
  return Buffer.concat(list);
};

const PNG_SIGNATURE = 8;

/** Changes one chunk of a PNG, or their order, and writes lengths and checksums to match. */
export const pngChunks: Mutation = (bytes, random, other) => {
  const chunks: [type: Buffer, data: Buffer][] = [];
  for (let at = PNG_SIGNATURE; at + 12 <= bytes.length; ) {
    const length = bytes.readUInt32BE(at);
    chunks.push([bytes.subarray(at + 4, at + 8), bytes.subarray(at + 8, at + 8 + length)]);
    at += 12 + length;
  }
  if (chunks.length === 0) return anyBytes(bytes, random, other);
  const at = once(random, 3) ? 0 : random.integer(chunks.length);
  const [type, data] = chunks[at];
  switch (random.integer(8)) {
    case 0:
      chunks.splice(at, 1);
      break;
    case 1:
      chunks.splice(random.integer(chunks.length), 0, chunks[at]);
      break;
    case 2:
      chunks[at] = [
        Buffer.from(pick(random, ["IHDR", "PLTE", "IDAT", "IEND", "tRNS", "iCCP", "zTXt", "acTL"])),
        data,
      ];
      break;
    default:
      chunks[at] = [type, anyBytes(data, random, data)];
  }
  const parts = chunks.map(([name, content]) => {
    const chunk = Buffer.alloc(12 + content.length);
    chunk.writeUInt32BE(content.length);
    name.copy(chunk, 4);
    content.copy(chunk, 8);
    chunk.writeUInt32BE(crc32(chunk.subarray(4, 8 + content.length)), 8 + content.length);
    return chunk;
  });
  return Buffer.concat([bytes.subarray(0, PNG_SIGNATURE), ...parts]);
};
