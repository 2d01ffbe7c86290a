import {
  closeSync,
  existsSync,
  ftruncateSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fc, test } from "@fast-check/vitest";
import { afterAll, describe, expect } from "vitest";
import { type ByteSource, bytesSource } from "../../../core/formats/byte-source.ts";
import {
  countElements,
  DTYPES,
  type DTypeName,
  type HostTensor,
  itemSize,
  viewAs,
} from "../../../core/formats/dtype.ts";
import { FormatError } from "../../../core/formats/format-error.ts";
import { openSafetensors, readSafetensors, writeSafetensors } from "../../../core/formats/safetensors.ts";
import { openFile } from "../../../core/platform/node.ts";

const folder = mkdtempSync(join(tmpdir(), "safetensors-"));
afterAll(() => rmSync(folder, { recursive: true }));
const path = join(folder, "file.safetensors");

const tensor: fc.Arbitrary<HostTensor> = fc
  .record({ dtype: fc.constantFrom(...DTYPES), shape: fc.array(fc.nat(4), { maxLength: 4 }) })
  .chain(({ dtype, shape }) => {
    const length = countElements(shape)! * itemSize(dtype);
    const bytes = fc.uint8Array({ minLength: length, maxLength: length });
    return bytes.map((raw) => ({ dtype, shape, data: viewAs(dtype, new Uint8Array(raw).buffer) }));
  });
const name = fc.oneof(fc.string(), fc.constantFrom("__proto__", "constructor", "toString", "", "a b", "π"));
const tensors = fc
  .uniqueArray(fc.tuple(name, tensor), { selector: ([key]) => key, maxLength: 6 })
  .map((entries) => new Map(entries.filter(([key]) => key !== "__metadata__")));

/** A file from raw parts, to be as wrong as we like. */
const file = (header: string | Uint8Array, data = new Uint8Array(0), claimed?: bigint): Buffer => {
  const text = Buffer.from(header);
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(claimed ?? BigInt(text.length));
  return Buffer.concat([length, text, data]);
};
const open = (bytes: Uint8Array) => openSafetensors(bytesSource("test", bytes));
const entry = (dtype: unknown, shape: unknown, data_offsets: unknown) => ({ dtype, shape, data_offsets });
const oneTensor = (description: unknown, bytes = 8): Buffer =>
  file(JSON.stringify({ x: description }), new Uint8Array(bytes));

describe("round trip", () => {
  test.prop([tensors, fc.dictionary(fc.string(), fc.string(), { maxKeys: 3 })])(
    "keeps every tensor, bit for bit",
    (all, metadata) => {
      writeSafetensors(path, all, metadata);
      using opened = openSafetensors(path);
      expect([...opened.tensors.keys()].sort()).toEqual([...all.keys()].sort());
      expect(Object.fromEntries(opened.metadata)).toEqual({ ...metadata });
      for (const [key, { dtype, shape, data }] of all) {
        const read = opened.read(key);
        expect([read.dtype, read.shape]).toEqual([dtype, shape]);
        expect(Buffer.from(read.data.buffer)).toEqual(Buffer.from(data.buffer));
      }
    },
  );

  test.prop([tensors])("lazy tensors are asked for once, in the order of the file", (all) => {
    const asked: string[] = [];
    const lazy = new Map(
      [...all].map(([key, { dtype, shape, data }]) => [
        key,
        {
          dtype,
          shape,
          read() {
            asked.push(key);
            return data;
          },
        },
      ]),
    );
    writeSafetensors(path, lazy);
    const lazily = readFileSync(path);
    using opened = openSafetensors(path);
    const byPlace = [...opened.tensors].sort(([, a], [, b]) => a.begin - b.begin || a.end - b.end);
    expect(new Set(asked)).toEqual(new Set(all.keys()));
    expect(asked).toHaveLength(all.size);
    const placed = asked.map((key) => opened.tensors.get(key)!.begin);
    expect(placed).toEqual(byPlace.map(([, info]) => info.begin));
    writeSafetensors(path, all);
    expect(readFileSync(path)).toEqual(lazily);
  });

  test.prop([tensors])("does not depend on the order of the map; data starts at a multiple of 8", (all) => {
    writeSafetensors(path, all);
    const forward = readFileSync(path);
    expect(Number(forward.readBigUInt64LE()) % 8).toBe(0);
    writeSafetensors(path, new Map([...all].reverse()));
    expect(readFileSync(path)).toEqual(forward);
  });

  test("reads only the range of the tensor asked for", () => {
    const all = new Map<string, HostTensor>(
      ["a", "b"].map((key, i) => [
        key,
        { dtype: "F32", shape: [1000], data: new Float32Array(1000).fill(i) },
      ]),
    );
    writeSafetensors(path, all);
    const bytes = bytesSource("test", readFileSync(path));
    let read = 0;
    const counting: ByteSource = {
      ...bytes,
      read(offset, length) {
        read += length;
        return bytes.read(offset, length);
      },
    };
    const opened = openSafetensors(counting);
    const header = read;
    expect(header).toBeLessThan(300);
    expect(opened.read("b").data[0]).toBe(1);
    expect(read - header).toBe(4000);
  });

  test("data at an odd position is aligned by copying", () => {
    const header = `${JSON.stringify({ x: entry("F64", [1], [0, 8]) })} `;
    const value = Buffer.alloc(8);
    value.writeDoubleLE(1.5);
    for (const pad of ["", " ", "  "])
      expect([...open(file(header + pad, value)).read("x").data]).toEqual([1.5]);
  });
});

