/**
 * TensorBoard's event files: TFRecord frames around protocol-buffer messages, of which a training run needs scalars.
 * Of `Event` (tensorflow/core/util/event.proto): wall_time = 1 (double), step = 2 (varint), file_version = 3 (string),
 * summary = 5, session_log = 7; of `Summary`: value = 1; of its `Value`: tag = 1 (string), simple_value = 2 (float);
 * of `SessionLog`: status = 1, where 1 is START.
 */
import { closeSync, openSync, writeSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";

let serial = 0;

/** One process's events. Each record is written whole, so that a kill leaves at most one torn frame at the end. */
export class EventFile implements Disposable {
  readonly path: string;
  readonly #fd: number;

  /**
   * Begins a new file in `folder`. What earlier files hold of updates after number `step` is void: this process comes
   * from there.
   */
  constructor(folder: string, step: number) {
    const seconds = Math.floor(Date.now() / 1000);
    this.path = join(folder, `events.out.tfevents.${seconds}.${hostname()}.${process.pid}.${serial++}`);
    this.#fd = openSync(this.path, "ax");
    this.#write(text(3, "brain.Event:2"));
    if (step > 0) this.#write(varint(2, step + 1), message(7, varint(1, 1)));
  }

  scalars(step: number, values: Readonly<Record<string, number>>): void {
    const list = Object.entries(values).map(([tag, value]) => message(1, text(1, tag), float(2, value)));
    this.#write(varint(2, step), message(5, ...list));
  }

  [Symbol.dispose](): void {
    closeSync(this.#fd);
  }

  #write(...fields: readonly Uint8Array[]): void {
    const bytes = frame(Buffer.concat([double(1, Date.now() / 1000), ...fields]));
    for (let done = 0; done < bytes.length; ) done += writeSync(this.#fd, bytes, done);
  }
}

/** A TFRecord: u64 length, its checksum, the payload, its checksum, all little-endian. */
export function frame(payload: Uint8Array): Uint8Array {
  const record = Buffer.alloc(16 + payload.length);
  record.writeBigUInt64LE(BigInt(payload.length));
  record.writeUInt32LE(maskedCrc(record.subarray(0, 8)), 8);
  record.set(payload, 12);
  record.writeUInt32LE(maskedCrc(payload), 12 + payload.length);
  return record;
}

/** Checksums of data that holds checksums are troublesome, so TFRecord turns and shifts them. */
function maskedCrc(bytes: Uint8Array): number {
  const crc = crc32c(bytes);
  return (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;
}

/** Castagnoli's polynomial, reflected. */
const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
  return crc;
});

/** CRC-32C as in RFC 3720. */
export function crc32c(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = (crc >>> 8) ^ TABLE[(crc ^ byte) & 0xff];
  return ~crc >>> 0;
}

/** Protocol buffers: how a field's value is stored. */
const [VARINT, FIXED64, LENGTH, FIXED32] = [0, 1, 2, 5];

function digits(value: number): number[] {
  const bytes: number[] = [];
  for (let rest = value; ; rest = Math.floor(rest / 128)) {
    if (rest < 128) return [...bytes, rest];
    bytes.push((rest % 128) + 128);
  }
}

const varint = (field: number, value: number): Uint8Array =>
  Uint8Array.from([8 * field + VARINT, ...digits(value)]);

function double(field: number, value: number): Uint8Array {
  const bytes = Buffer.alloc(9, 8 * field + FIXED64);
  bytes.writeDoubleLE(value, 1);
  return bytes;
}

function float(field: number, value: number): Uint8Array {
  const bytes = Buffer.alloc(5, 8 * field + FIXED32);
  bytes.writeFloatLE(value, 1);
  return bytes;
}

function message(field: number, ...fields: readonly Uint8Array[]): Uint8Array {
  const bytes = Buffer.concat(fields);
  return Buffer.concat([Uint8Array.from([8 * field + LENGTH, ...digits(bytes.length)]), bytes]);
}

const text = (field: number, value: string): Uint8Array => message(field, Buffer.from(value));
