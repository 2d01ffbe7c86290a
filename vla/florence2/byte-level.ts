/**
 * The byte level of GPT-2's byte pair encoding: how text becomes pieces, and bytes become characters that merges can
 * be written in. Shared by the tokenizer and the trainer of small vocabularies.
 */

/** White space as the reference regex engine has it; JavaScript's `\s` adds U+FEFF and lacks U+0085. */
export const WHITESPACE = "\\t-\\r\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000";
const W = WHITESPACE;

/** GPT-2's pattern: contractions, words, numbers and symbols, each with the space before it, then runs of space. */
const PIECE = new RegExp(
  `'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^${W}\\p{L}\\p{N}]+|[${W}]+(?![^${W}])|[${W}]+`,
  "gu",
);

/** Cuts text into the pieces that merges never cross; joined, they are the text again. */
export const splitPieces = (text: string): string[] => text.match(PIECE) ?? [];

/**
 * Byte → character: printable Latin-1 stays itself, the other 68 bytes become U+0100, U+0101, … in order,
 * so that the space is "Ġ" (U+0120) and the newline "Ċ" (U+010A).
 */
export const BYTE_CHARACTERS: readonly string[] = Array.from({ length: 256 }, (_, byte) =>
  String.fromCharCode(isPrintable(byte) ? byte : 0x100 + countUnprintable(byte)),
);

/** A piece as byte characters, one for each byte of its UTF-8. */
export const toByteCharacters = (piece: string): string[] =>
  Array.from(new TextEncoder().encode(piece), (byte) => BYTE_CHARACTERS[byte]);

function isPrintable(byte: number): boolean {
  return (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
}

function countUnprintable(below: number): number {
  let count = 0;
  for (let byte = 0; byte < below; byte++) if (!isPrintable(byte)) count++;
  return count;
}
