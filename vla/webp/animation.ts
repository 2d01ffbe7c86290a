/**
 * Animated WebP (RFC 9649, section 2.7): a RIFF file of pictures, each compressed on its own, so that any of them can
 * be taken out again as a file of its own.
 *
 *   RIFF  length  WEBP                 a file: its chunks follow, each a name, a length, as many bytes, a 0 if they are odd
 *     VP8X  flags, width, height       what to expect
 *     ANIM  background, loops
 *     ANMF  place, size, time, flags   a picture: behind these 16 bytes its own chunk, VP8 or VP8L
 */

/** In the flags of VP8X: there is more than one picture. */
const IS_ANIMATED = 0x02;
/** In the flags of ANMF: the picture replaces what was there. */
const OPAQUE = 0x02;
/** Bytes of ANMF before its picture. */
const PLACE = 16;
/** Largest side of a picture, pixels, and longest time, milliseconds: both have 24 bits. */
const MOST_24 = 2 ** 24;

/** One picture of an animation, compressed. */
export interface Frame {
  /** A WebP file of one picture, without alpha. */
  readonly file: Uint8Array;
  /** How long it is shown, milliseconds. */
  readonly ms: number;
}

/** Pictures of one size as an animation that begins again at its end. */
export function animate(frames: readonly Frame[], width: number, height: number): Uint8Array {
  if (width < 1 || height < 1 || width >= MOST_24 || height >= MOST_24)
    throw new Error(
      `animate: expected pictures of 1 to ${MOST_24 - 1} pixels a side, got ${width} x ${height}`,
    );
  const size = Buffer.concat([uint24(width - 1), uint24(height - 1)]);
  const parts = frames.map(({ file, ms }, i) => {
    const picture = pictureOf(file);
    if (picture === null) throw new Error(`animate: expected a WebP file of one picture, frame ${i} is none`);
    return chunk("ANMF", Buffer.alloc(6), size, uint24(ms), Buffer.of(OPAQUE), chunkOf(picture));
  });
  return riff(
    chunk("VP8X", Buffer.of(IS_ANIMATED, 0, 0, 0), size),
    chunk("ANIM", Buffer.alloc(6)), // a transparent background, and 0 loops: for ever
    ...parts,
  );
}

/**
 * The pictures of an animation that `animate` made, each as a file of one picture; null for a file that is no such
 * animation or that something is missing of.
 */
export function picturesOf(file: Uint8Array): Uint8Array[] | null {
  const chunks = chunksOf(file);
  if (chunks === null || chunks[0]?.name !== "VP8X") return null;
  const pictures: Uint8Array[] = [];
  for (const { name, data } of chunks) {
    if (name !== "ANMF") continue;
    const inner = data.length > PLACE ? readChunks(data.subarray(PLACE)) : null;
    if (inner?.length !== 1 || !isPicture(inner[0])) return null;
    pictures.push(riff(chunkOf(inner[0])));
  }
  return pictures;
}

interface Chunk {
  readonly name: string;
  readonly data: Buffer;
}

const isPicture = ({ name }: Chunk): boolean => name === "VP8 " || name === "VP8L";

/** The one picture of a file. */
function pictureOf(file: Uint8Array): Chunk | null {
  const chunks = chunksOf(file);
  return chunks?.length === 1 && isPicture(chunks[0]) ? chunks[0] : null;
}

function chunksOf(file: Uint8Array): Chunk[] | null {
  const bytes = Buffer.from(file.buffer, file.byteOffset, file.byteLength);
  const isFile = bytes.length >= 12 && bytes.toString("latin1", 0, 4) === "RIFF";
  if (!isFile || bytes.toString("latin1", 8, 12) !== "WEBP") return null;
  return bytes.readUInt32LE(4) === bytes.length - 8 ? readChunks(bytes.subarray(12)) : null;
}

/** Null where one ends behind the end. */
function readChunks(bytes: Buffer): Chunk[] | null {
  const chunks: Chunk[] = [];
  for (let at = 0; at < bytes.length; ) {
    if (at + 8 > bytes.length) return null;
    const length = bytes.readUInt32LE(at + 4);
    const end = at + 8 + length;
    if (end + (length % 2) > bytes.length) return null;
    chunks.push({ name: bytes.toString("latin1", at, at + 4), data: bytes.subarray(at + 8, end) });
    at = end + (length % 2);
  }
  return chunks;
}

function riff(...chunks: readonly Buffer[]): Buffer {
  return chunk("RIFF", Buffer.from("WEBP"), ...chunks);
}

const chunkOf = ({ name, data }: Chunk): Buffer => chunk(name, data);

function chunk(name: string, ...parts: readonly Uint8Array[]): Buffer {
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  const head = Buffer.alloc(8);
  head.write(name, "latin1");
  head.writeUInt32LE(length, 4);
  return Buffer.concat([head, ...parts, Buffer.alloc(length % 2)]);
}

/** Little-endian. */
function uint24(value: number): Buffer {
  const bytes = Buffer.alloc(3);
  bytes.writeUIntLE(value, 0, 3);
  return bytes;
}