describe("writing", () => {
  test("sorts by alignment, then by the bytes of the name", () => {
    const make = (dtype: DTypeName): HostTensor => ({
      dtype,
      shape: [1],
      data: viewAs(dtype, new ArrayBuffer(itemSize(dtype))),
    });
    const all = new Map(
      [
        ["b", "U8"],
        ["\u{10000}", "F32"],
        ["\uffff", "F32"],
        ["i", "I64"],
        ["a", "U8"],
        ["h", "BF16"],
        ["d", "F64"],
      ].map(([key, dtype]) => [key, make(dtype as DTypeName)]),
    );
    writeSafetensors(path, all);
    expect([...openSafetensors(path).tensors.keys()]).toEqual([
      "i",
      "d",
      "\uffff",
      "\u{10000}",
      "h",
      "a",
      "b",
    ]);
  });

  test("refuses data that does not match, and leaves no file", () => {
    const target = join(folder, "never.safetensors");
    const wrong: HostTensor[] = [
      { dtype: "F32", shape: [2], data: new Float32Array(3) },
      { dtype: "F32", shape: [2], data: new Float64Array(2) },
      { dtype: "F32", shape: [-1], data: new Float32Array(1) },
      { dtype: "F32", shape: [1.5], data: new Float32Array(1) },
    ];
    for (const bad of wrong)
      expect(() => writeSafetensors(target, new Map([["x", bad]]))).toThrow(FormatError);
    const reserved = new Map([
      ["__metadata__", { dtype: "U8", shape: [], data: new Uint8Array(1) } as HostTensor],
    ]);
    expect(() => writeSafetensors(target, reserved)).toThrow(/reserved/);
    expect(readdirSync(folder).filter((entry) => entry.includes("never"))).toEqual([]);
  });
});

