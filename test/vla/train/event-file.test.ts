import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { fc, test } from "@fast-check/vitest";
import { afterAll, describe, expect, it } from "vitest";
import { crc32c, EventFile, frame } from "../../../vla/train/event-file.ts";

const folder = mkdtempSync(join(tmpdir(), "nina-ts-events-"));
afterAll(() => rmSync(folder, { recursive: true }));

describe("CRC-32C", () => {
  // The check value that catalogues of checksums give, and two of RFC 3720, B.4.
  it.each([
    [Buffer.from("123456789"), 0xe3069283],
    [new Uint8Array(32), 0x8a9136aa],
    [new Uint8Array(32).fill(0xff), 0x62a8ab43],
  ])("of %j", (bytes, expected) => {
    expect(crc32c(bytes)).toBe(expected);
  });
});

/** The payloads of a file of frames; throws for wrong lengths and checksums. */
function unframe(bytes: Uint8Array): Uint8Array[] {
  const unmasked = (crc: number): number => {
    const turned = (crc - 0xa282ead8) >>> 0;
    return ((turned >>> 17) | (turned << 15)) >>> 0;
  };
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const payloads: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; ) {
    const length = Number(view.getBigUint64(at, true));
    expect(unmasked(view.getUint32(at + 8, true))).toBe(crc32c(bytes.subarray(at, at + 8)));
    const payload = bytes.subarray(at + 12, at + 12 + length);
    expect(unmasked(view.getUint32(at + 12 + length, true))).toBe(crc32c(payload));
    payloads.push(payload);
    at += 16 + length;
  }
  return payloads;
}

test.prop([fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 5 })])(
  "frames hold what was put in",
  (list) => {
    const file = Buffer.concat(list.map(frame));
    expect(unframe(file).map((payload) => [...payload])).toEqual(list.map((payload) => [...payload]));
  },
);

type Fields = Map<number, (number | Uint8Array)[]>;

/** The fields of a protocol-buffer message, by number. */
function parse(bytes: Uint8Array): Fields {
  const fields: Fields = new Map();
  const buffer = Buffer.from(bytes);
  let at = 0;
  const varint = (): number => {
    let value = 0;
    for (let factor = 1; ; factor *= 128) {
      const byte = buffer[at++];
      value += factor * (byte & 127);
      if (byte < 128) return value;
    }
  };
  while (at < buffer.length) {
    const key = varint();
    const read: Record<number, () => number | Uint8Array> = {
      0: varint,
      1: () => buffer.readDoubleLE((at += 8) - 8),
      2: () => {
        const length = varint();
        return buffer.subarray(at, (at += length));
      },
      5: () => buffer.readFloatLE((at += 4) - 4),
    };
    fields.set(key >> 3, [...(fields.get(key >> 3) ?? []), read[key & 7]()]);
  }
  return fields;
}

const messages = (fields: Fields, number: number): Fields[] =>
  (fields.get(number) ?? []).map((value) => parse(value as Uint8Array));

const scalars = fc.array(
  fc.record({
    step: fc.integer({ min: 1, max: 2 ** 40 }),
    values: fc.dictionary(fc.string({ maxLength: 200 }), fc.float({ noNaN: true }), { maxKeys: 4 }),
  }),
  { maxLength: 4 },
);

test.prop([fc.nat(1000), scalars])(
  "an event file says what was measured, and what it takes back",
  (step, lines) => {
    const before = Date.now() / 1000;
    const path = (() => {
      using file = new EventFile(folder, step);
      for (const line of lines) file.scalars(line.step, line.values);
      return file.path;
    })();
    expect(basename(path)).toMatch(/^events\.out\.tfevents\.\d+\..+\.\d+\.\d+$/);
    const events = unframe(readFileSync(path)).map(parse);
    for (const event of events) expect(event.get(1)?.[0]).toBeGreaterThanOrEqual(before);
    expect(Buffer.from(events[0].get(3)?.[0] as Uint8Array).toString()).toBe("brain.Event:2");
    if (step > 0) {
      const [, start] = events.splice(0, 2);
      expect(start.get(2)).toEqual([step + 1]);
      expect(messages(start, 7)[0].get(1)).toEqual([1]);
    } else events.shift();
    expect(events.map((event) => event.get(2))).toEqual(lines.map((line) => [line.step]));
    events.forEach((event, i) => {
      const [summary] = messages(event, 5);
      const found = messages(summary, 1).map((value) => [
        Buffer.from(value.get(1)?.[0] as Uint8Array).toString(),
        value.get(2)?.[0],
      ]);
      expect(found).toEqual(Object.entries(lines[i].values));
    });
  },
);
