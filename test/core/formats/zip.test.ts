import { fc, test } from "@fast-check/vitest";
import { describe, expect } from "vitest";
import { bytesSource } from "../../../core/formats/byte-source.ts";
import { FormatError } from "../../../core/formats/format-error.ts";
import { openZip } from "../../../core/formats/zip.ts";
import { type ZipOptions, zip } from "./build.ts";

const readAll = (archive: Uint8Array): Map<string, Uint8Array> => {
  const source = bytesSource("test.zip", archive);
  const opened = openZip(source);
  return new Map([...opened.entries.values()].map((e) => [e.name, source.read(opened.locate(e), e.size)]));
};

const names = fc.uniqueArray(fc.string({ minLength: 1, maxLength: 12 }), { maxLength: 6 });
const contents = fc.dictionary(
  fc.string({ minLength: 1, maxLength: 12 }),
  fc.uint8Array({ maxLength: 200 }),
  {
    maxKeys: 6,
    noNullPrototype: true,
  },
);
const options: fc.Arbitrary<ZipOptions> = fc.record({
  zip64: fc.boolean(),
  comment: fc.constantFrom("", "made for a test"),
  align: fc.constantFrom(1, 64),
});

describe("stored entries", () => {
  test.prop([contents, options])(
    "come back whole, with or without zip64 records and a comment",
    (entries, how) => {
      const read = readAll(zip(entries, how));
      expect([...read.keys()]).toEqual(Object.keys(entries));
      for (const [name, data] of Object.entries(entries)) expect(read.get(name)).toEqual(data);
    },
  );

  test("are found by the local header's length, which the directory does not tell", () => {
    const archive = zip({ a: Uint8Array.of(1, 2, 3) }, { align: 64 });
    const source = bytesSource("test.zip", archive);
    const opened = openZip(source);
    expect(opened.locate(opened.entries.get("a")!)).toBe(64);
  });
});

describe("checksums", () => {
  const names = ["a", "b", "empty"] as const;
  const entries = {
    a: Uint8Array.of(1, 2, 3),
    b: new Uint8Array(3_000_000).fill(7),
    empty: new Uint8Array(0),
  };
  const flip = (archive: Buffer, at: number): Buffer => {
    const broken = Buffer.from(archive);
    broken[at] ^= 0x10;
    return broken;
  };
  const directoryAt = (archive: Buffer, name: string): number => archive.lastIndexOf(name) - 46;

  test("are verified when an entry is read and when it is asked for, whatever its size", () => {
    const archive = zip(entries);
    for (const name of names) {
      const opened = openZip(bytesSource("test.zip", archive));
      expect(Buffer.compare(opened.read(opened.entries.get(name)!), entries[name])).toBe(0);
      opened.verify(opened.entries.get(name)!);
    }
    for (const [name, at] of [
      ["a", archive.indexOf(Uint8Array.of(1, 2, 3))],
      ["b", archive.indexOf(new Uint8Array(10).fill(7)) + 2_500_000],
      ["b", directoryAt(archive, "b") + 16],
      ["empty", directoryAt(archive, "empty") + 16],
    ] as const) {
      const opened = openZip(bytesSource("test.zip", flip(archive, at)));
      for (const check of [opened.read, opened.verify]) {
        expect(() => check(opened.entries.get(name)!)).toThrow(
          `test.zip, ${name}: expected bytes of the checksum`,
        );
      }
    }
  });

  test("count as left out when all are zero, not when one is", () => {
    const opened = openZip(bytesSource("test.zip", zip(entries, { checksums: false })));
    expect(opened.read(opened.entries.get("a")!)).toEqual(entries.a);
    const archive = zip(entries);
    archive.fill(0, directoryAt(archive, "a") + 16, directoryAt(archive, "a") + 20);
    const one = openZip(bytesSource("test.zip", archive));
    expect(() => one.read(one.entries.get("a")!)).toThrow("expected bytes of the checksum 0x00000000");
  });
});

describe("what is refused", () => {
  const one = { "archive/data.pkl": Uint8Array.of(1, 2, 3, 4) };

  test.each([
    ["compressed entries", { method: 8 }, /stored entries, found archive\/data.pkl compressed \(method 8\)/],
    ["encrypted entries", { flags: 0x0809 }, /unencrypted/],
    ["strongly encrypted entries", { flags: 0x0840 }, /unencrypted/],
  ])("%s", (_, how, message) => {
    expect(() => readAll(zip(one, how))).toThrow(message);
    expect(() => readAll(zip(one, how))).toThrow(FormatError);
  });

  test("a file that is no archive", () => {
    expect(() => readAll(Buffer.from("plainly not an archive, however long it may be"))).toThrow(
      /no end record/,
    );
    expect(() => readAll(new Uint8Array(0))).toThrow(/no end record/);
  });

  test("two entries of one name", () => {
    const archive = zip({ aa: Uint8Array.of(1), ab: Uint8Array.of(2) });
    for (let i = archive.indexOf("ab"); i >= 0; i = archive.indexOf("ab", i + 1)) archive.write("aa", i);
    expect(() => readAll(archive)).toThrow(/distinct entries, found aa twice/);
  });

  test("a local header of another name", () => {
    const archive = zip({ aa: Uint8Array.of(1) });
    archive.write("bb", archive.indexOf("aa"));
    expect(() => readAll(archive)).toThrow(/entry aa, found bb in its local header/);
  });

  test("sizes and offsets that leave the file, 32 bits wide and 64", () => {
    for (const zip64 of [false, true]) {
      const archive = zip(one, { zip64 });
      const central = archive.indexOf(Buffer.from("504b0102", "hex"));
      const field = zip64 ? central + 46 + "archive/data.pkl".length + 4 : central + 20;
      for (const claim of [5, 0x7fffffff, 0xfffffffe]) {
        const broken = Buffer.from(archive);
        for (const at of zip64 ? [field, field + 8] : [field, field + 4]) broken.writeUInt32LE(claim, at);
        expect(() => readAll(broken)).toThrow(FormatError);
      }
    }
    const huge = zip(one, { zip64: true });
    huge.writeBigUInt64LE(2n ** 63n, huge.indexOf(Buffer.from("504b0606", "hex")) + 48);
    expect(() => readAll(huge)).toThrow(/directory offset below 2\^53/);
  });
});

describe("damage", () => {
  const archive = zip(
    { "archive/data.pkl": new Uint8Array(40), "archive/data/0": new Uint8Array(9) },
    { zip64: true },
  );

  test("every truncation is a FormatError", () => {
    for (let length = 0; length < archive.length; length++) {
      expect(() => readAll(archive.subarray(0, length))).toThrow(FormatError);
    }
  });

  test.prop([names, fc.array(fc.tuple(fc.nat(), fc.nat(7)), { minLength: 1, maxLength: 8 })], {
    numRuns: 500,
  })("flipped bits give the entries or a FormatError, nothing else", (labels, flips) => {
    const broken = zip(Object.fromEntries(labels.map((label) => [label, new Uint8Array(20)])));
    for (const [at, bit] of flips) broken[at % broken.length] ^= 1 << bit;
    try {
      readAll(broken);
    } catch (error) {
      expect(error).toBeInstanceOf(FormatError);
    }
  });
});