describe("files of many gigabytes", () => {
  const sparse = join(folder, "sparse.safetensors");
  const GB = 2 ** 30;
  /** A header and, without writing it, as much data as it claims; `value` in the last four bytes. */
  const makeSparse = (head: Uint8Array, size: number, value: number): void => {
    const fd = openSync(sparse, "w");
    writeSync(fd, head);
    ftruncateSync(fd, head.length + size);
    writeSync(fd, Buffer.from(Float32Array.of(value).buffer), 0, 4, head.length + size - 4);
    closeSync(fd);
  };

  test("5 GB list and give one tensor by reading no more than header and tensor", () => {
    const sizes = [3 * GB, 2 * GB - 4, 4];
    let at = 0;
    const header = sizes.map((bytes, i) => [`t${i}`, entry("F32", [bytes / 4], [at, (at += bytes)])]);
    makeSparse(file(JSON.stringify(Object.fromEntries(header))), at, 1.5);
    using source = openFile(sparse);
    let read = 0;
    const before = process.memoryUsage().arrayBuffers;
    using opened = openSafetensors({
      ...source,
      read(offset, length) {
        read += length;
        return source.read(offset, length);
      },
    });
    expect([...opened.tensors.values()].map(({ begin, end }) => end - begin)).toEqual(sizes);
    expect([...opened.read("t2").data]).toEqual([1.5]);
    expect(read).toBeLessThan(500);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(2 ** 20);
  });

  test("what is written can be read again beyond 2^31 and 2^32 bytes", () => {
    // The header is on disk when the first tensor is asked for; then there is no need to write the rest.
    const target = join(folder, "large.safetensors");
    let head = Buffer.alloc(0);
    const lazy = (bytes: number) => ({
      dtype: "F32" as const,
      shape: [bytes / 4],
      read(): never {
        const [temporary] = readdirSync(folder).filter((name) => name.startsWith("large.safetensors."));
        head = readFileSync(join(folder, temporary));
        throw new Error("seen enough");
      },
    });
    const sizes = { a: 4, b: 3 * GB, c: 2 * GB, d: 100_000_000, e: 4 };
    const all = new Map(Object.entries(sizes).map(([key, bytes]) => [key, lazy(bytes)]));
    expect(() => writeSafetensors(target, all, { format: "pt" })).toThrow("seen enough");
    const size = Object.values(sizes).reduce((sum, bytes) => sum + bytes);
    makeSparse(head, size, 2.5);
    using opened = openSafetensors(sparse);
    expect([...opened.tensors].map(([key, { begin, end }]) => [key, end - begin])).toEqual(
      Object.entries(sizes),
    );
    expect([...opened.read("e").data]).toEqual([2.5]);
    expect(readdirSync(folder).filter((name) => name.includes("large"))).toEqual([]);
  });

  test("a tensor that no memory holds is refused", () => {
    makeSparse(file(JSON.stringify({ x: entry("U8", [2 ** 40], [0, 2 ** 40]) })), 2 ** 40, 0);
    using opened = openSafetensors(sparse);
    expect(() => opened.read("x")).toThrow(/no more at once than memory can hold, found 1099511627776 bytes/);
  });

  test("what could not be read again is not begun", () => {
    const target = join(folder, "refused.safetensors");
    const never = { dtype: "U8" as const, read: () => expect.unreachable() };
    const make = (shape: number[]) => writeSafetensors(target, new Map([["x", { ...never, shape }]]));
    expect(() => make(new Array(65).fill(1))).toThrow(
      /a shape: at most 64 whole sizes.*, found an array of 65/,
    );
    const many = Array.from({ length: 200_000 }, (_, i) => [`${i}`, { ...never, shape: [] }] as const);
    expect(() => writeSafetensors(target, new Map(many))).toThrow(/at most 1000000 values/);
    const long = new Map([["x".repeat(100_000_001), { ...never, shape: [] }]]);
    expect(() => writeSafetensors(target, long)).toThrow(/a header of at most 100000000 bytes/);
    expect(existsSync(target)).toBe(false);
  });
});

