import { type ByteSource, FormatError } from "../../../core/index.ts";

const SIGNATURE = Buffer.from("\x89PNG\r\n\x1a\n", "latin1");

/** Width and height of a PNG picture, pixels, from its first bytes: what decoding it would take is known before. */
export function pngSize(file: ByteSource): [width: number, height: number] {
  const fail = (found: string): never => {
    throw new FormatError(file.name, "a PNG picture", found);
  };
  if (file.size < 24) fail(`${file.size} bytes`);
  const head = Buffer.from(file.read(0, 24));
  if (!head.subarray(0, 8).equals(SIGNATURE) || head.toString("latin1", 12, 16) !== "IHDR")
    fail("other first bytes");
  const [width, height] = [head.readUInt32BE(16), head.readUInt32BE(20)];
  if (width === 0 || height === 0) fail(`${width} × ${height} pixels`);
  return [width, height];
}
