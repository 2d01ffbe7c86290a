import { type ByteSource, FormatError } from "../../../core/index.ts";

/** The first bytes of every PNG, and the name of its first chunk behind that chunk's length. */
const [SIGNATURE, HEADER] = ["\x89PNG\r\n\x1a\n", "IHDR"];

/** Width and height of a PNG picture, pixels, from its first bytes: what decoding it would take is known before. */
export function pngSize(file: ByteSource): [width: number, height: number] {
  const fail = (found: string): never => {
    throw new FormatError(file.name, "a PNG picture", found);
  };
  if (file.size < 24) fail(`${file.size} bytes`);
  const head = file.read(0, 24);
  const text = String.fromCharCode(...head);
  if (!text.startsWith(SIGNATURE) || text.slice(12, 16) !== HEADER) fail("other first bytes");
  const [width, height] = [16, 20].map((at) => new DataView(head.buffer).getUint32(at));
  if (width === 0 || height === 0) fail(`${width} × ${height} pixels`);
  return [width, height];
}