describe("hostile headers", () => {
  test.each<[string, Buffer, RegExp]>([
    ["no length", Buffer.alloc(7), /header length of 8 bytes, found a file of 7/],
    ["a length beyond the file", file("{}", undefined, 3n), /header of at most 2 bytes, found 3/],
    ["a length of 2^64-1", file("{}", undefined, 2n ** 64n - 1n), /found 18446744073709551615/],
    ["no header", file(""), /begins with {, found nothing/],
    ["an array", file("[]"), /begins with {/],
    ["a space first", file(" {}"), /begins with {/],
    ["bytes that are no UTF-8", file(Uint8Array.of(0x7b, 0xff, 0x7d)), /UTF-8/],
    ["half an object", file('{"a":'), /expected a value, found the end/],
    ["something after the object", file("{}{}"), /the end after one value/],
    [
      "a tensor named twice",
      file(
        '{"x":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"x":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}',
      ),
      /"x" twice/,
    ],
    [
      "a field named twice",
      file('{"x":{"dtype":"U8","dtype":"U8","shape":[0],"data_offsets":[0,0]}}'),
      /"dtype" twice/,
    ],
    ["a field of no meaning", oneTensor({ ...entry("F64", [1], [0, 8]), extra: 1 }), /found "extra"/],
    ["an entry that is no object", oneTensor(8), /expected an object, found 8/],
    ["no dtype", oneTensor({ shape: [1], data_offsets: [0, 8] }), /dtype of .*, found none/],
    ["a newer dtype", oneTensor(entry("F4", [16], [0, 8])), /dtype of .* F64 I64 U64, found "F4"/],
    ["a dtype off the prototype", oneTensor(entry("constructor", [1], [0, 8])), /found "constructor"/],
    [
      "a negative size",
      oneTensor(entry("F32", [-2], [0, 8])),
      /a shape: at most 64 whole sizes.*, found \[-2\]/,
    ],
    ["half a size", oneTensor(entry("F32", [1.5], [0, 6])), /a shape: at most/],
    ["sizes as text", oneTensor(entry("F32", ["2"], [0, 8])), /a shape: at most/],
    ["a product beyond 2^53", oneTensor(entry("U8", [2 ** 30, 2 ** 30], [0, 8])), /a shape: at most/],
    [
      "a product that would wrap to the right size",
      oneTensor(entry("U8", [2 ** 32, 2 ** 32, 8], [0, 8])),
      /a shape: at most/,
    ],
    ["the wrong size", oneTensor(entry("F32", [3], [0, 8])), /expected 12 bytes of F32, found 8/],
    ["offsets reversed", oneTensor(entry("F64", [1], [8, 0])), /expected 8 bytes of F64, found -8/],
    ["negative offsets", oneTensor(entry("F64", [1], [-8, 0])), /data_offsets/],
    ["three offsets", oneTensor(entry("F64", [1], [0, 8, 8])), /data_offsets/],
    ["data beyond the end", oneTensor(entry("F64", [2], [0, 16])), /a file of \d+ bytes/],
    ["data left over", oneTensor(entry("F32", [1], [0, 4])), /a file of \d+ bytes/],
    ["a gap in front", oneTensor(entry("F32", [1], [4, 8])), /its data at 0, found 4: a gap or overlap/],
    [
      "an overlap",
      file(JSON.stringify({ x: entry("U8", [6], [0, 6]), y: entry("U8", [4], [4, 8]) }), new Uint8Array(8)),
      /its data at 6, found 4/,
    ],
    ["metadata that is no text", file('{"__metadata__":{"a":1}}'), /__metadata__: expected strings by name/],
    ["metadata that is no object", file('{"__metadata__":"a"}'), /strings by name/],
    [
      "65 axes",
      oneTensor(entry("U8", new Array(65).fill(1), [0, 1])),
      /64 whole sizes.*, found an array of 65/,
    ],
    ["values without end", file(`{"x":[${"{},".repeat(1_000_001)}0]}`), /at most 1000000 values/],
    ["nesting without end", file(`{"x":${"[".repeat(100_000)}`), /nested at most/],
  ])("%s", (_, bytes, message) => {
    expect(() => open(bytes)).toThrow(FormatError);
    expect(() => open(bytes)).toThrow(message);
  });

  test("messages stay short, whatever the header holds", () => {
    const long = "\x1b[2J".repeat(1_000_000);
    for (const broken of [
      { [long]: 1 },
      { x: long },
      { x: { [long]: 1 } },
      { x: entry(long, [], [0, 1]) },
      { x: entry("U8", new Array(900_000).fill(9), [0, 1]) },
      { x: entry("U8", [1], new Array(900_000).fill(9)) },
      { x: entry("U8", long, [0, 1]) },
      { __metadata__: long },
      { __metadata__: { a: 1, b: long } },
    ]) {
      const message = messageOf(() => open(file(JSON.stringify(broken), new Uint8Array(1))));
      expect(message.length).toBeLessThan(1200);
      expect(message).not.toContain("\x1b");
    }
  });

  function messageOf(act: () => unknown): string {
    try {
      act();
    } catch (error) {
      expect(error).toBeInstanceOf(FormatError);
      return (error as Error).message;
    }
    return expect.unreachable();
  }

  test("names on the prototype are ordinary names", () => {
    const names = ["__proto__", "constructor", "hasOwnProperty"];
    const header = names.map((key, i) => `"${key}":{"dtype":"U8","shape":[],"data_offsets":[${i},${i + 1}]}`);
    const opened = open(file(`{${header.join(",")}}`, Uint8Array.of(7, 8, 9)));
    expect(names.map((key) => opened.read(key).data[0])).toEqual([7, 8, 9]);
    expect(() => opened.read("toString")).toThrow(/none of that name/);
    expect(Object.prototype).not.toHaveProperty("dtype");
  });

  test("an empty file of tensors, scalars and zero-size tensors are legal", () => {
    expect(open(file("{}")).tensors.size).toBe(0);
    const header = {
      a: entry("F32", [], [0, 4]),
      b: entry("F32", [0, 7], [4, 4]),
      c: entry("F32", [3, 0], [0, 0]),
    };
    const opened = open(file(JSON.stringify(header), new Uint8Array(4)));
    expect([...header_sizes(opened)]).toEqual([1, 0, 0]);
    function* header_sizes(from: typeof opened) {
      for (const key of ["a", "b", "c"]) yield from.read(key).data.length;
    }
  });
});

describe("damage", () => {
  writeSafetensors(
    path,
    new Map<string, HostTensor>([
      ["weight", { dtype: "F32", shape: [2, 3], data: new Float32Array(6) }],
      ["bias", { dtype: "BF16", shape: [3], data: new Uint16Array(3) }],
      ["step", { dtype: "I64", shape: [], data: new BigInt64Array(1) }],
    ]),
    { format: "pt" },
  );
  const whole = readFileSync(path);
  const readAll = (bytes: Uint8Array) => readSafetensors(bytesSource("test", bytes));

  test("every truncation and every extra byte is a FormatError", () => {
    for (let length = 0; length < whole.length; length++) {
      expect(() => readAll(whole.subarray(0, length))).toThrow(FormatError);
    }
    expect(() => readAll(Buffer.concat([whole, Buffer.alloc(1)]))).toThrow(FormatError);
  });

  test.prop([fc.array(fc.tuple(fc.nat(), fc.nat(7)), { minLength: 1, maxLength: 6 })], { numRuns: 1000 })(
    "flipped bits give tensors or a FormatError, nothing else",
    (flips) => {
      const broken = Buffer.from(whole);
      for (const [at, bit] of flips) broken[at % broken.length] ^= 1 << bit;
      try {
        readAll(broken);
      } catch (error) {
        expect(error).toBeInstanceOf(FormatError);
      }
    },
  );
});

const goldens = process.env.NINA_GOLDENS;

describe.skipIf(!goldens)("files of the reference writer (needs NINA_GOLDENS)", () => {
  const files = ["nina", "florence2"].flatMap((part) => {
    const place = join(goldens ?? "", part);
    return goldens
      ? readdirSync(place)
          .filter((f) => f.endsWith(".safetensors"))
          .map((f) => join(place, f))
      : [];
  });

  test.each(files)("%s: reading and writing gives the same bytes", (original) => {
    using opened = openSafetensors(original);
    writeSafetensors(path, readSafetensors(original), Object.fromEntries(opened.metadata));
    expect(Buffer.compare(readFileSync(path), readFileSync(original))).toBe(0);
  });
});
