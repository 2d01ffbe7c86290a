import { crc32 } from "node:zlib";
import { writeFileAtomic } from "../../core/index.ts";

/**
 * Writes initial states as LIBERO's `.pruned_init` files hold them, byte for byte: what `torch.save` makes of one
 * NumPy float64 matrix. `readNumpy` of core reads them.
 *
 * @param rows  flat states `[time, qpos, qvel]`, all of one length
 */
export function writeInitStates(path: string, rows: readonly ArrayLike<number>[]): void {
  writeFileAtomic(path, encodeInitStates(rows));
}

/** Twice their bytes still fit into one string: 200 MB of states, 10,000 times one of LIBERO's files. */
const MOST_NUMBERS = 2 ** 24;

/** The bytes of a `.pruned_init` file with these rows. */
export function encodeInitStates(rows: readonly ArrayLike<number>[]): Buffer {
  const width = rows[0]?.length ?? 0;
  if (width === 0) throw new Error("encodeInitStates: expected at least one row with at least one number");
  if (rows.length * width > MOST_NUMBERS)
    throw new Error(
      `encodeInitStates: expected at most ${MOST_NUMBERS} numbers, found ${rows.length * width}`,
    );
  rows.forEach((row, i) => {
    if (row.length !== width)
      throw new Error(`encodeInitStates: expected rows of ${width} numbers, found ${row.length} in row ${i}`);
    for (let j = 0; j < width; j++)
      if (!Number.isFinite(row[j]))
        throw new Error(
          `encodeInitStates: expected finite numbers, found ${row[j]} at row ${i}, column ${j}`,
        );
  });

  const values = Buffer.alloc(8 * rows.length * width);
  rows.forEach((row, i) => {
    for (let j = 0; j < width; j++) values.writeDoubleLE(row[j], 8 * (i * width + j));
  });
  return storedZip([
    ["archive/data.pkl", pickleMatrix(values, rows.length, width)],
    ["archive/version", Buffer.from("3\n")],
  ]);
}

/**
 * Pickle, protocol 2, of a C-ordered float64 matrix. This protocol has no byte strings: the numbers travel as a text
 * of Latin-1 characters (so that bytes from 0x80 take two bytes of UTF-8) with a call to `_codecs.encode` around it.
 */
function pickleMatrix(values: Buffer, rows: number, columns: number): Buffer {
  let memo = 0;
  const put = () => Buffer.from([0x71, memo++]);
  const get = (slot: number) => Buffer.from([0x68, slot]);
  const op = (text: string) => Buffer.from(text, "latin1");
  const global = (module: string, name: string) => Buffer.concat([op(`c${module}\n${name}\n`), put()]);
  const text = (content: Buffer) => Buffer.concat([op("X"), u32(content.length), content, put()]);
  const [TUPLE, TUPLE1, TUPLE2, TUPLE3] = ["t", "\x85", "\x86", "\x87"];
  const [MARK, REDUCE, BUILD, STOP] = ["(", "R", "b", "."];
  const [NONE, FALSE, TRUE, MINUS_ONE] = ["N", "\x89", "\x88", "J\xff\xff\xff\xff"];

  const parts: Buffer[] = [];
  const emit = (...items: (Buffer | string)[]) => {
    for (const item of items) parts.push(typeof item === "string" ? op(item) : item);
  };

  // array = _reconstruct(ndarray, (0,), encode("b", "latin1"))
  emit("\x80\x02", global("numpy.core.multiarray", "_reconstruct"), global("numpy", "ndarray"));
  emit(integer(0), TUPLE1, put());
  const encode = memo;
  emit(global("_codecs", "encode"), text(op("b")));
  const latin1 = memo;
  emit(text(op("latin1")), TUPLE2, put(), REDUCE, put(), TUPLE3, put(), REDUCE, put());

  // array.__setstate__((1, (rows, columns), dtype, False, encode(values, "latin1"))), dtype = dtype("f8", False, True)
  // with the state (3, "<", None, None, None, -1, -1, 0): little-endian.
  emit(MARK, integer(1), integer(rows), integer(columns), TUPLE2, put());
  emit(global("numpy", "dtype"), text(op("f8")), FALSE, TRUE, TUPLE3, put(), REDUCE, put());
  emit(
    MARK,
    integer(3),
    text(op("<")),
    NONE,
    NONE,
    NONE,
    MINUS_ONE,
    MINUS_ONE,
    integer(0),
    TUPLE,
    put(),
    BUILD,
  );
  emit(FALSE, get(encode), text(Buffer.from(values.toString("latin1"), "utf8")), get(latin1), TUPLE2, put());
  emit(REDUCE, put(), TUPLE, put(), BUILD, STOP);
  return Buffer.concat(parts);
}

/** A non-negative integer in the shortest form pickle has for it. */
function integer(value: number): Buffer {
  if (value < 0x100) return Buffer.from([0x4b, value]);
  if (value < 0x10000) return Buffer.concat([Buffer.from([0x4d]), u16(value)]);
  return Buffer.concat([Buffer.from([0x4a]), u32(value)]);
}

/** Flags of every entry: sizes follow the data, names are UTF-8. */
const FLAGS = 0x0808;

/**
 * A zip as torch writes it: nothing compressed, data aligned to 64 bytes by an extra field "FB" of Z's, sizes behind
 * the data, and zip64 end records even when small.
 */
function storedZip(files: readonly (readonly [name: string, content: Buffer])[]): Buffer {
  const parts: Buffer[] = [];
  const directory: Buffer[] = [];
  let offset = 0;
  const emit = (...items: Buffer[]) => {
    for (const item of items) {
      parts.push(item);
      offset += item.length;
    }
  };

  for (const [name, content] of files) {
    const start = offset;
    const sums = [u32(crc32(content)), u32(content.length), u32(content.length)];
    const padding = (64 - ((start + 30 + name.length + 4) % 64)) % 64;
    emit(Buffer.from("PK\x03\x04"), u16(0), u16(FLAGS), u16(0), u32(0), u32(0), u32(0), u32(0));
    emit(u16(name.length), u16(4 + padding), Buffer.from(name));
    emit(Buffer.from("FB"), u16(padding), Buffer.alloc(padding, "Z"));
    emit(content, Buffer.from("PK\x07\x08"), ...sums);
    directory.push(Buffer.from("PK\x01\x02"), u16(0), u16(0), u16(FLAGS), u16(0), u32(0), ...sums);
    directory.push(u16(name.length), u16(0), u16(0), u16(0), u16(0), u32(0), u32(start), Buffer.from(name));
  }

  const directoryStart = offset;
  emit(...directory);
  const size = offset - directoryStart;
  const end64 = offset;
  emit(Buffer.from("PK\x06\x06"), u64(44), u16(0x031e), u16(45), u32(0), u32(0));
  emit(u64(files.length), u64(files.length), u64(size), u64(directoryStart));
  emit(Buffer.from("PK\x06\x07"), u32(0), u64(end64), u32(1));
  emit(Buffer.from("PK\x05\x06"), u16(0), u16(0), u16(files.length), u16(files.length));
  emit(u32(size), u32(directoryStart), u16(0));
  return Buffer.concat(parts);
}

function u16(value: number): Buffer {
  const out = Buffer.alloc(2);
  out.writeUInt16LE(value);
  return out;
}

function u32(value: number): Buffer {
  const out = Buffer.alloc(4);
  out.writeUInt32LE(value);
  return out;
}

function u64(value: number): Buffer {
  const out = Buffer.alloc(8);
  out.writeBigUInt64LE(BigInt(value));
  return out;
}
